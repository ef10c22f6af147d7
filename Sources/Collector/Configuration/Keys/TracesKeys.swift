import AsynqRedis
import SpanReceiver

/// `traces.*`: the additions to traces, and their sources.
struct TracesKeys: KeySection {
    static let title = "Traces"
    static let page = "docs/TRACES.md"

    private static let carried = "docs/TRACES.md#what-a-task-carries"

    let deadLetterSpan = Key(
        "traces.dead-letter-span", .flag, default: "false", example: "true",
        help: "Adds a span to the trace of each task that enters the archive, at the time of its death.",
        page: "docs/TRACES.md#spans-of-the-collectors-own")
    let waitSpan = Key(
        "traces.wait-span", .flag, default: "false", example: "true",
        help: "Adds a span for the time that the task spent in the queue, below the span of its producer.",
        page: "docs/TRACES.md#spans-of-the-collectors-own")
    let relink = Key<RelinkMode>(
        "traces.relink", .choice(["true": .link, "false": .off, "parent": .parent]), default: "true",
        example: "parent",
        help: """
            Restores the trace context of process spans that have no parent and no link, from what their task carries in Redis. true \
            adds a link; parent makes it the parent of lone root spans.
            """,
        page: "docs/TRACES.md#relinking")
    let lookupTimeout = Key(
        "traces.lookup-timeout", .duration(), default: "100ms", example: "50ms",
        help: "How long the answer to a request waits, at most, for what Redis knows of its tasks.",
        page: "docs/TRACES.md#where-the-context-is-found")
    let recentMaxBytes = Key(
        "traces.recent-max-bytes", .size(0...1 << 30, or: "auto"), default: "auto", example: "64MiB",
        help: """
            The newest accepted spans that are kept in memory, for /api/v1/traces and /trace. auto is 16MiB where tempo.endpoint is \
            none (less with a small memory.limit), else 0: none are kept. Set it beside a trace backend if there is no Grafana to link to.
            """,
        page: "docs/API.md#apiv1tracestrace_id")
    let traceParent = Key(
        "traces.context.traceparent", .list, default: Self.names(\.traceParent), example: "otel.traceparent",
        help: "Where tasks carry their W3C traceparent: names of headers, and dotted paths in JSON payloads, in order.",
        page: carried)
    let traceState = Key(
        "traces.context.tracestate", .list, default: Self.names(\.traceState), example: "otel.tracestate",
        help: "Where tasks carry their W3C tracestate: names of headers, and dotted paths in JSON payloads, in order.",
        page: carried)
    let traceID = Key(
        "traces.context.trace-id", .list, default: Self.names(\.traceID), example: "meta.trace_id",
        help:
            "Where tasks without a traceparent carry their trace id, in hex: names of headers, and dotted paths in payloads.",
        page: carried)
    let spanID = Key(
        "traces.context.span-id", .list, default: Self.names(\.spanID), example: "meta.span_id",
        help:
            "Where tasks without a traceparent carry their span id, in hex: names of headers, and dotted paths in payloads.",
        page: carried)
    let enqueuedAt = Key(
        "traces.context.enqueued-at", .list, default: Self.names(\.enqueuedAt), example: "meta.enqueued_at",
        help: "Where tasks carry the time at which they were enqueued: names of headers, and dotted paths in payloads.",
        page: carried)
    let processAt = Key(
        "traces.context.process-at", .list, default: Self.names(\.processAt), example: "meta.process_at",
        help:
            "Where tasks that are scheduled carry the time at which they are due: names of headers, and dotted paths in payloads.",
        page: carried)

    /// Returns the default names, which `AsynqRedis` knows.
    private static func names(_ names: KeyPath<TaskContextKeys, [String]>) -> String {
        TaskContextKeys()[keyPath: names].joined(separator: ",")
    }
}

extension TaskContextKeys {
    init(_ settings: Settings) {
        self.init()
        traceParent = settings[\.traces.traceParent]
        traceState = settings[\.traces.traceState]
        traceID = settings[\.traces.traceID]
        spanID = settings[\.traces.spanID]
        enqueuedAt = settings[\.traces.enqueuedAt]
        processAt = settings[\.traces.processAt]
    }
}
