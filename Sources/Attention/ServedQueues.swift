package import Model

/// The live, active servers that consume each queue, summed up.
package struct ServedQueues: Sendable {
    package struct Workers: Sendable, Equatable {
        package var consumers: Int64 = 0
        /// The number of tasks that those servers run at a time, over all their queues.
        package var concurrency: Int64 = 0
        /// The number of tasks that they run now, over all their queues.
        package var busy: Int64 = 0
    }

    private static let activeStatus = ForeignText("active")

    private var workers: [QueueName: Workers] = [:]
    /// The workers of a queue that no known server consumes; nil where other servers could not be read.
    private let ofOthers: Workers?

    /// Returns nil where no server could be read.
    package init?(_ snapshot: RedisSnapshot) {
        guard let servers = snapshot.servers else { return nil }
        ofOthers = snapshot.serversProblem == nil ? Workers() : nil
        for server in servers where server.status == Self.activeStatus {
            for queue in Set(server.queues) {
                workers[queue, default: Workers()].consumers += 1
                workers[queue, default: Workers()].concurrency &+= server.concurrency
                workers[queue, default: Workers()].busy &+= server.busyWorkers
            }
        }
    }

    /// Returns the workers of a queue: zeros where no server consumes it, nil where that is unknown.
    package subscript(queue: QueueName) -> Workers? { workers[queue] ?? ofOthers }
}
