import AsynqRedis
import SpanReceiver

/// `traces.*`: what is added to traces, and from where.
struct TracesKeys: KeySection {
    static let title = "Traces"

    let deadLetterSpan = Key(
        "traces.dead-letter-span", .flag, default: "false", example: "true",
        help: "add a span for each task that dies, in its trace")
    let waitSpan = Key(
        "traces.wait-span", .flag, default: "false", example: "true", help: "add a span for the time in the queue")
    let relink = Key<RelinkMode>(
        "traces.relink", .choice(["true": .link, "false": .off, "parent": .parent]), default: "true",
        example: "parent",
        help:
            "restore missing trace context of process spans from Redis, as a link, or as the parent of lone root spans")
    let lookupTimeout = Key(
        "traces.lookup-timeout", .duration(), default: "100ms", example: "50ms",
        help: "how long an acknowledgement waits at most for what Redis knows of a task")
    let traceParent = Key(
        "traces.context.traceparent", .list, default: Self.names(\.traceParent), example: "otel.traceparent",
        help: "where tasks carry it: names of headers, dotted paths in JSON payloads")
    let traceState = Key(
        "traces.context.tracestate", .list, default: Self.names(\.traceState), example: "otel.tracestate",
        help: "likewise")
    let traceID = Key(
        "traces.context.trace-id", .list, default: Self.names(\.traceID), example: "meta.trace_id",
        help: "likewise, in hex, where there is no traceparent")
    let spanID = Key(
        "traces.context.span-id", .list, default: Self.names(\.spanID), example: "meta.span_id", help: "likewise")
    let enqueuedAt = Key(
        "traces.context.enqueued-at", .list, default: Self.names(\.enqueuedAt), example: "meta.enqueued_at",
        help: "likewise: when the task was enqueued")
    let processAt = Key(
        "traces.context.process-at", .list, default: Self.names(\.processAt), example: "meta.process_at",
        help: "likewise: when a task that was scheduled ahead is due")

    /// The default names, which `AsynqRedis` knows.
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
