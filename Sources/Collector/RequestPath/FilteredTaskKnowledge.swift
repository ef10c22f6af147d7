import AsynqRedis
import Model
import SpanReceiver
import Synchronization

/// The receiver's source of what Redis knows of tasks: `SeenTasks` and `TaskLookup` behind one seam. Queues that the
/// filter leaves out are not asked for.
final class FilteredTaskKnowledge: TaskKnowledgeSource {
    private let seen: SeenTasks
    private let lookup: TaskLookup
    private let filter: Mutex<CompiledQueueFilter>

    init(seen: SeenTasks, lookup: TaskLookup, filter: QueueFilter) {
        self.seen = seen
        self.lookup = lookup
        self.filter = Mutex(filter.compiled())
    }

    func setFilter(_ new: QueueFilter) {
        filter.withLock { $0 = new.compiled() }
    }

    func look(for spans: inout [TaskSpan], in body: UnsafeRawBufferPointer) {
        seen.look(for: &spans, in: body)
    }

    func lookUp(_ questions: [TaskQuestion], whenDone: @escaping @Sendable () -> Void) -> Bool {
        let allowed = filter.withLock { filter in
            var allowed: [TaskQuestion] = []
            for question in questions where filter.accepts(question.task.queue) { allowed.append(question) }
            return allowed
        }
        return !allowed.isEmpty && lookup.lookUp(allowed, whenDone: whenDone)
    }
}
