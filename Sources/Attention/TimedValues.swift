import Model

/// The newest values of one number, at most one for each sixtieth of a window.
struct TimedValues: Sendable {
    private static let slices = 60

    private let window: Duration
    private var values: [(time: MonotonicTime, value: Double)] = []

    init(window: Duration) {
        self.window = window
    }

    mutating func record(_ value: Double, at time: MonotonicTime) {
        if values.count > 1, time.duration(since: values[values.count - 2].time) < window / Self.slices {
            values.removeLast()
        }
        values.append((time, value))
        while values.count > 1, time.duration(since: values[1].time) >= window { values.removeFirst() }
    }

    /// The rise of a counter within the window; after a fall it began at 0.
    var rise: Double {
        zip(values, values.dropFirst()).reduce(0) { sum, pair in
            sum + (pair.1.value >= pair.0.value ? pair.1.value - pair.0.value : pair.1.value)
        }
    }

    var median: Double? {
        let sorted = values.map(\.value).sorted()
        return sorted.isEmpty ? nil : sorted[(sorted.count - 1) / 2]
    }

    /// The slope of the straight line that fits best, per second; nil before there are two moments.
    var slope: Double? {
        guard let first = values.first, values.count > 1 else { return nil }
        let points = values.map { (x: $0.time.seconds(since: first.time), y: $0.value) }
        let count = Double(points.count)
        let (meanX, meanY) = (points.map(\.x).reduce(0, +) / count, points.map(\.y).reduce(0, +) / count)
        let spread = points.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
        if spread == 0 { return nil }
        return points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread
    }
}
