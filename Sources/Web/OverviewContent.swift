package import Attention
package import Model
package import WaitTime

/// The content of `/api/v1/overview`, `/api/v1/queues/{queue}` and the page at `/`.
package struct OverviewContent: Sendable {
    package var collector: CollectorIdentity
    package var now: (wall: WallTime, monotonic: MonotonicTime)
    package var links: TraceLinks
    package var redis: RedisReading
    /// The result of the last good scrape, whatever has become of Redis since.
    package var lastKnown: RedisSnapshot?
    package var troubles: [Trouble] = []
    /// False in the first minute, while something may be wrong that has not been seen for long enough.
    package var hasLookedLongEnough = true
    /// The queues of the last good scrape, and those that only spans name.
    package var rows: [QueueReading] = []
    package var history: QueueHistory
    /// The groups of errors, the most frequent ones first.
    package var errors: [ErrorGroup] = []
    package var deadLetters: [DeadLetter] = []
    package var slowestWaits: [SlowWait] = []
    /// The sums of spans; nil where the spool's disk does not answer.
    package var spans: SpanTotals?
    package var forwarder: ForwarderState?
    package var spool: SpoolState?
    package var memory: [MemoryPart] = []

    package init(
        collector: CollectorIdentity, now: (wall: WallTime, monotonic: MonotonicTime), links: TraceLinks,
        redis: RedisReading, history: QueueHistory
    ) {
        self.collector = collector
        self.now = now
        self.links = links
        self.redis = redis
        self.history = history
    }

    /// The number of troubles that alerts tell of as well: neither remarks nor what has not lasted long enough.
    var firingTroubles: Int { troubles.count { $0.isFiring && $0.severity != .info } }

    static let maxTroubles = 200

    /// The troubles that documents list: the worst, and of the others those that concern everything.
    var listedTroubles: [Trouble] {
        troubles.prefix(Self.maxTroubles) + troubles.dropFirst(Self.maxTroubles).filter(\.isGlobal)
    }

    /// The moment of which the last good scrape tells: now, unless Redis can't be read.
    var knownAt: WallTime { isStale ? lastKnown?.takenAt ?? now.wall : now.wall }

    /// True if Redis was read once, and can't be read now.
    var isStale: Bool {
        if case .unread = redis { lastKnown != nil } else { false }
    }
}

/// The names of the collector and of what it is connected with.
package struct CollectorIdentity: Sendable {
    package var version: String
    package var host: String
    package var pid: Int64
    package var startedAt: WallTime
    /// The Redis and database that are read, without credentials; nil where none is.
    package var redis: String?
    /// The destination of spans, without credentials; nil where they are not sent.
    package var tempo: String?
    package var interval: Duration
    /// The addresses at which spans are received; empty where none are.
    package var receivesAt: [String]

    package init(
        version: String, host: String, pid: Int64, startedAt: WallTime, redis: String?, tempo: String?,
        interval: Duration, receivesAt: [String] = []
    ) {
        self.version = version
        self.host = host
        self.pid = pid
        self.startedAt = startedAt
        self.redis = redis
        self.tempo = tempo
        self.interval = interval
        self.receivesAt = receivesAt
    }
}

/// The spans that were received, and their fate since the start.
package struct SpanTotals: Sendable, Equatable {
    /// The fate of the accepted spans; nil without a trace backend.
    package struct Spooled: Sendable, Equatable {
        package var forwarded: UInt64
        package var inSpool: UInt64
        /// The dropped spans by reason.
        package var dropped: [String: UInt64]

        package init(forwarded: UInt64, inSpool: UInt64, dropped: [String: UInt64]) {
            self.forwarded = forwarded
            self.inSpool = inSpool
            self.dropped = dropped
        }
    }

    package var accepted: UInt64
    package var duplicates: UInt64
    /// The refused spans by reason.
    package var refused: [String: UInt64]
    package var spooled: Spooled?

    package init(accepted: UInt64, duplicates: UInt64, refused: [String: UInt64], spooled: Spooled?) {
        self.accepted = accepted
        self.duplicates = duplicates
        self.refused = refused
        self.spooled = spooled
    }

    package var received: UInt64 { accepted + refused.values.reduce(0, +) }
}

/// The present state of the forwarder.
package struct ForwarderState: Sendable, Equatable {
    /// The state in words, for people.
    package var text: String
    /// True if the backend works; nil before the first answer.
    package var isUp: Bool?
    /// The time since which it has been up or down.
    package var since: WallTime?

    package init(text: String, isUp: Bool?, since: WallTime?) {
        self.text = text
        self.isUp = isUp
        self.since = since
    }
}

package struct SpoolState: Sendable, Equatable {
    package var bytes: Int
    package var capacityBytes: Int
    package var oldestAgeSeconds: Double
    /// The seconds until it is full at the rate of the last half hour, or of the outage of the trace backend; nil while it does not
    /// grow.
    package var fullInSeconds: Double?

    package init(bytes: Int, capacityBytes: Int, oldestAgeSeconds: Double, fullInSeconds: Double?) {
        self.bytes = bytes
        self.capacityBytes = capacityBytes
        self.oldestAgeSeconds = oldestAgeSeconds
        self.fullInSeconds = fullInSeconds
    }
}

package struct MemoryPart: Sendable, Equatable {
    package var part: String
    package var bytes: Int
    package var limitBytes: Int?

    package init(part: String, bytes: Int, limitBytes: Int?) {
        self.part = part
        self.bytes = bytes
        self.limitBytes = limitBytes
    }
}
