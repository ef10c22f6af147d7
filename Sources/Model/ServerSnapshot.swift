/// A live Asynq server, as its own heartbeat describes it (`ServerInfo` under `asynq:servers:{host:pid:id}`).
package struct ServerSnapshot: Sendable, Equatable {
    package var host: ForeignText
    package var pid: Int64
    package var id: ForeignText
    /// The number of tasks that it may run at a time.
    package var concurrency: Int64
    /// The queues that it consumes.
    package var queues: [QueueName]
    /// The weight of each queue: how often the server looks at it first. Under strict priority the highest comes first.
    package var priorities: [QueueName: Int64] = [:]
    /// The status as the server says it: `active`, `stopped`, ….
    package var status: ForeignText
    /// The number of tasks that it runs now (at most five seconds old).
    package var busyWorkers: Int64
    package var startedAt: WallTime?
    /// The tasks that it runs, the longest-running first. A long list is cut to these.
    package var running: [RunningTask] = []

    package init(
        host: ForeignText, pid: Int64, id: ForeignText, concurrency: Int64, queues: [QueueName], status: ForeignText,
        busyWorkers: Int64
    ) {
        self.host = host
        self.pid = pid
        self.id = id
        self.concurrency = concurrency
        self.queues = queues
        self.status = status
        self.busyWorkers = busyWorkers
    }
}

/// One cron entry of a live scheduler (`SchedulerEntry` in the list `asynq:schedulers:{id}`).
package struct SchedulerEntrySnapshot: Sendable, Equatable {
    package var id: ForeignText
    package var spec: ForeignText
    package var taskType: TaskType
    /// The key of its scheduler.
    package var scheduler: [UInt8]
    /// The ticks of cron, whether enqueueing worked or not. They are nil where the entry has never ticked, or will
    /// never tick again.
    package var nextEnqueue: WallTime?
    package var previousEnqueue: WallTime?
    /// The time at which it last enqueued a task, in whole seconds; nil where it never has, or where the time can't be
    /// read.
    package var lastEnqueued: WallTime?
    /// True if the time at which it last enqueued a task could not be read.
    package var isLastEnqueuedUnknown = false

    package init(
        id: ForeignText, spec: ForeignText, taskType: TaskType, scheduler: [UInt8], nextEnqueue: WallTime?,
        previousEnqueue: WallTime?
    ) {
        self.id = id
        self.spec = spec
        self.taskType = taskType
        self.scheduler = scheduler
        self.nextEnqueue = nextEnqueue
        self.previousEnqueue = previousEnqueue
    }
}

/// Redis itself as INFO describes it. A value is absent where Redis does not say it or the ACL forbids the command.
package struct RedisInfo: Sendable, Equatable {
    package var usedMemoryBytes: Int64?
    /// The limit of Redis' memory; 0 means unlimited.
    package var maxMemoryBytes: Int64?
    package var evictedKeys: Int64?
    package var connectedClients: Int64?
    /// Redis' clock when it answered, microseconds since 1970.
    package var timeMicroseconds: Int64?

    package init() {}
}
