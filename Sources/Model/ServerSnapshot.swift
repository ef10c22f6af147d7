/// A live Asynq server, as its own heartbeat describes it (`ServerInfo` under `asynq:servers:{host:pid:id}`).
package struct ServerSnapshot: Sendable, Equatable {
    package var host: ForeignText
    package var pid: Int64
    package var id: ForeignText
    /// Tasks that it may run at a time.
    package var concurrency: Int64
    /// The queues that it consumes.
    package var queues: [QueueName]
    /// How often it looks at a queue first, beside the others; a higher one comes first where it is strict.
    package var priorities: [QueueName: Int64] = [:]
    /// `active`, `stopped`, … as the server says it.
    package var status: ForeignText
    /// Tasks that it runs now (at most five seconds old).
    package var busyWorkers: Int64
    package var startedAt: WallTime?
    /// What it runs, the longest first; of very many tasks those that have run for longest.
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
    /// The ticks of cron, whether enqueueing worked or not; nil where the entry has never ticked, or will never tick again.
    package var nextEnqueue: WallTime?
    package var previousEnqueue: WallTime?
    /// When it last enqueued a task, whole seconds; nil where it has not, or where that can't be read.
    package var lastEnqueued: WallTime?

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

/// What INFO says of Redis itself; each value is absent where Redis does not say it or the ACL forbids to ask.
package struct RedisInfo: Sendable, Equatable {
    package var usedMemoryBytes: Int64?
    /// 0 = no limit.
    package var maxMemoryBytes: Int64?
    package var evictedKeys: Int64?
    package var connectedClients: Int64?
    /// Redis' clock when it answered, microseconds since 1970.
    package var timeMicroseconds: Int64?

    package init() {}
}
