package import JSON
import Model

/// The content of `/api/v1/overview`, read leniently: unknown members are passed over, missing ones are unknown.
package struct TopDocument: Sendable, Equatable {
    package enum Severity: Int, Sendable, Comparable {
        case info, warning, critical

        init?(_ text: String?) {
            switch text {
            case "critical": self = .critical
            case "warning": self = .warning
            case "info": self = .info
            default: return nil
            }
        }

        package static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }
    }

    /// Something that needs attention.
    package struct Trouble: Sendable, Equatable {
        let severity: Severity
        /// False while the condition holds, but not for the time of its alert yet.
        let isFiring: Bool
        /// True if it concerns everything, and not one queue or cron entry.
        let isGlobal: Bool
        let queue: String?
        let sentence: String
    }

    struct Collector: Sendable, Equatable {
        let version: String?
        let host: String?
        let startedAt: WallTime?
        let redis: String?
        let tempo: String?
    }

    struct Redis: Sendable, Equatable {
        let state: String?
        let readAt: WallTime?
        let error: String?
    }

    struct Spool: Sendable, Equatable {
        let bytes: Double?
        let capacityBytes: Double?
        let fullInSeconds: Double?
    }

    /// The time at which the document was made.
    let now: WallTime?
    let collector: Collector
    let redis: Redis
    /// The troubles, the worst first; nil where the document does not name them.
    let troubles: [Trouble]?
    /// The number of troubles, which may be more than the document names.
    let troubleCount: Int
    let lookedAt: String?
    /// False in a collector's first minute, in which nothing wrong does not mean that all is well.
    let hasLookedLongEnough: Bool
    let totals: TopQueue
    let queues: [TopQueue]
    /// The seconds of the past that the history of the queues has.
    let historySeconds: Double?
    let forwarderState: String?
    let isForwarderUp: Bool?
    let spool: Spool?
    /// The trace of a dead letter or of a slow wait, to open.
    package let traceID: String?
    /// The address with `{trace_id}` in it, relative to the page's or absolute.
    package let traceLink: String?

    package init(_ json: JSONValue) {
        now = json["now"].time
        let program = json["collector"]
        collector = Collector(
            version: program["version"].string, host: program["host"].string, startedAt: program["started_at"].time,
            redis: program["redis"].string, tempo: program["tempo"].string)
        redis = Redis(
            state: json["redis"]["state"].string, readAt: json["redis"]["read_at"].time,
            error: json["redis"]["error"].string)
        troubles = Trouble.all(json["attention"])
        troubleCount = max(troubles?.count ?? 0, json["attention_total"].integer.map { Int(clamping: $0) } ?? 0)
        lookedAt = json["looked_at"].string
        hasLookedLongEnough = json["looked_long_enough"].bool ?? true
        totals = TopQueue(json["totals"])
        queues = json["queues"].elements.map { TopQueue($0) }
        let (start, end) = (json["history"]["start"].number, json["history"]["end"].number)
        historySeconds = if let start, let end { max(0, end - start) } else { nil }
        forwarderState = json["forwarder"]["state"].string
        isForwarderUp = json["forwarder"]["up"].bool
        spool =
            json["spool"] == .null
            ? nil
            : Spool(
                bytes: json["spool"]["bytes"].number, capacityBytes: json["spool"]["capacity_bytes"].number,
                fullInSeconds: json["spool"]["full_in_seconds"].number)
        let traced = json["dead_letters"].elements + json["slowest_waits"].elements
        traceID = traced.lazy.compactMap { $0["trace_id"].string }.first
        traceLink = json["links"]["trace"].string
    }
}

extension TopDocument.Trouble {
    /// Returns the troubles of a list; nil where there is none.
    static func all(_ json: JSONValue) -> [TopDocument.Trouble]? {
        json.isArray ? json.elements.compactMap { TopDocument.Trouble($0) } : nil
    }

    /// Reads the links; returns nil where there is nothing to show.
    init?(_ json: JSONValue) {
        guard let sentence = json["sentence"].string, !sentence.isEmpty else { return nil }
        self.init(
            severity: TopDocument.Severity(json["severity"].string) ?? .warning, isFiring: json["firing"].bool ?? true,
            isGlobal: json["global"].bool ?? false, queue: json["queue"].string, sentence: sentence)
    }
}

/// The numbers of one queue; of all queues together in the totals.
package struct TopQueue: Sendable, Equatable {
    enum Drains: String, Sendable {
        case yes, no, steady, unknown
    }

    let name: String
    let sizes: [TaskState: Int64]
    let isPaused: Bool?
    let severity: TopDocument.Severity?
    let oldestSeconds: Double?
    let waitP50: Double?
    let waitP95: Double?
    let waitP99: Double?
    /// True if the waits were sampled in Redis, for lack of spans.
    let isWaitSampled: Bool
    let enqueuedPerSecond: Double?
    let completedPerSecond: Double?
    let failedPerSecond: Double?
    let drainSeconds: Double?
    let drains: Drains
    let orphaned: Int64?
    let consumers: Int64?
    let concurrency: Int64?
    let busyWorkers: Int64?
    let longestRunningSeconds: Double?
    /// The dead letters since the start of the collector, and those of them whose message was not read.
    let deadLettered: Int64?
    let unreadDeadLetters: Int64?
    /// The history of at most an hour, the oldest first.
    let history: [String: [Double?]]

    init(_ json: JSONValue) {
        name = json["queue"].string ?? ""
        var sizes: [TaskState: Int64] = [:]
        for state in TaskState.allCases { sizes[state] = json[state.rawValue].integer }
        self.sizes = sizes
        isPaused = json["paused"].bool
        severity = TopDocument.Severity(json["trouble"].string)
        oldestSeconds = json["oldest_wait_seconds"].number
        waitP50 = json["wait_p50_seconds"].number
        waitP95 = json["wait_p95_seconds"].number
        waitP99 = json["wait_p99_seconds"].number
        isWaitSampled = json["wait_origin"].string == "redis"
        enqueuedPerSecond = json["enqueued_per_second"].number
        completedPerSecond = json["completed_per_second"].number
        failedPerSecond = json["failed_per_second"].number
        drainSeconds = json["drain_seconds"].number
        drains = json["drains"].string.flatMap { Drains(rawValue: $0) } ?? (drainSeconds == nil ? .unknown : .yes)
        orphaned = json["orphaned"].integer
        consumers = json["consumers"].integer
        concurrency = json["concurrency"].integer
        busyWorkers = json["busy_workers"].integer
        longestRunningSeconds = json["longest_running_seconds"].number
        deadLettered = json["dead_lettered_total"].integer
        unreadDeadLetters = json["unread_dead_letters_total"].integer
        var history: [String: [Double?]] = [:]
        if case .object(let members) = json["history"] {
            for (name, values) in members where values.isArray { history[name] = values.elements.map(\.number) }
        }
        self.history = history
    }
}

extension TopQueue {
    /// Returns a quantile of the wait, with a mark where it was sampled.
    func waitText(_ seconds: Double?) -> String {
        guard isWaitSampled, let seconds else { return Quantity.seconds(seconds) }
        // The mark takes a cell, so minutes have no tenths.
        return "~" + Quantity.seconds((90..<600).contains(seconds) ? (seconds / 60).rounded() * 60 : seconds)
    }
}

/// A live server.
struct TopServer: Sendable, Equatable {
    let host: String?
    let pid: Int64?
    let concurrency: Int64?
    let busyWorkers: Int64?

    init(_ json: JSONValue) {
        host = json["host"].string
        pid = json["pid"].integer
        concurrency = json["concurrency"].integer
        busyWorkers = json["busy_workers"].integer
    }
}

extension JSONValue {
    /// The time of an RFC 3339 text.
    var time: WallTime? { string.flatMap { RFC3339.parse(Array($0.utf8)) } }
}
