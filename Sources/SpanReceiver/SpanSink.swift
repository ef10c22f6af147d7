package import Model

/// Spans that passed the receiver, on their way to the spool and the metrics.
package struct AcceptedSpans {
    /// A serialized ExportTraceServiceRequest: what is kept and forwarded.
    package let payload: UnsafeRawBufferPointer
    package let spanCount: Int
    package let taskSpans: [TaskSpan]
    /// The request that the ranges in `taskSpans` refer to; the same as `payload` unless spans were taken out of it.
    package let scanned: UnsafeRawBufferPointer
}

/// Spans that the collector has made: for the time in the queue, for dead letters.
package struct MadeSpans: Sendable {
    /// A serialized ExportTraceServiceRequest.
    package let payload: [UInt8]
    package let spanCount: Int

    package init(payload: [UInt8], spanCount: Int) {
        self.payload = payload
        self.spanCount = spanCount
    }
}

/// Why the sink takes no spans.
package enum SinkRefusal: Error, Sendable {
    /// They could never fit: 413, a retry can't succeed.
    case tooLarge(String)
    /// No room: 429.
    case full(String)
    /// Storage fails, or the program is ending: 503.
    case unavailable(String)
}

/// Where accepted spans go. Called on event loops, one request at a time per listener.
package protocol SpanSink: Sendable {
    /// Whether an acknowledgement has to wait for `whenDurable`.
    var acknowledgesAfterSync: Bool { get }
    /// Keeps the spans; they are safe from a kill of the process when this returns. `whenDurable` is called once, from
    /// any thread, with false if the disk failed.
    /// Returns what makes spans of them, which are to be kept as well.
    func take(
        _ spans: AcceptedSpans, whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) -> (() -> [MadeSpans])?
    /// Keeps spans that nobody sent.
    func keep(_ spans: MadeSpans) throws(SinkRefusal)
}
