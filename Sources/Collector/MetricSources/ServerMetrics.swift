import Metrics
import Model

/// The families about Asynq's servers and schedulers, and about Redis itself.
enum ServerMetrics {
    static let families = ServerFamilies()

    private static let activeStatus = ForeignText("active")
    private static let otherStatus = ForeignText("_other")

    /// Returns the live servers of status `active` that consume each queue, and their concurrency. A queue that none of
    /// them consumes has 0, or no number where other servers could not be read.
    static func consumers(
        of queues: [QueueSnapshot], _ labels: [QueueLabelSets], by servers: [ServerSnapshot], areAll: Bool = true
    ) -> [MetricFamily] {
        var served: [QueueName: (consumers: Int64, concurrency: Int64)] = [:]
        for server in servers where server.status == activeStatus {
            for queue in Set(server.queues) {
                let sum = served[queue] ?? (0, 0)
                served[queue] = (sum.consumers + 1, sum.concurrency &+ server.concurrency)
            }
        }
        var consumers = MetricFamily(families.queueConsumers)
        var concurrency = MetricFamily(families.queueConcurrency)
        for (queue, labels) in zip(queues, labels) {
            guard let sum = served[queue.name] ?? (areAll ? (0, 0) : nil) else { continue }
            consumers.add(sum.consumers, labels.queue)
            concurrency.add(sum.concurrency, labels.queue)
        }
        return [consumers, concurrency]
    }

    static func families(
        of servers: [ServerSnapshot], within budget: RedisLabelBudget = RedisLabelBudget()
    ) -> [MetricFamily] {
        var concurrency = MetricFamily(families.serverConcurrency)
        var busy = MetricFamily(families.serverBusyWorkers)
        var others: (concurrency: Int64, busy: Int64)?
        var seen: Set<ForeignText> = []
        for server in servers.sorted(by: { $0.id < $1.id }) where seen.insert(server.id).inserted {
            let labels = LabelSet([
                ("host", server.host), ("pid", ForeignText(String(server.pid))), ("server_id", server.id),
            ])
            if budget.admit(labels, .server) {
                concurrency.add(server.concurrency, labels)
                busy.add(server.busyWorkers, labels)
            } else {
                let sum = others ?? (0, 0)
                others = (sum.concurrency &+ server.concurrency, sum.busy &+ server.busyWorkers)
            }
        }
        if let others {
            concurrency.add(others.concurrency, RedisLabelBudget.otherServer)
            busy.add(others.busy, RedisLabelBudget.otherServer)
        }
        return [byStatus(servers), concurrency, busy]
    }

    /// The most statuses that have a series of their own; Asynq has four.
    private static let maxStatuses = 16

    private static func byStatus(_ servers: [ServerSnapshot]) -> MetricFamily {
        var family = MetricFamily(families.servers)
        var counts: [ForeignText: Int] = [activeStatus: 0]
        for server in servers {
            let status = LabelText(server.status).isCut ? otherStatus : server.status
            let isKnown = counts[status] != nil || counts.count < maxStatuses
            counts[isKnown ? status : otherStatus, default: 0] += 1
        }
        for (status, count) in counts.sorted(by: { $0.key < $1.key }) {
            family.add(count, LabelSet([("status", status)]))
        }
        return family
    }

    static func families(
        of entries: [SchedulerEntrySnapshot], within budget: RedisLabelBudget = RedisLabelBudget()
    ) -> [MetricFamily] {
        var count = MetricFamily(families.schedulerEntries)
        count.add(entries.count)
        var next = MetricFamily(families.schedulerEntryNextEnqueueTimestampSeconds)
        var previous = MetricFamily(families.schedulerEntryPrevEnqueueTimestampSeconds)
        var enqueued = MetricFamily(families.schedulerEntryLastEnqueuedTimestampSeconds)
        var seen: Set<ForeignText> = []
        for entry in entries.sorted(by: { $0.id < $1.id }) where seen.insert(entry.id).inserted {
            let labels = LabelSet([("task_type", entry.taskType), ("spec", entry.spec), ("entry_id", entry.id)])
            guard budget.admit(labels, .schedulerEntry) else { continue }
            if let time = entry.nextEnqueue { next.add(time.seconds, labels) }
            if let time = entry.previousEnqueue { previous.add(time.seconds, labels) }
            if let time = entry.lastEnqueued { enqueued.add(time.seconds, labels) }
        }
        return [count, next, previous, enqueued, schedulers(of: entries, within: budget)]
    }

    /// Returns the schedulers of an entry. One scheduler may have several entries with the same spec and task type, for
    /// other payloads.
    private static func schedulers(
        of entries: [SchedulerEntrySnapshot], within budget: RedisLabelBudget
    ) -> MetricFamily {
        var family = MetricFamily(families.schedulerEntrySchedulers)
        var byType: [TaskType: [ForeignText: Set<[UInt8]>]] = [:]
        for entry in entries { byType[entry.taskType, default: [:]][entry.spec, default: []].insert(entry.scheduler) }
        for (type, bySpec) in byType.sorted(by: { $0.key < $1.key }) {
            for (spec, schedulers) in bySpec.sorted(by: { $0.key < $1.key }) {
                let labels = LabelSet([("task_type", type), ("spec", spec)])
                if budget.admit(labels, .schedulerEntry) { family.add(schedulers.count, labels) }
            }
        }
        return family
    }

    static func families(of info: RedisInfo) -> [MetricFamily] {
        var found: [MetricFamily] = []
        func add(_ declaration: FamilyDeclaration, _ value: Int64?) {
            if let value { found.append(MetricFamily(declaration, value: Double(value))) }
        }
        add(families.redisUsedMemoryBytes, info.usedMemoryBytes)
        add(families.redisMaxMemoryBytes, info.maxMemoryBytes)
        add(families.redisEvictedKeysTotal, info.evictedKeys)
        add(families.redisConnectedClients, info.connectedClients)
        return found
    }
}
