import AsynqRedis
import Attention
package import Model
package import Web

/// The answers of the web endpoints about single errors, traces and tasks.
extension Collector {
    package func errorGroups() -> [ErrorGroup] { errors.all }

    package func trace(_ id: TraceID) -> TraceReply {
        guard let recentTraces else { return .absent("no spans are kept in memory (traces.recent-max-bytes is 0)") }
        return recentTraces.document(of: id).map { .document($0) } ?? .absent("no span of this trace is in memory")
    }

    package func findTask(_ task: TaskName, whenDone: @escaping @Sendable (TaskReply) -> Void) {
        guard let redis else { return whenDone(.unavailable("redis.url is none: tasks are not looked for")) }
        redis.monitor.findTask(TaskName(queue: knownQueue(task.queue.bytes), id: task.id)) { [errors] answer in
            switch answer {
            case .answer(var details?):
                details.attemptTrace = errors.attemptTrace(of: details.task)
                whenDone(.found(details))
            case .answer(nil): whenDone(.absent)
            case .refused(let refusal): whenDone(TaskReply(refusal))
            }
        }
    }

    package func searchTask(id: [UInt8], whenDone: @escaping @Sendable (TaskReply) -> Void) {
        guard let redis else { return whenDone(.unavailable("redis.url is none: tasks are not looked for")) }
        redis.monitor.searchTask(id: id) { answer in
            switch answer {
            case .answer(let search): whenDone(.searched(search))
            case .refused(let refusal): whenDone(TaskReply(refusal))
            }
        }
    }

    package func readRetries(ofQueue name: [UInt8], whenDone: @escaping @Sendable () -> Void) {
        let name = knownQueue(name)
        guard let redis, watch.current.rows.contains(where: { $0.name == name }) else { return whenDone() }
        redis.monitor.dueRetries(of: name) { _ in whenDone() }
    }

    /// Returns the queue of this name. Documents have names as people can read them, so it may be that form of it.
    func knownQueue(_ bytes: [UInt8]) -> QueueName {
        let name = QueueName(bytes)
        let rows = watch.current.rows
        if rows.contains(where: { $0.name == name }) { return name }
        return rows.first { $0.name.printable.utf8.elementsEqual(bytes) }?.name ?? name
    }
}

extension TaskReply {
    init(_ refusal: InquiryRefusal) {
        switch refusal {
        case .busy: self = .busy
        case .unavailable(let reason): self = .unavailable("Redis can't be read: \(reason)")
        }
    }
}
