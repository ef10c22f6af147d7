import Model
import Platform

/// The lines that the log may have about the spool's disk.
package enum SpoolReport: Equatable, Sendable {
    /// A failure: the action, its place, and the system's words. `more` is the number of failures since the last
    /// report.
    case failing(error: String, more: Int)
    /// The disk works: new frames can be kept again.
    case works
    /// The number of spans that waited longer than `max-age`, since the last report.
    case expired(spans: UInt64)
    /// The wall clock was set forward, or back.
    case clockSet(by: Duration)
}

/// The reports about ages.
struct SpoolNotices {
    private static let pause = Duration.seconds(60)

    private var clockOffset: Int64
    private var toldExpired: UInt64 = 0
    private var next = MonotonicTime(nanoseconds: 0)

    init(clockOffset: Int64) {
        self.clockOffset = clockOffset
    }

    /// - Parameter expired: The number of spans that were dropped for their age since the start.
    mutating func take(expired: UInt64, at now: ClockReading) -> [SpoolReport] {
        var reports: [SpoolReport] = []
        if now.hasStepped(from: clockOffset) { reports.append(.clockSet(by: now.step(since: clockOffset))) }
        // A clock that only drifts never gets to a step.
        clockOffset = now.offset
        if expired > toldExpired && now.monotonic >= next {
            reports.append(.expired(spans: expired - toldExpired))
            toldExpired = expired
            next = now.monotonic.advanced(by: Self.pause)
        }
        return reports
    }
}

/// The failures of the disk that the log does not have yet: the first of them, now and then, however often they come.
struct UnreportedFailures {
    static let pause = Duration.seconds(10)

    private var first: String?
    private var count = 0
    /// True if one of them kept frames out, or a reported one did.
    private var keepsFramesOut = false
    private var toldOfFailure = false
    private var next: MonotonicTime

    init(next: MonotonicTime = MonotonicTime(nanoseconds: 0)) {
        self.next = next
    }

    mutating func record(_ error: SystemError, keepsFramesOut: Bool) {
        if count == 0 { first = error.description }
        count += 1
        self.keepsFramesOut = self.keepsFramesOut || keepsFramesOut
    }

    /// Returns the next report. `isFailing` says that frames can't be kept now.
    mutating func take(at now: MonotonicTime, isFailing: Bool) -> SpoolReport? {
        if toldOfFailure && !isFailing {
            self = UnreportedFailures(next: next)
            return .works
        }
        if let error = first, now >= next {
            let more = count - 1
            toldOfFailure = toldOfFailure || keepsFramesOut
            (first, count, keepsFramesOut) = (nil, 0, false)
            next = now.advanced(by: Self.pause)
            return .failing(error: error, more: more)
        }
        return nil
    }
}
