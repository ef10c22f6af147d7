package import Metrics
package import Model
import Synchronization

/// The upper bounds for the time of a push, in seconds.
private let pushSecondsBounds = HistogramBounds(ascending: 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

/// The results of pushes since the start, at one moment.
package struct PushStatistics: Sendable {
    /// The requests by HTTP status, by what broke the connection, or `rejected`.
    package fileprivate(set) var requests: [String: UInt64] = [:]
    /// The number of requests that were not accepted.
    package fileprivate(set) var failedRequests: UInt64 = 0
    /// The seconds from a request's first byte to its answer.
    package fileprivate(set) var durations = Histogram(pushSecondsBounds)
    /// The number of data points that the backend left out of what it accepted.
    package fileprivate(set) var rejectedPoints: UInt64 = 0
    package fileprivate(set) var lastSuccess: WallTime?
    /// The reason why the last push was not accepted, or not with all of its data points; nil where it was.
    package fileprivate(set) var lastFailure: String?
    /// True if the backend accepted a part of such a push.
    package fileprivate(set) var isPartlyAccepted = false

    package init() {}
}

/// The statistics, which the pusher's thread writes, and those of the page read.
package final class PushCounters: Sendable {
    private let values = Mutex(PushStatistics())
    private let held = Atomic<Int>(0)

    package init() {}

    package var statistics: PushStatistics { values.withLock { $0 } }
    /// The bytes in memory of the request under way, and of what is remembered of series.
    package var heldBytes: Int { held.load(ordering: .relaxed) }

    func recordHeldBytes(_ bytes: Int) { held.store(bytes, ordering: .relaxed) }

    func recordSuccess(code: String, seconds: Double, rejectedPoints: Int) {
        values.withLock { values in
            values.requests[code, default: 0] += 1
            values.durations.observe(seconds)
            values.rejectedPoints = values.rejectedPoints.addingSaturated(UInt64(clamping: rejectedPoints))
        }
    }

    /// Records that the backend accepted all requests of a push.
    ///
    /// - Parameters:
    ///   - time: The time when it began.
    ///   - rejection: What the backend said of data points that it left out; nil where it took all of them.
    func recordCompletePush(at time: WallTime, rejection: String? = nil) {
        values.withLock { values in
            values.lastSuccess = time
            values.lastFailure = rejection
            values.isPartlyAccepted = rejection != nil
        }
    }

    /// Records the end of a push that was not accepted as a whole.
    func recordFailedPush(isPartlyAccepted: Bool) {
        values.withLock { $0.isPartlyAccepted = isPartlyAccepted }
    }

    /// - Parameters:
    ///   - seconds: The time of the request; nil where nothing was sent.
    ///   - rejectedPoints: The data points of a request that was answered with success, and of which none was accepted.
    func recordFailure(code: String, seconds: Double?, rejectedPoints: Int = 0, reason: String) {
        values.withLock { values in
            values.requests[code, default: 0] += 1
            values.failedRequests += 1
            values.rejectedPoints = values.rejectedPoints.addingSaturated(UInt64(clamping: rejectedPoints))
            if let seconds { values.durations.observe(seconds) }
            values.lastFailure = reason
        }
    }
}
