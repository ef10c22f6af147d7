import Metrics
import Model
import Synchronization

/// The label sets of one queue's series that are read from Redis. The name stands in memory once.
struct QueueLabelSets: Sendable {
    private static let statuses = ["completed", "failed"].map { LabelSet.Addition(["status": LabelText($0)]) }
    private static let states = TaskState.allCases.map { LabelSet.Addition(["state": LabelText($0.rawValue)]) }

    let queue: LabelSet

    init(_ name: QueueName) {
        queue = LabelSet([("queue", LabelText(name))])
    }

    private init(queue: LabelSet) {
        self.queue = queue
    }

    static let other = QueueLabelSets(queue: RedisLabelBudget.otherQueue)

    var completed: LabelSet { queue.adding(Self.statuses[0]) }
    var failed: LabelSet { queue.adding(Self.statuses[1]) }

    /// Calls `body` with each state and the labels of its value.
    func forEachState(_ body: (TaskState, LabelSet) -> Void) {
        for (state, addition) in zip(TaskState.allCases, Self.states) { body(state, queue.adding(addition)) }
    }

    /// The label sets of the queues that the last scrape saw: escaping names costs more than a page.
    final class Cache: Sendable {
        private let known = Mutex<[QueueName: QueueLabelSets]>([:])

        /// Returns the label sets in the order of the queues. Queues that are gone are removed.
        func labels(of queues: [QueueSnapshot]) -> [QueueLabelSets] {
            known.withLock { known in
                var present: [QueueName: QueueLabelSets] = [:]
                let labels = queues.map { queue in
                    let labels = known[queue.name] ?? QueueLabelSets(queue.name)
                    present[queue.name] = labels
                    return labels
                }
                known = present
                return labels
            }
        }
    }
}
