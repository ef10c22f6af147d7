package import Model

/// Further spans that the collector has made: for the time in the queue, for dead letters.
package struct MadeRequest: Sendable {
    /// A serialized ExportTraceServiceRequest.
    package let payload: [UInt8]
    package let spanCount: Int

    package init(payload: [UInt8], spanCount: Int) {
        self.payload = payload
        self.spanCount = spanCount
    }
}

/// Why the sink does not keep spans: the reason under which they are counted, and what their sender is told.
package struct SinkRefusal: Error, Sendable {
    package let reason: RefusalReason
    package let message: String

    package init(_ reason: RefusalReason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

/// Where accepted spans go. Called on the thread that appends, or on an event loop where nothing is written to a disk.
package protocol SpanSink: Sendable {
    /// Whether an acknowledgement has to wait for `whenDurable`.
    var acknowledgesAfterSync: Bool { get }

    /// Keeps a serialized ExportTraceServiceRequest; it is safe from a kill of the process when this returns.
    ///
    /// - Parameters:
    ///   - confirm: is called once the request is written, while the sink holds its own books: it counts the spans as accepted, so
    ///     that no page sees them in one book and not in the other. Where it returns false, their sender was told otherwise
    ///     meanwhile, and the sink takes them back.
    ///   - whenDurable: is called once, from any thread, with false if the disk failed.
    /// - Throws: why nothing is kept; `whenDurable` is not called then.
    func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, confirm: () -> Bool,
        whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal)

    /// Counts the task spans of a request that was kept; `body` is the request that their ranges refer to. Returns the spans
    /// that are made of them, which are to be kept as well.
    func observe(_ taskSpans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [MadeRequest]
}
