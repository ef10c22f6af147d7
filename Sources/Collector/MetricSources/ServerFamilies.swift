import Metrics

/// The families about Asynq's servers and schedulers, and about Redis itself.
struct ServerFamilies: Sendable {
    let queueConsumers = FamilyDeclaration(
        "asynq_queue_consumers", .gauge, labels: ["queue"],
        "Live, active servers that consume the queue; 0 with pending tasks: start workers that do.")
    let queueConcurrency = FamilyDeclaration(
        "asynq_queue_concurrency", .gauge, labels: ["queue"],
        "Tasks that those servers run at a time, over all their queues: the most that this one can get.")
    let servers = FamilyDeclaration(
        "asynq_servers", .gauge, labels: ["status"],
        "Live servers, by the status that they report; fewer than deployed: some crashed, or lost Redis.")
    let serverConcurrency = FamilyDeclaration(
        "asynq_server_concurrency", .gauge, labels: ["host", "pid", "server_id"],
        """
        Tasks that the server runs at a time at most (asynq.Config.Concurrency); where all are busy and the \
        machine is not, raise it.
        """)
    let serverBusyWorkers = FamilyDeclaration(
        "asynq_server_busy_workers", .gauge, labels: ["host", "pid", "server_id"],
        "Tasks that the server runs now; equal to the concurrency: it is full.")
    let schedulerEntries = FamilyDeclaration(
        "asynq_scheduler_entries", .gauge,
        "Cron entries of live schedulers; falling: a cron is dead.")
    let schedulerEntryNextEnqueueTimestampSeconds = FamilyDeclaration(
        "asynq_scheduler_entry_next_enqueue_timestamp_seconds", .gauge, labels: ["task_type", "spec", "entry_id"],
        """
        Cron's next tick of the entry, whether enqueueing will work or not; in the past for long: the scheduler \
        hangs.
        """)
    let schedulerEntryPrevEnqueueTimestampSeconds = FamilyDeclaration(
        "asynq_scheduler_entry_prev_enqueue_timestamp_seconds", .gauge, labels: ["task_type", "spec", "entry_id"],
        """
        Cron's last tick of the entry, whether enqueueing worked or not, absent if it has not ticked; compare it \
        with asynq_scheduler_entry_last_enqueued_timestamp_seconds.
        """)
    let schedulerEntryLastEnqueuedTimestampSeconds = FamilyDeclaration(
        "asynq_scheduler_entry_last_enqueued_timestamp_seconds", .gauge, labels: ["task_type", "spec", "entry_id"],
        """
        When the entry last enqueued a task, absent if it has not; before its last tick: enqueueing fails, the \
        scheduler's log says why.
        """)
    let schedulerEntrySchedulers = FamilyDeclaration(
        "asynq_scheduler_entry_schedulers", .gauge, labels: ["task_type", "spec"],
        """
        Live schedulers that have an entry with this spec and task type; above 1: each of them enqueues at each \
        tick.
        """)
    let redisUsedMemoryBytes = FamilyDeclaration(
        "asynq_redis_used_memory_bytes", .gauge,
        "Memory that Redis uses; near its limit it refuses or evicts tasks.")
    let redisMaxMemoryBytes = FamilyDeclaration(
        "asynq_redis_max_memory_bytes", .gauge,
        """
        Redis' memory limit (maxmemory), 0 = none but the machine's; once it is used up, Redis evicts tasks or \
        refuses new ones: raise it before.
        """)
    let redisEvictedKeysTotal = FamilyDeclaration(
        "asynq_redis_evicted_keys_total", .counter, countsFrom: .unknown,
        "Keys that Redis evicted for lack of memory: each one may be a lost task.")
    let redisConnectedClients = FamilyDeclaration(
        "asynq_redis_connected_clients", .gauge,
        "Clients connected to Redis; rising without more workers: a client does not close its connections.")
}
