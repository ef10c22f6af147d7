import Attention
import Logging
import Model
import Platform

/// Logs each trouble once when it begins and once when it ends, a few lines a minute at most.
struct TroubleLog: Sendable {
    private static let maxLines = 20
    private static let window = Duration.seconds(60)

    private struct Key: Hashable {
        let condition: Condition
        let queue: QueueName?
    }

    private let logger: Logger
    private var open: Set<Key> = []
    private var windowStart = MonotonicTime(nanoseconds: 0)
    private var lines = 0

    init(_ logger: Logger) {
        self.logger = logger
    }

    /// Records the present troubles. Those that are not logged for lack of lines are on the status page.
    mutating func record(_ troubles: [Trouble], at now: MonotonicTime) {
        if now.duration(since: windowStart) >= Self.window {
            if lines > Self.maxLines {
                logger.notice("more troubles began or ended", metadata: ["lines": "\(lines - Self.maxLines)"])
            }
            (windowStart, lines) = (now, 0)
        }
        var present: Set<Key> = []
        for trouble in troubles where trouble.isFiring {
            let key = Key(condition: trouble.condition, queue: trouble.queue)
            guard present.insert(key).inserted, !open.contains(key) else { continue }
            log(
                "trouble began", of: key,
                more: ["severity": "\(trouble.severity.rawValue)", "what": "\(trouble.sentence)"])
        }
        for key in open.subtracting(present) { log("trouble ended", of: key) }
        open = present
    }

    private mutating func log(_ text: Logger.Message, of key: Key, more: Logger.Metadata = [:]) {
        lines += 1
        if lines > Self.maxLines { return }
        var metadata = more
        metadata["alert"] = "\(key.condition.rawValue)"
        if let queue = key.queue { metadata["queue"] = "\(queue.printable)" }
        logger.notice(text, metadata: metadata)
    }
}
