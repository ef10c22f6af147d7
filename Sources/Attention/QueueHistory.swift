package import Model

/// The last hour of all queues, a point at each scrape. With so many queues that the points would not fit into
/// `maxBytes`, a point covers two scrapes, or four, eight ….
package struct QueueHistory: Sendable {
    /// The bytes that the points of all queues may take together.
    package static let maxBytes = 16 << 20

    package private(set) var steps: HistorySteps
    private let maxBytes: Int
    private let interval: Duration
    private var queues: [QueueName: QueueColumns] = [:]
    /// The times at which the first reading and the newest one were recorded.
    package private(set) var begin: MonotonicTime?
    package private(set) var end: MonotonicTime?

    /// - Parameter interval: The time between two readings.
    package init(interval: Duration, maxBytes: Int = Self.maxBytes) {
        self.interval = max(.seconds(1), interval)
        self.maxBytes = maxBytes
        steps = HistorySteps(step: self.interval)
    }

    /// The bytes that the points take.
    package var bytes: Int { queues.count * Self.bytesPerQueue(steps) }

    private static func bytesPerQueue(_ steps: HistorySteps) -> Int {
        steps.pointsPerHour * QueueColumns.fieldCount * MemoryLayout<Float>.size
    }

    package var count: Int { queues.count }

    /// Records the present reading of each queue, and removes the queues that are gone. Steps that were lengthened stay
    /// so until a quarter of the bytes would do.
    package mutating func record(_ readings: [QueueReading], at time: MonotonicTime) {
        if begin == nil { begin = time }
        end = time
        let present = Set(readings.map(\.name))
        queues = queues.filter { present.contains($0.key) }
        let fitting = self.fitting(present.count)
        while steps.step > fitting.step {
            steps = steps.halved
            queues = queues.mapValues { $0.split(points: steps.pointsPerHour) }
        }
        while steps.step < fitting.step {
            steps = steps.doubled
            queues = queues.mapValues { $0.merged(points: steps.pointsPerHour) }
        }
        let gap = interval * 5 / 2
        for reading in readings {
            var columns =
                queues.removeValue(forKey: reading.name)
                ?? QueueColumns(points: steps.pointsPerHour, at: time, point: steps.point(of: time))
            columns.record(reading, at: time, steps: steps, gap: gap)
            queues[reading.name] = columns
        }
    }

    /// Returns the steps for a number of queues.
    private func fitting(_ count: Int) -> HistorySteps {
        func shortest(_ maxBytes: Int) -> HistorySteps {
            var steps = HistorySteps(step: interval)
            while count * Self.bytesPerQueue(steps) > maxBytes, steps.pointsPerHour > 2 { steps = steps.doubled }
            return steps
        }
        let needed = shortest(maxBytes)
        if needed.step > steps.step { return needed }
        let roomy = shortest(maxBytes / 4)
        return roomy.step < steps.step ? roomy : steps
    }

    // MARK: Reading

    /// The point that the newest reading lies in; nil before there is one.
    package var last: Int? { end.map { steps.point(of: $0) } }

    package subscript(queue: QueueName) -> QueueColumns? { queues[queue] }

    package func value(_ field: HistoryField, of queue: QueueName, at point: Int) -> Double? {
        queues[queue]?.value(field, at: point)
    }

    /// Returns the number of events in a window that ends with the newest reading, to within a step; nil where it is
    /// unknown.
    package func sum(_ field: HistoryField, of queue: QueueName, over window: Duration) -> Double? {
        guard let columns = queues[queue], let last else { return nil }
        let known = range(window, last).compactMap { columns.value(field, at: $0) }
        return known.isEmpty ? nil : known.reduce(0, +)
    }

    /// Returns the events per second over the last minute, or over the last point and the open one where points are longer.
    package func rate(_ field: HistoryField, of queue: QueueName, over window: Duration = .seconds(60)) -> Double? {
        guard let columns = queues[queue], let last, let end else { return nil }
        let range = range(window, last)
        let known = range.compactMap { columns.value(field, at: $0) }
        let start = max(steps.start(of: range.lowerBound), columns.begin)
        let seconds = end.seconds(since: start)
        return known.isEmpty || seconds <= 0 ? nil : known.reduce(0, +) / seconds
    }

    /// Returns the points of a window: whole ones, and the open one.
    private func range(_ window: Duration, _ last: Int) -> ClosedRange<Int> {
        let whole = max(1, Int((window.inSeconds / steps.seconds).rounded()))
        return max(0, last - whole)...last
    }

    /// Returns the earliest reading of a window that ends with the newest one, and its age.
    package func earliest(
        _ field: HistoryField, of queue: QueueName, within window: Duration
    ) -> (value: Double, seconds: Double)? {
        guard let columns = queues[queue], let last, let end else { return nil }
        for point in range(window, last) {
            guard let value = columns.value(field, at: point) else { continue }
            if point == last { return (value, 0) }
            // A reading is the last one of its point, and readings are an interval apart.
            let sinceNext = end.duration(since: steps.start(of: point + 1))
            return (value, ((sinceNext / interval).rounded(.down) + 1) * interval.inSeconds)
        }
        return nil
    }

    /// Returns the part of a window that ends with the newest reading in which a queue has been observed.
    package func observed(_ queue: QueueName, within window: Duration) -> Duration {
        observed(since: queues[queue]?.begin, within: window)
    }

    /// Returns the same for the queues together.
    package func observed(within window: Duration) -> Duration { observed(since: begin, within: window) }

    private func observed(since begin: MonotonicTime?, within window: Duration) -> Duration {
        guard let begin, let end else { return .zero }
        return min(window, end.duration(since: begin))
    }

    /// Returns true if a queue has been observed for the whole window.
    package func hasSeen(_ queue: QueueName, for window: Duration) -> Bool {
        queues[queue] != nil && observed(queue, within: window) >= window
    }
}
