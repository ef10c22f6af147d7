package import Model
package import WaitTime

/// What the page at `/` shows.
package struct StatusContent: Sendable {
    /// The program's version.
    package var version: String
    package var redis: RedisReading
    /// Which Redis and database are read, without credentials; nil where none is.
    package var redisURL: String?
    package var rows: [QueueRow] = []
    package var history: [QueueName: [QueueHistory.Point]] = [:]
    package var deadLetters: [DeadLetter] = []
    package var slowestWaits: [SlowWait] = []
    /// nil: the spool's disk does not answer.
    package var spans: SpanTotals?
    package var forwarderState: String
    package var links: TraceLinks
    package var now: (wall: WallTime, monotonic: MonotonicTime)

    package init(
        version: String, redis: RedisReading, spans: SpanTotals?, forwarderState: String, links: TraceLinks,
        now: (wall: WallTime, monotonic: MonotonicTime)
    ) {
        self.version = version
        self.redis = redis
        self.spans = spans
        self.forwarderState = forwarderState
        self.links = links
        self.now = now
    }
}

/// What is known of Redis at the moment.
package enum RedisReading: Sendable {
    /// `redis.url` is `none`.
    case off
    /// Nothing could be read; the reason, or nil before the first attempt has ended.
    case unread(String?)
    case read(RedisSnapshot)

    package var snapshot: RedisSnapshot? {
        if case .read(let snapshot) = self { snapshot } else { nil }
    }

    /// A sentence that says why there is no snapshot; nil when there is one, or when Redis is not to be read.
    package var unreadReason: String? {
        guard case .unread(let reason) = self else { return nil }
        return reason.map { "Redis can't be read: \($0)" } ?? "Redis was not read yet"
    }
}

/// Spans received and what became of them since the start.
package struct SpanTotals: Sendable, Equatable {
    /// What became of the accepted spans; nil without a trace backend.
    package struct Spooled: Sendable, Equatable {
        package var forwarded: UInt64
        package var inSpool: UInt64
        package var dropped: UInt64

        package init(forwarded: UInt64, inSpool: UInt64, dropped: UInt64) {
            self.forwarded = forwarded
            self.inSpool = inSpool
            self.dropped = dropped
        }
    }

    package var accepted: UInt64
    package var refused: UInt64
    package var spooled: Spooled?

    package init(accepted: UInt64, refused: UInt64, spooled: Spooled?) {
        self.accepted = accepted
        self.refused = refused
        self.spooled = spooled
    }

    package var received: UInt64 { accepted + refused }
}
