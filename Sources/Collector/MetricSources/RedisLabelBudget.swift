import Metrics

/// What the labels of queues, servers and cron entries that Redis names may take on a page together, and which labels are there
/// already: a name that was cut may look like another one. One for each scrape; used by the thread that makes its families.
final class RedisLabelBudget {
    static let maxBytes = 4 << 20
    /// What a series takes beside its labels.
    private static let bytesPerName = 128

    /// Whose names find no room.
    enum Name: String, CaseIterable {
        case queue
        case server = "server_id"
        case schedulerEntry = "entry_id"
    }

    /// The labels under which those are put together that have none of their own.
    static let otherQueue = LabelSet(["queue": "_other"])
    static let otherServer = LabelSet(["host": "_other", "pid": "_other", "server_id": "_other"])

    private var bytes = 0
    /// A queue or a server that is called so itself is one of the others.
    private var taken: [Name: Set<[UInt8]>] = [.queue: [otherQueue.encoded], .server: [otherServer.encoded]]
    /// Names without a label of their own.
    private(set) var refused: [Name: Int] = [:]

    /// Whether a series may have these labels; if not, it is counted.
    func admit(_ labels: LabelSet, _ name: Name) -> Bool {
        let size = labels.byteCount + Self.bytesPerName
        if bytes + size <= Self.maxBytes, taken[name, default: []].insert(labels.encoded).inserted {
            bytes += size
            return true
        }
        refused[name, default: 0] += 1
        return false
    }
}
