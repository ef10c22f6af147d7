package import AsynqRedis
package import Model

/// Process spans of a test that name tasks, and the body that their texts lie in.
package struct NamedSpans {
    package private(set) var body: [UInt8] = []
    package var spans: [TaskSpan] = []

    package init() {}

    package mutating func add(_ id: String, queue: String = "q", _ change: (inout TaskSpan) -> Void = { _ in }) {
        var span = TaskSpan()
        span.queue = range(queue)
        span.taskID = range(id)
        span.reference = SpanReference(trace: TraceID(high: 9, low: 1), span: SpanID(UInt64(spans.count) + 1))
        change(&span)
        spans.append(span)
    }

    private mutating func range(_ text: String) -> ByteRange {
        body += text.utf8
        return ByteRange(offset: body.count - text.utf8.count, count: text.utf8.count)
    }

    package mutating func look(in tasks: SeenTasks) {
        body.withUnsafeBytes { tasks.look(for: &spans, in: $0) }
    }
}

extension SeenTasks {
    /// What a request of one span is told.
    package func look(
        _ id: String, queue: String = "q", _ change: (inout TaskSpan) -> Void = { _ in }
    ) -> TaskKnowledge {
        var request = NamedSpans()
        request.add(id, queue: queue, change)
        request.look(in: self)
        return request.spans[0].knowledge
    }

    /// The ready time that an attempt is told and uses.
    package func take(_ id: String, queue: String = "q", start: WallTime, retryCount: Int64? = nil) -> WallTime? {
        var request = NamedSpans()
        request.add(id, queue: queue) { span in
            span.startNanoseconds = UInt64(start.nanoseconds)
            span.retryCount = retryCount.map { .integer($0) } ?? .absent
        }
        request.look(in: self)
        use(request.spans)
        return request.spans[0].knowledge.readyTime?.time
    }
}
