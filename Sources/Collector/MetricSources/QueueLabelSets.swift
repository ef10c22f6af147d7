import Metrics
import Model
import Synchronization

/// The label sets of one queue's series that are read from Redis.
final class QueueLabelSets: Sendable {
    let queue: LabelSet
    let completed: LabelSet
    let failed: LabelSet
    /// In the order of `TaskState.allCases`.
    private let states: [LabelSet]

    init(_ name: QueueName) {
        func labels(_ more: (name: String, value: String)...) -> LabelSet {
            LabelSet([("queue", name)] + more.map { ($0.name, ForeignText($0.value)) })
        }
        queue = labels()
        completed = labels(("status", "completed"))
        failed = labels(("status", "failed"))
        states = TaskState.allCases.map { labels(("state", $0.rawValue)) }
    }

    /// With each state that has a value.
    func forEachState(_ body: (TaskState, LabelSet) -> Void) {
        for (state, labels) in zip(TaskState.allCases, states) { body(state, labels) }
    }

    /// Those of the queues on the last page: making the label sets of a thousand queues costs more than the page.
    final class Cache: Sendable {
        private let known = Mutex<[QueueName: QueueLabelSets]>([:])

        /// In the order of the queues. Queues that are gone are forgotten.
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
