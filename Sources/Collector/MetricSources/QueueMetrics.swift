import Metrics
import Model

/// The families that have samples of each queue.
enum QueueMetrics {
    static func families(of queues: [QueueSnapshot], _ labels: [QueueLabelSets]) -> [MetricFamily] {
        declarations.indices.map { family($0, of: queues[...], labels[...]) }
    }

    /// Returns one of the families, with the samples of some queues.
    static func family(
        _ index: Int, of queues: ArraySlice<QueueSnapshot>, _ labels: ArraySlice<QueueLabelSets>
    ) -> MetricFamily {
        let declaration = declarations[index]
        var family = MetricFamily(declaration.family)
        for (queue, labels) in zip(queues, labels) { declaration.addSamples(queue, labels, &family) }
        return family
    }

    /// A family, and its samples of a queue.
    private struct Declaration: Sendable {
        typealias AddSamples = @Sendable (QueueSnapshot, QueueLabelSets, inout MetricFamily) -> Void

        let family: FamilyDeclaration
        let addSamples: AddSamples

        init(_ family: FamilyDeclaration, samples: @escaping AddSamples) {
            self.family = family
            addSamples = samples
        }

        /// Declares a family of one sample a queue; a nil value has none.
        init(
            _ name: String, _ kind: MetricKind, with setting: String? = nil, _ help: String,
            value: @escaping @Sendable (QueueSnapshot) -> Double?
        ) {
            self.init(FamilyDeclaration(name, kind, labels: ["queue"], with: setting, help)) { queue, labels, family in
                if let value = value(queue) { family.add(value, labels.queue) }
            }
        }
    }

    static var families: [FamilyDeclaration] { declarations.map(\.family) }

    /// The declarations in the order of the page.
    private static let declarations = [
        Declaration(
            FamilyDeclaration(
                "asynq_queue_size", .gauge, labels: ["queue", "state"],
                "Tasks in the queue, by state. If pending rises, workers do not keep up."),
            samples: { queue, labels, family in
                labels.forEachState { state, labels in
                    if let count = queue.size[state] { family.add(count, labels) }
                }
            }),
        Declaration(
            "asynq_queue_groups", .gauge,
            "Aggregation groups of the queue. If it rises for long, no server aggregates them.",
            value: { $0.groups.map { Double($0) } }),
        Declaration(
            "asynq_queue_latency_seconds", .gauge,
            """
            Age of the next task to be dequeued, as Asynq computes it; 0 for an empty queue. A new task waits at least \
            this long.
            """,
            value: { $0.latencyNanoseconds.map { Double($0) / 1e9 } }),
        Declaration(
            "asynq_queue_paused", .gauge, "1 while the queue is paused: none of its tasks is started.",
            value: { $0.isPaused.map { $0 ? 1 : 0 } }),
        Declaration(
            "asynq_queue_registered", .gauge,
            """
            1 if asynq:queues has the queue, 0 if only live servers name it. At 0, Asynq's own tools do not see the \
            queue; if it has tasks, restart the programs that enqueue.
            """,
            value: { $0.isRegistered.map { $0 ? 1 : 0 } }),
        Declaration(
            "asynq_queue_orphaned_tasks", .gauge,
            """
            Active tasks whose lease has expired, because their worker died. A server of the queue recovers them \
            within minutes.
            """,
            value: { $0.orphaned.map { Double($0) } }),
        Declaration(
            "asynq_queue_longest_running_seconds", .gauge,
            """
            Run time so far of the task that has been running longest; absent if none runs. If it exceeds what a task \
            may take, the task hangs and occupies its worker.
            """,
            value: { $0.longestRunning?.inSeconds }),
        Declaration(
            FamilyDeclaration(
                "asynq_queue_overdue_tasks", .gauge, labels: ["queue", "state"],
                "Scheduled and retry tasks that are due. If it stays above 0, no server forwards them."),
            samples: { queue, labels, family in
                labels.forEachState { state, labels in
                    if let count = queue.overdue[state] { family.add(count, labels) }
                }
            }),
        Declaration(
            "asynq_queue_memory_usage_approx_bytes", .gauge, with: "redis.memory-sampling",
            """
            Memory of the queue in Redis, estimated from samples of its tasks as Asynq does. If Redis runs out of \
            memory, shorten the largest queue.
            """,
            value: { $0.memoryBytes.map { Double($0) } }),
        Declaration(
            FamilyDeclaration(
                "asynq_tasks_processed_total", .counter, labels: ["queue", "status"], countsFrom: .unknown,
                """
                Attempts that workers finished, by outcome. A task that fails n times counts n times as failed. It \
                stands still after a failover to a replica that lagged.
                """),
            samples: { queue, labels, family in
                guard let completed = queue.completed, let failed = queue.failed else { return }
                family.add(completed, labels.completed)
                family.add(failed, labels.failed)
            }),
        Declaration(
            "asynq_tasks_dead_lettered_total", .counter,
            """
            Tasks seen to enter the archive since the start of this process, trimmed ones included. Repair the cause, \
            then run or delete the tasks.
            """,
            value: { $0.deadLettered.map { Double($0) } }),
        Declaration(
            "asynq_queue_archive_fill_ratio", .gauge,
            "Share of the 10,000 archived tasks that Asynq keeps. At 1, each new dead letter removes the oldest one.",
            value: { $0.size[.archived].map { Double($0) / 10_000 } }),
    ]
}
