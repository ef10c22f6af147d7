/// The queue and the id that name one task: ids are unique within a queue only.
package struct TaskName: Hashable, Sendable {
    package let queue: QueueName
    package let id: [UInt8]

    package init(queue: QueueName, id: [UInt8]) {
        self.queue = queue
        self.id = id
    }
}
