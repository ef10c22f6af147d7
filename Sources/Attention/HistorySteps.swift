package import Model

/// The time axis of the history: point `p` covers the nanoseconds from `p × step` to `(p + 1) × step` of the monotonic clock.
package struct HistorySteps: Sendable, Equatable {
    static let hourNanoseconds: UInt64 = 3_600_000_000_000

    /// The length of a point, in nanoseconds.
    package private(set) var step: UInt64

    init(step: Duration) {
        self.step = UInt64(max(1, step.wholeNanoseconds))
    }

    package var seconds: Double { Double(step) / 1e9 }

    /// The number of points that an hour and the point that is still open have.
    var pointsPerHour: Int { Int((Self.hourNanoseconds + step - 1) / step) + 1 }

    var doubled: HistorySteps {
        var doubled = self
        doubled.step *= 2
        return doubled
    }

    var halved: HistorySteps {
        var halved = self
        halved.step /= 2
        return halved
    }

    package func point(of time: MonotonicTime) -> Int { Int(time.nanoseconds / step) }

    package func start(of point: Int) -> MonotonicTime { MonotonicTime(nanoseconds: UInt64(max(0, point)) * step) }

    /// Calls `body` for each point between two moments, with the share of the time that lies in it.
    func forEachShare(from start: MonotonicTime, to end: MonotonicTime, _ body: (Int, Double) -> Void) {
        let whole = Double(end.nanoseconds - start.nanoseconds)
        for point in self.point(of: start)...self.point(of: end) {
            let begin = max(start.nanoseconds, UInt64(point) * step)
            let stop = min(end.nanoseconds, UInt64(point + 1) * step)
            if stop > begin { body(point, Double(stop - begin) / whole) }
        }
    }
}
