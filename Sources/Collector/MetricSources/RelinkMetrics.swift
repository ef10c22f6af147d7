import AsynqRedis
import Metrics
import SpanReceiver

/// The families of restored trace context.
struct RelinkMetrics: MetricSource {
    static let families = RelinkFamilies()

    let relinker: TraceRelinker
    let lookup: TaskLookup
    let monitor: RedisMonitor
    /// The spans of dead letters; nil unless these become spans.
    let deadLetterSpans: DeadLetterSpans?

    func metricFamilies() -> [MetricFamily] {
        let counts = relinker.counts
        var relinked = MetricFamily(Self.families.relinkedSpansTotal)
        relinked.add(counts.links, LabelSet(["relation": "link"]))
        relinked.add(counts.parents, LabelSet(["relation": "parent"]))
        var lookups = MetricFamily(Self.families.taskLookupsTotal)
        for outcome in TaskLookup.Outcome.allCases {
            let overLimit = outcome == .limit ? counts.overLimit : 0
            lookups.add((lookup.outcomes[outcome] ?? 0) + overLimit, LabelSet(["result": outcome.rawValue]))
        }
        return [
            relinked,
            MetricFamily(
                Self.families.unlinkedSpansTotal,
                value: Double(counts.notFound)),
            lookups,
            MetricFamily(
                Self.families.unreadDeadLettersTotal,
                value: Double(monitor.current.skippedLetters)),
        ] + (deadLetterSpans.map { [Self.unsent($0)] } ?? [])
    }

    private static func unsent(_ spans: DeadLetterSpans) -> MetricFamily {
        MetricFamily(
            Self.families.unsentDeadLetterSpansTotal,
            value: Double(spans.dropped))
    }
}

/// The families of restored trace context, and of dead letters.
struct RelinkFamilies: Sendable {
    let relinkedSpansTotal = FamilyDeclaration(
        "asynq_collector_relinked_spans_total", .counter, labels: ["relation"],
        "Process spans without parent and link that got their task's context back, by what it became.")
    let taskLookupsTotal = FamilyDeclaration(
        "asynq_collector_task_lookups_total", .counter, labels: ["result"],
        "Look-ups in Redis of tasks that spans name, by result. For down, limit and skipped, Redis was not asked.")
    let unlinkedSpansTotal = FamilyDeclaration(
        "asynq_collector_unlinked_spans_total", .counter,
        """
        Process spans without parent and link whose task has no context, or is unknown. Their traces end there. Let \
        producers put a traceparent into headers or payload.
        """)
    let unreadDeadLettersTotal = FamilyDeclaration(
        "asynq_collector_unread_dead_letters_total", .counter,
        """
        Dead letters that came too fast for their messages to be read. They are counted, but not in \
        /api/v1/dead-letters.
        """)
    let unsentDeadLetterSpansTotal = FamilyDeclaration(
        "asynq_collector_unsent_dead_letter_spans_total", .counter, with: "traces.dead-letter-span",
        """
        Dead letters without a span, because the disk did not accept the earlier ones. See whether the spool's disk \
        hangs.
        """
    )
}
