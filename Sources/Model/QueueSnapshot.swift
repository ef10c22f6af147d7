/// The states that Asynq gives a task, under the names it stores in the task's hash.
package enum TaskState: String, CaseIterable, Sendable {
    case pending, active, scheduled, retry, archived, completed, aggregating
}

/// One queue as one scrape saw it. A value that could not be read is absent, never zero.
package struct QueueSnapshot: Sendable, Equatable {
    package let name: QueueName
    /// The number of tasks in each state: LLEN of the two lists, ZCARD of the four sorted sets, and the sum of ZCARD
    /// over the groups.
    package var size: [TaskState: Int64] = [:]
    /// The number of groups (SCARD `groups`).
    package var groups: Int64?
    /// The age of the next task to be dequeued, in nanoseconds. It is never negative, and 0 where no task is pending or
    /// the next one has no `pending_since`.
    package var latencyNanoseconds: Int64?
    package var isPaused: Bool?
    /// The time at which the queue was paused, by the clock of the machine that paused it. It is nil where the queue
    /// runs, or where its key does not say the time.
    package var pausedAt: WallTime?
    /// The total since the key was made, failures included, as Redis says it.
    package var processed: Int64?
    /// The totals as they are passed on (`RisingCounter`): failures, and `processed` − failures.
    package var failed: Int64?
    package var completed: Int64?
    /// True if `asynq:queues` has the queue, false where only live servers name it, nil where the set was never read.
    package var isRegistered: Bool?
    /// The number of active tasks whose lease has expired, because their worker stopped renewing it.
    package var orphaned: Int64?
    /// The time at which the first of their leases expired, by Redis' clock; nil where there are none.
    package var orphanedSince: WallTime?
    /// The time for which the longest task has been running, by its worker's clock; nil where none runs.
    package var longestRunning: Duration?
    /// The number of scheduled and retry tasks whose time has passed and that no server has moved to pending.
    package var overdue: [TaskState: Int64] = [:]
    /// The time at which the first of them was due; nil where there are none.
    package var overdueSince: [TaskState: WallTime] = [:]
    /// The number of tasks that were seen to enter the archive since the start.
    package var deadLettered: UInt64?
    /// The memory of the queue, estimated as Asynq does it, at most one sampling interval old.
    package var memoryBytes: Int64?
    /// The number of `deadLettered` tasks whose message was not read: most of them because newer ones came too fast.
    package var unreadDeadLetters: UInt64 = 0
    /// The keys of this queue that could not be read: they are of another type, have a malformed value, or may not be read.
    package var problem: ReadProblem?
    /// The same for the keys without which workers can't run the queue's tasks.
    package var workProblem: ReadProblem?

    package init(name: QueueName) {
        self.name = name
    }
}

/// The reason why a scrape, or a part of it, failed: the `reason` of `asynq_redis_scrape_errors_total`.
package enum ScrapeErrorReason: String, CaseIterable, Sendable {
    /// No connection could be made, or it broke.
    case connection
    /// The TLS handshake failed: the certificate was refused, or the port speaks plain text.
    case tls
    /// The budget of the scrape (`redis.timeout`) ran out.
    case timeout
    /// The credentials are missing or refused (NOAUTH, WRONGPASS).
    case authentication
    /// The ACL forbids a command (NOPERM).
    case permission
    /// Redis is loading its data set (LOADING).
    case loading
    /// A replica has lost its master (MASTERDOWN).
    case masterDown = "master_down"
    /// Redis answered READONLY, OOM or BUSY, which no command of the collector should get.
    case readOnly = "read_only"
    case outOfMemory = "out_of_memory"
    case busy
    /// Slots of a Cluster have no node (CLUSTERDOWN), or their node could not be found.
    case clusterDown = "cluster_down"
    /// Redis answered with another error.
    case server
    /// A key holds another type than Asynq writes there (WRONGTYPE).
    case wrongType = "wrong_type"
    /// A value has a form that Asynq never writes there.
    case malformed
    /// The peer does not speak the Redis protocol.
    case protocolError = "protocol"
    /// A documented bound cut the work short.
    case limit
}

/// The result of one whole scrape.
package struct RedisSnapshot: Sendable {
    package var queues: [QueueSnapshot]
    /// The live servers, or nil where none of them could be read.
    package var servers: [ServerSnapshot]?
    /// The reason why servers are missing, for people; nil where all of them could be read.
    package var serversProblem: String?
    /// The cron entries of live schedulers, or nil where none of them could be read.
    package var schedulerEntries: [SchedulerEntrySnapshot]?
    /// The reason why cron entries, or the times of their tasks, are missing; nil where all of them could be read.
    package var cronProblem: String?
    package var info = RedisInfo()
    /// The collector's wall clock just before the per-queue commands were sent.
    package let takenAt: WallTime
    /// Redis' clock minus the collector's, or nil where Redis does not tell its time.
    package var clockOffset: Duration?
    /// The causes of what was left out, one entry each. Each costs its own sample only.
    package var partialErrors: [ScrapeErrorReason]
    /// The texts of these causes for the log: the first few, each once.
    package var errorMessages: [String] = []

    package init(queues: [QueueSnapshot], takenAt: WallTime, partialErrors: [ScrapeErrorReason]) {
        self.queues = queues
        self.takenAt = takenAt
        self.partialErrors = partialErrors
    }
}
