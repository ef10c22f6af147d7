package import Model

/// All that can be in trouble, as the collector sees it at one moment.
package struct Situation: Sendable {
    package var now: (wall: WallTime, monotonic: MonotonicTime)
    package var redis: RedisReading
    /// The queues as they were recorded last.
    package var rows: [QueueReading]
    /// The error that most of the newest dead letters of a queue have.
    package var commonestErrors: [QueueName: CommonError] = [:]
    package var spans: SpanPath
    /// The pushes of metrics; nil where nothing is pushed.
    package var pushes: Backend?

    package init(
        now: (wall: WallTime, monotonic: MonotonicTime), redis: RedisReading, rows: [QueueReading], spans: SpanPath
    ) {
        self.now = now
        self.redis = redis
        self.rows = rows
        self.spans = spans
    }
}

/// An error, and the share of the newest dead letters that have it.
package struct CommonError: Sendable, Equatable {
    package var text: String
    package var share: Double

    package init(text: String, share: Double) {
        self.text = text
        self.share = share
    }
}

extension CommonError {
    private static let maxBytes = 120
    private static let window = Duration.seconds(15 * 60)

    /// Returns the error that most dead letters of each queue have, of those that died within the last quarter of an
    /// hour. Errors that differ in numbers only count as one.
    package static func commonest(of letters: [DeadLetter], at now: WallTime) -> [QueueName: CommonError] {
        let recent = letters.filter { now.duration(since: $0.archivedAt) <= window }
        return Dictionary(grouping: recent) { $0.task.queue }.mapValues { letters in
            let alike = Dictionary(grouping: letters) { letter in
                letter.errorMessage.bytes.filter { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            }
            let most = alike.values.max { ($0.count, $1[0].errorMessage) < ($1.count, $0[0].errorMessage) } ?? []
            return CommonError(
                text: most.first?.errorMessage.cut(to: maxBytes).shown ?? "",
                share: Double(most.count) / Double(letters.count))
        }
    }
}

/// The way of spans from the receiver to the trace backend.
package struct SpanPath: Sendable {
    /// The number of spans that were refused since the start, by reason.
    package var refused: [String: UInt64] = [:]
    /// The spool; nil without a trace backend.
    package var spool: Spool?
    /// True if the spool's disk does not answer, so that the spool's numbers are unknown.
    package var isDiskHanging = false
    package var backend: Backend?

    package struct Spool: Sendable, Equatable {
        package var bytes: Int
        package var capacityBytes: Int
        /// The number of spans that were dropped since the start, by reason.
        package var dropped: [String: UInt64]

        package init(bytes: Int, capacityBytes: Int, dropped: [String: UInt64]) {
            self.bytes = bytes
            self.capacityBytes = capacityBytes
            self.dropped = dropped
        }
    }

    package init() {}
}

/// The results of requests to a backend.
package struct Backend: Sendable, Equatable {
    /// True if the backend works; nil before the first answer.
    package var isUp: Bool?
    package var lastFailure: String?
    /// The number of requests since the start.
    package var requests: UInt64
    package var failedRequests: UInt64

    package init(isUp: Bool?, lastFailure: String?, requests: UInt64, failedRequests: UInt64) {
        self.isUp = isUp
        self.lastFailure = lastFailure
        self.requests = requests
        self.failedRequests = failedRequests
    }
}
