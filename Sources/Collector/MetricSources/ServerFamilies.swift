import Metrics

/// The families about Asynq's servers and schedulers, and about Redis itself.
struct ServerFamilies: Sendable {
    let queueConsumers = FamilyDeclaration(
        "asynq_queue_consumers", .gauge, labels: ["queue"],
        """
        Live, active servers that consume the queue. If it is 0 and tasks are pending, start workers that serve the \
        queue.
        """)
    let queueConcurrency = FamilyDeclaration(
        "asynq_queue_concurrency", .gauge, labels: ["queue"],
        "Tasks that the queue's live servers run at a time, over all their queues: the most that this queue can get.")
    let servers = FamilyDeclaration(
        "asynq_servers", .gauge, labels: ["status"],
        "Live servers, by the status that they report. If fewer than deployed, some crashed or lost Redis.")
    let serverConcurrency = FamilyDeclaration(
        "asynq_server_concurrency", .gauge, labels: ["host", "pid", "server_id"],
        """
        The most tasks that the server runs at a time (asynq.Config.Concurrency). If all are busy and the machine is \
        not, raise it.
        """)
    let serverBusyWorkers = FamilyDeclaration(
        "asynq_server_busy_workers", .gauge, labels: ["host", "pid", "server_id"],
        "Tasks that the server runs now. If it equals the concurrency, the server is full.")
    let schedulerEntries = FamilyDeclaration(
        "asynq_scheduler_entries", .gauge,
        "Cron entries of live schedulers. If it falls, a scheduler has stopped.")
    let schedulerEntryNextEnqueueTimestampSeconds = FamilyDeclaration(
        "asynq_scheduler_entry_next_enqueue_timestamp_seconds", .gauge, labels: ["task_type", "spec", "entry_id"],
        """
        Cron's next tick of the entry, whether or not enqueueing will work. If it stays in the past, the scheduler \
        hangs.
        """)
    let schedulerEntryPrevEnqueueTimestampSeconds = FamilyDeclaration(
        "asynq_scheduler_entry_prev_enqueue_timestamp_seconds", .gauge, labels: ["task_type", "spec", "entry_id"],
        """
        Cron's last tick of the entry, whether or not enqueueing worked; absent before the first. Compare it with \
        asynq_scheduler_entry_last_enqueued_timestamp_seconds.
        """)
    let schedulerEntryLastEnqueuedTimestampSeconds = FamilyDeclaration(
        "asynq_scheduler_entry_last_enqueued_timestamp_seconds", .gauge, labels: ["task_type", "spec", "entry_id"],
        """
        When the entry last enqueued a task; absent if it has not. If this is before the entry's last tick, enqueueing \
        fails, and the scheduler's log says why.
        """)
    let schedulerEntrySchedulers = FamilyDeclaration(
        "asynq_scheduler_entry_schedulers", .gauge, labels: ["task_type", "spec"],
        """
        Live schedulers that have an entry with this spec and task type. Above 1, each of them enqueues at each tick.
        """)
    let redisUsedMemoryBytes = FamilyDeclaration(
        "asynq_redis_used_memory_bytes", .gauge,
        "Memory that Redis uses. Near its limit, Redis refuses or evicts tasks.")
    let redisMaxMemoryBytes = FamilyDeclaration(
        "asynq_redis_max_memory_bytes", .gauge,
        """
        Redis' memory limit (maxmemory); 0 means only the machine's. Raise it before it is used up, or Redis evicts \
        tasks or refuses new ones.
        """)
    let redisEvictedKeysTotal = FamilyDeclaration(
        "asynq_redis_evicted_keys_total", .counter, countsFrom: .unknown,
        "Keys that Redis evicted for lack of memory. Each may be a lost task.")
    let redisConnectedClients = FamilyDeclaration(
        "asynq_redis_connected_clients", .gauge,
        "Clients connected to Redis. If it rises without more workers, a client does not close its connections.")
}
