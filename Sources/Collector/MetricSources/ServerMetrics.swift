import Metrics
import Model

/// The families about Asynq's servers and schedulers, and about Redis itself.
enum ServerMetrics {
    private static let activeStatus = ForeignText("active")

    /// Live servers of status `active` that consume each queue, and their concurrency; 0 for a queue nobody serves.
    static func consumers(
        of queues: [QueueSnapshot], _ labels: [QueueLabelSets], by servers: [ServerSnapshot]
    ) -> [MetricFamily] {
        var served: [QueueName: (consumers: Int64, concurrency: Int64)] = [:]
        for server in servers where server.status == activeStatus {
            for queue in Set(server.queues) {
                let sum = served[queue] ?? (0, 0)
                served[queue] = (sum.consumers + 1, sum.concurrency &+ server.concurrency)
            }
        }
        var consumers = MetricFamily(
            "asynq_queue_consumers", .gauge,
            "Live, active servers that consume the queue; 0 with pending tasks: nobody works.")
        var concurrency = MetricFamily(
            "asynq_queue_concurrency", .gauge,
            "Tasks that those servers run at a time, over all their queues: the most that this one can get.")
        for (queue, labels) in zip(queues, labels) {
            consumers.add(served[queue.name]?.consumers ?? 0, labels.queue)
            concurrency.add(served[queue.name]?.concurrency ?? 0, labels.queue)
        }
        return [consumers, concurrency]
    }

    static func families(of servers: [ServerSnapshot]) -> [MetricFamily] {
        var byStatus = MetricFamily(
            "asynq_servers", .gauge,
            "Live servers, by the status that they report; fewer than deployed: some crashed, or lost Redis.")
        var statuses: [ForeignText: Int] = [activeStatus: 0]
        for server in servers { statuses[server.status, default: 0] += 1 }
        for (status, count) in statuses.sorted(by: { $0.key < $1.key }) {
            byStatus.add(count, LabelSet([("status", status)]))
        }
        var concurrency = MetricFamily(
            "asynq_server_concurrency", .gauge,
            "Tasks that the server runs at a time at most (asynq.Config.Concurrency); where all are busy and the machine is not, "
                + "raise it.")
        var busy = MetricFamily(
            "asynq_server_busy_workers", .gauge, "Tasks that the server runs now; equal to the concurrency: it is full."
        )
        var seen: Set<ForeignText> = []
        for server in servers.sorted(by: { $0.id < $1.id }) where seen.insert(server.id).inserted {
            let labels = LabelSet([
                ("host", server.host), ("pid", ForeignText(String(server.pid))), ("server_id", server.id),
            ])
            concurrency.add(server.concurrency, labels)
            busy.add(server.busyWorkers, labels)
        }
        return [byStatus, concurrency, busy]
    }

    static func families(of entries: [SchedulerEntrySnapshot]) -> [MetricFamily] {
        var count = MetricFamily(
            "asynq_scheduler_entries", .gauge, "Cron entries of live schedulers; falling: a cron is dead.")
        count.add(entries.count)
        var next = MetricFamily(
            "asynq_scheduler_entry_next_enqueue_timestamp_seconds", .gauge,
            "Cron's next tick of the entry, whether enqueueing will work or not; in the past for long: the scheduler hangs."
        )
        var previous = MetricFamily(
            "asynq_scheduler_entry_prev_enqueue_timestamp_seconds", .gauge,
            "Cron's last tick of the entry, whether enqueueing worked or not, absent if it has not ticked; compare it with "
                + "asynq_scheduler_entry_last_enqueued_timestamp_seconds.")
        var enqueued = MetricFamily(
            "asynq_scheduler_entry_last_enqueued_timestamp_seconds", .gauge,
            "When the entry last enqueued a task, absent if it has not; before its last tick: enqueueing fails, the scheduler's log "
                + "says why.")
        var seen: Set<ForeignText> = []
        for entry in entries.sorted(by: { $0.id < $1.id }) where seen.insert(entry.id).inserted {
            let labels = LabelSet([("task_type", entry.taskType), ("spec", entry.spec), ("entry_id", entry.id)])
            if let time = entry.nextEnqueue { next.add(time.seconds, labels) }
            if let time = entry.previousEnqueue { previous.add(time.seconds, labels) }
            if let time = entry.lastEnqueued { enqueued.add(time.seconds, labels) }
        }
        return [count, next, previous, enqueued, schedulers(of: entries)]
    }

    /// One scheduler may have several entries with the same spec and task type, for other payloads.
    private static func schedulers(of entries: [SchedulerEntrySnapshot]) -> MetricFamily {
        var family = MetricFamily(
            "asynq_scheduler_entry_schedulers", .gauge,
            "Live schedulers that have an entry with this spec and task type; above 1: each of them enqueues at each tick."
        )
        var byType: [TaskType: [ForeignText: Set<[UInt8]>]] = [:]
        for entry in entries { byType[entry.taskType, default: [:]][entry.spec, default: []].insert(entry.scheduler) }
        for (type, bySpec) in byType.sorted(by: { $0.key < $1.key }) {
            for (spec, schedulers) in bySpec.sorted(by: { $0.key < $1.key }) {
                family.add(schedulers.count, LabelSet([("task_type", type), ("spec", spec)]))
            }
        }
        return family
    }

    static func families(of info: RedisInfo) -> [MetricFamily] {
        var families: [MetricFamily] = []
        func add(_ name: String, _ kind: MetricKind, _ help: String, _ value: Int64?) {
            if let value { families.append(MetricFamily(name, kind, help, value: Double(value))) }
        }
        add(
            "asynq_redis_used_memory_bytes", .gauge,
            "Memory that Redis uses; near its limit it refuses or evicts tasks.",
            info.usedMemoryBytes)
        add(
            "asynq_redis_max_memory_bytes", .gauge,
            "Redis' memory limit (maxmemory), 0 = none but the machine's; once it is used up, Redis evicts tasks or refuses new "
                + "ones: raise it before.",
            info.maxMemoryBytes)
        add(
            "asynq_redis_evicted_keys_total", .counter,
            "Keys that Redis evicted for lack of memory: each one may be a lost task.", info.evictedKeys)
        add(
            "asynq_redis_connected_clients", .gauge,
            "Clients connected to Redis; rising without more workers: somebody does not close connections.",
            info.connectedClients)
        return families
    }
}
