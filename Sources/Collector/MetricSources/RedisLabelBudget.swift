import Metrics

/// The budget of the labels of queues, servers and cron entries that Redis names on a page, and the labels in use: a
/// name that was cut may look like another one. There is one for each scrape; the thread that makes its families uses
/// it.
final class RedisLabelBudget {
    /// The budget of a single scrape, which holds nothing else.
    static let maxBytes = 4 << 20
    /// The bytes that a series takes beside its labels.
    private static let bytesPerName = 128

    /// The kind of a name that did not fit.
    enum Name: String, CaseIterable {
        case queue
        case server = "server_id"
        case schedulerEntry = "entry_id"
    }

    /// The labels under which those are put together that have none of their own.
    static let otherQueue = LabelSet(["queue": "_other"])
    static let otherServer = LabelSet(["host": "_other", "pid": "_other", "server_id": "_other"])

    private let maxBytes: Int
    /// The bytes that the labels take.
    private(set) var bytes = 0
    /// The labels in use. A queue or a server that is called like `_other` is one of the others.
    private var taken: [Name: Set<[UInt8]>] = [.queue: [otherQueue.encoded], .server: [otherServer.encoded]]
    /// The number of names without a label of their own.
    private(set) var refused: [Name: Int] = [:]

    init(maxBytes: Int = RedisLabelBudget.maxBytes) {
        self.maxBytes = maxBytes
    }

    /// Returns true if a series may have these labels; if not, it is counted.
    func admit(_ labels: LabelSet, _ name: Name) -> Bool {
        let size = labels.byteCount + Self.bytesPerName
        if bytes + size <= maxBytes, taken[name, default: []].insert(labels.encoded).inserted {
            bytes += size
            return true
        }
        refused[name, default: 0] += 1
        return false
    }
}
