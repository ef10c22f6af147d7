package import Model
import Text

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

/// The error that most of the newest dead letters of a queue have.
package struct CommonError: Sendable, Equatable {
    /// The text that their errors share. One word stands for numbers and ids in which they differ (`AlikeText`).
    package var text: String
    /// The number of dead letters that have it.
    package var count: Int
    /// The number of dead letters that were compared: the newest, not all.
    package var total: Int

    package init(text: String, count: Int, total: Int) {
        self.text = text
        self.count = count
        self.total = total
    }

    private static let maxBytes = 120

    /// Returns the error of each queue, of the tasks that died within the window of the condition. Errors are alike as in
    /// the groups of errors.
    package static func commonest(of letters: [DeadLetter], at now: WallTime) -> [QueueName: CommonError] {
        let recent = letters.filter { now.duration(since: $0.archivedAt) <= Thresholds.events }
        return Dictionary(grouping: recent) { $0.task.queue }.mapValues { letters in
            let alike = Dictionary(grouping: letters) { letter in
                ForeignText(letter.errorMessage.bytes.withUnsafeBytes { AlikeText.make($0) })
            }
            guard let most = alike.max(by: { ($0.value.count, $1.key) < ($1.value.count, $0.key) }) else {
                return CommonError(text: "", count: 0, total: letters.count)
            }
            let texts = Set(most.value.map(\.errorMessage))
            let text = texts.count == 1 ? texts.first : most.key
            return CommonError(
                text: text?.cut(to: maxBytes).shown ?? "", count: most.value.count, total: letters.count)
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
    /// True if the backend accepts a part of what is sent; it is not up then.
    package var isPartlyUp = false
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
