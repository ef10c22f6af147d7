import HTTPService
import Metrics

/// Divides `memory.limit`: each part has a share in bytes, refuses or forgets its own when that is used up, and never
/// takes another's.
///
/// ```
/// share     limit × weight ÷ the weights of the parts that there are; the weights of all are the MiB of a limit of 256 MiB
/// demanded  what a key asks for (`MemoryDemands`) comes before that, and the other parts divide what is left
/// least     the share of a limit of 48 MiB, which no other part's demand may touch
/// pushes    come on top where metrics are pushed: 8, or 32 with differences, whose numbers are remembered
/// ```
/// The limit leaves out the program itself, its libraries and threads, and what the allocator can't use. A container
/// needs a third more than the limit for these.
struct MemoryLedger: Sendable, Equatable {
    /// A part that holds memory whose size others decide. The raw value is its name on pages and in the log.
    enum Part: String, CaseIterable, Sendable {
        /// The bodies of requests that are not complete.
        case bodies
        /// The forms of a complete request: decompressed, converted, rewritten, and held while Redis is asked.
        case requests
        /// The connections, streams, and heads of requests.
        case streams
        /// The answers of the web endpoints that clients have not read.
        case pages
        /// A request of a push of metrics; with differences, also the numbers that the backend has acknowledged.
        case pushes
        /// The names of queues, types and errors, and the series that they label.
        case labels
        /// The producers and consumers that wait for each other, repeated spans, attempts that have begun.
        case pairing
        /// The tasks that were seen in Redis.
        case lookAhead = "look_ahead"
        /// The newest spans, for /trace.
        case recentSpans = "recent_spans"
        /// The requests to the trace backend.
        case deliveries
        /// The replies of Redis in one round trip.
        case redisReplies = "redis_replies"
        /// An hour of each queue, for the status page.
        case history
        /// The failed attempts and dead letters, grouped by error.
        case errors = "failures"

        fileprivate var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }

        fileprivate func weight(_ demands: MemoryDemands) -> Int {
            switch self {
            case .pushes: demands.pushes == .delta ? 32 : 8
            case .bodies, .pairing: 44
            case .requests: 48
            case .deliveries: 32
            case .labels: 28
            case .lookAhead, .recentSpans: 16
            case .streams, .redisReplies: 12
            case .pages, .history: 8
            case .errors: 4
            }
        }
    }

    static let leastLimit = 48 << 20
    /// The limit at which each part has its weight in MiB, as long as either spans are forwarded or the newest are
    /// kept.
    private static let commonLimit = 256
    /// The most that `traces.recent-max-bytes: auto` stands for.
    static let recentSpansMax = 16 << 20

    let limit: Int
    /// The shares in the order of the parts.
    private let shares: [Int]

    /// - Throws: `MemoryShortage` where the demands leave another part less than its least share.
    init(limit: Int, _ demands: MemoryDemands) throws(MemoryShortage) {
        let parts = Part.allCases.filter { demands.isThere($0) }
        var shares: [Part: Int] = [:]
        var rest = limit
        var weights = parts.reduce(0) { $0 + $1.weight(demands) }
        func weighted(_ part: Part) -> Int { max(0, rest) * part.weight(demands) / max(1, weights) }
        func settle(_ part: Part, _ bytes: Int) {
            shares[part] = bytes
            rest -= bytes
            weights -= part.weight(demands)
        }
        if let bytes = demands.recentSpanBytes, bytes > 0 {
            settle(.recentSpans, bytes)
        } else if demands.isThere(.recentSpans) {
            settle(.recentSpans, min(Self.recentSpansMax, weighted(.recentSpans)))
        }
        // Each demand that is met leaves the others less.
        while let part = parts.first(where: { shares[$0] == nil && demands.bytes(for: $0) > weighted($0) }) {
            settle(part, demands.bytes(for: part))
        }
        let common = Self.commonLimit + (demands.pushes == nil ? 0 : Part.pushes.weight(demands))
        let isShort = parts.contains { part in
            shares[part] == nil && weighted(part) < Self.leastLimit / common * part.weight(demands)
        }
        if rest < 0 || isShort { throw MemoryShortage() }
        for part in parts where shares[part] == nil { shares[part] = weighted(part) }
        self.limit = limit
        self.shares = Part.allCases.map { shares[$0] ?? 0 }
    }

    /// Returns the bytes that a part may take; 0 for one that is off.
    subscript(part: Part) -> Int { shares[part.place] }

    /// The parts that are on, in their order.
    var parts: [Part] { Part.allCases.filter { self[$0] > 0 } }

    /// The largest request that can be received, read and sent on.
    var largestBody: Int {
        let received = min(MemoryDemands.body(within: self[.bodies]), self[.requests])
        return self[.deliveries] == 0 ? received : min(received, MemoryDemands.body(sentWithin: self[.deliveries]))
    }
}

/// The demands leave some part too little.
struct MemoryShortage: Error, Equatable {}

/// The memory that the configuration asks for.
struct MemoryDemands: Sendable, Equatable {
    var hasRedis = true
    var hasBackend = true
    /// The largest request, where a user has set one (`otlp.max-body`).
    var bodyBytes = 0
    /// The largest batch, where a user has set one (`tempo.batch.max-bytes`).
    var batchBytes = 0
    var keepsRecentSpans = false
    /// The value of `traces.recent-max-bytes`, where a user has set it.
    var recentSpanBytes: Int?
    /// `metrics.push.temporality`, where metrics are pushed.
    var pushes: OTLPMetrics.Temporality?

    fileprivate func isThere(_ part: MemoryLedger.Part) -> Bool {
        switch part {
        case .lookAhead, .redisReplies: hasRedis
        case .deliveries: hasBackend
        case .pushes: pushes != nil
        case .recentSpans: recentSpanBytes.map { $0 > 0 } ?? keepsRecentSpans
        default: true
        }
    }

    fileprivate func bytes(for part: MemoryLedger.Part) -> Int {
        switch part {
        // One connection of three listeners gets two thirds of it.
        case .bodies: bodyBytes + bodyBytes / 2 + 1024
        // There are three copies: decompressed, converted to protobuf, rewritten.
        case .requests: bodyBytes * 3
        // A request is held twice: read from the spool, and compressed.
        case .deliveries: max(bodyBytes, batchBytes) * 2
        default: 0
        }
    }

    fileprivate static func body(within bytes: Int) -> Int { SharedLimit.largest(within: bytes, listeners: 3) }

    fileprivate static func body(sentWithin bytes: Int) -> Int { bytes / 2 }
}
