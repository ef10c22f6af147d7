import AsynqRedis
import Metrics
import Model

/// The families of the look-ahead.
struct LookAheadMetrics: MetricSource {
    static let families = LookAheadFamilies()

    let views: RedisViews
    let waits: SampledWaits

    func metricFamilies() -> [MetricFamily] {
        let (status, view) = views.current
        waits.tidy(present: status.snapshot?.queues ?? [])
        return (view.map { [$0.sampledWaits(waits, $0.allPlaces)] } ?? []) + ownFamilies(status)
    }

    func portions() -> FamilyPortions {
        var last: QueueName?
        var hasWaits = true
        var isOver = false
        waits.tidy(present: views.monitor.current.snapshot?.queues ?? [])
        return AnyIterator {
            if isOver { return nil }
            let (status, view) = views.current
            if let view, hasWaits {
                var family: [MetricFamily] = []
                last = view.forPortion(behind: last) { family = [view.sampledWaits(waits, $0)] }
                hasWaits = last != nil
                return family
            }
            isOver = true
            return ownFamilies(status)
        }
    }

    private func ownFamilies(_ status: RedisStatus) -> [MetricFamily] {
        let monitor = views.monitor
        var lost = MetricFamily(Self.families.lostTasksTotal)
        for reason in LostTaskReason.allCases {
            lost.add(status.lostTasks[reason] ?? 0, LabelSet(["reason": reason.rawValue]))
        }
        return [
            MetricFamily(
                Self.families.tasks,
                value: Double(monitor.seenTasks.count)),
            MetricFamily(
                Self.families.evictedTasksTotal,
                value: Double(monitor.seenTasks.evicted)),
            lost,
        ]
    }
}

/// The families of what the look-ahead remembers and lost.
struct LookAheadFamilies: Sendable {
    let lostTasksTotal = FamilyDeclaration(
        "asynq_collector_look_ahead_lost_tasks_total", .counter, labels: ["reason"], with: "redis.look-ahead",
        """
        Tasks that the look-ahead lost, by reason. limit: a sample had more tasks than it may ask for, so lower \
        redis.look-ahead. gap: Redis did not answer. clock_skew, bad_stamp: set the clocks of the programs that \
        enqueue.
        """)
    let tasks = FamilyDeclaration(
        "asynq_collector_look_ahead_tasks", .gauge, with: "redis.look-ahead",
        """
        Tasks remembered for their ready time and trace context. It rises to 100,000, or to what the share look_ahead \
        of memory.limit holds, and then stays.
        """)
    let evictedTasksTotal = FamilyDeclaration(
        "asynq_collector_look_ahead_evicted_tasks_total", .counter, with: "redis.look-ahead",
        """
        Remembered tasks forgotten for lack of memory before their span came; an unsampled span never comes. Their \
        wait comes from a stamp, or is unknown. Give the spans an enqueue stamp.
        """)
}
