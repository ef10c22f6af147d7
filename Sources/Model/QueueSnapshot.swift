/// The states that Asynq gives a task, under the names it stores in the task's hash.
package enum TaskState: String, CaseIterable, Sendable {
    case pending, active, scheduled, retry, archived, completed, aggregating
}

/// What one scrape saw of one queue. A value that could not be read is absent, never zero.
package struct QueueSnapshot: Sendable, Equatable {
    package let name: QueueName
    /// Tasks: LLEN of the two lists, ZCARD of the four sorted sets, and the sum of ZCARD over the groups.
    package var size: [TaskState: Int64] = [:]
    /// SCARD `groups`.
    package var groups: Int64?
    /// Age of the next task to be dequeued, in nanoseconds; never negative, 0 where no task is pending or the next one
    /// has no `pending_since`.
    package var latencyNanoseconds: Int64?
    package var isPaused: Bool?
    /// When it was paused, by the clock of the machine that paused it; nil where it is not, or where its key does not say.
    package var pausedAt: WallTime?
    /// The total since the key was made, failures included, as Redis says it.
    package var processed: Int64?
    /// Totals as they are passed on (`RisingCounter`): failures, and `processed` − failures.
    package var failed: Int64?
    package var completed: Int64?
    /// Whether `asynq:queues` has it; false where only live servers name it, nil where the set was never read.
    package var isRegistered: Bool?
    /// Active tasks whose lease has expired: their worker is gone.
    package var orphaned: Int64?
    /// How long the task that runs longest has been running, by its worker; nil where none runs.
    package var longestRunning: Duration?
    /// Scheduled and retry tasks whose time has passed: no server forwards them.
    package var overdue: [TaskState: Int64] = [:]
    /// Tasks seen to enter the archive since the start.
    package var deadLettered: UInt64?
    /// Estimated as Asynq does it, at most one sampling interval old.
    package var memoryBytes: Int64?

    package init(name: QueueName) {
        self.name = name
    }
}

/// Why a scrape, or a part of it, failed: the `reason` of `asynq_redis_scrape_errors_total`.
package enum ScrapeErrorReason: String, CaseIterable, Sendable {
    /// No connection could be made, or it broke.
    case connection
    /// No TLS session: a certificate that is not accepted, or a port that speaks no TLS.
    case tls
    /// The budget of the scrape (`redis.timeout`) ran out.
    case timeout
    /// Credentials missing or refused (NOAUTH, WRONGPASS).
    case authentication
    /// The ACL forbids a command (NOPERM).
    case permission
    /// Redis is loading its data set (LOADING).
    case loading
    /// A replica has lost its master (MASTERDOWN).
    case masterDown = "master_down"
    /// READONLY, OOM and BUSY, which no command of ours should get.
    case readOnly = "read_only"
    case outOfMemory = "out_of_memory"
    case busy
    /// Slots of a Cluster without a node (CLUSTERDOWN), or that could not be found.
    case clusterDown = "cluster_down"
    /// Redis answered with another error.
    case server
    /// A key holds another type than Asynq writes there (WRONGTYPE).
    case wrongType = "wrong_type"
    /// A value is not what Asynq writes there.
    case malformed
    /// The peer does not speak the Redis protocol.
    case protocolError = "protocol"
    /// A documented bound cut the work short.
    case limit
}

/// What one whole scrape saw.
package struct RedisSnapshot: Sendable {
    package var queues: [QueueSnapshot]
    /// nil where the index could not be read.
    package var servers: [ServerSnapshot]?
    package var schedulerEntries: [SchedulerEntrySnapshot]?
    package var info = RedisInfo()
    /// Our wall clock just before the per-queue commands were sent.
    package let takenAt: WallTime
    /// Redis' clock minus ours; nil where Redis does not tell its time.
    package var clockOffset: Duration?
    /// What was left out, one entry a cause; each costs its own sample only.
    package var partialErrors: [ScrapeErrorReason]
    /// What they say, for the log: the first few, each once.
    package var errorMessages: [String] = []

    package init(queues: [QueueSnapshot], takenAt: WallTime, partialErrors: [ScrapeErrorReason]) {
        self.queues = queues
        self.takenAt = takenAt
        self.partialErrors = partialErrors
    }
}
