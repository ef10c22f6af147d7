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
        Tasks that the look-ahead lost sight of, by reason: limit, more than one look may ask for, so lower \
        redis.look-ahead; gap, Redis did not answer; clock_skew and bad_stamp, set the clocks of the programs that \
        enqueue.
        """)
    let tasks = FamilyDeclaration(
        "asynq_collector_look_ahead_tasks", .gauge, with: "redis.look-ahead",
        """
        Tasks remembered for their ready time and trace context, after their span has come as well until the room \
        is needed: at 100,000 it stays; what is missed is counted as evicted.
        """)
    let evictedTasksTotal = FamilyDeclaration(
        "asynq_collector_look_ahead_evicted_tasks_total", .counter, with: "redis.look-ahead",
        """
        Remembered tasks forgotten for lack of room before a span of theirs came (one that is not sampled never \
        comes): its wait comes from a stamp, or is unknown. Give the spans an enqueue stamp.
        """)
}
