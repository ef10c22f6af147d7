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

/// The reason why the sink does not keep spans: the label under which they are counted, and the text for their sender.
package struct SinkRefusal: Error, Sendable {
    package let reason: RefusalReason
    package let message: String

    package init(_ reason: RefusalReason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

/// The destination of accepted spans. It is called on the thread that appends, or on an event loop where nothing is
/// written to a disk.
package protocol SpanSink: Sendable {
    /// True if an acknowledgement has to wait for `whenDurable`.
    var acknowledgesAfterSync: Bool { get }

    /// Keeps a serialized ExportTraceServiceRequest; it is safe from a kill of the process when this returns.
    ///
    /// - Parameters:
    ///   - confirm: Is called once the request is written, while the sink holds its own books: it counts the spans as accepted, so
    ///     that no page sees them in one book and not in the other. Where it returns false, their sender was told otherwise
    ///     meanwhile, and the sink takes them back.
    ///   - whenDurable: Is called once, from any thread, with false if the disk failed.
    /// - Throws: `SinkRefusal` where nothing is kept; `whenDurable` is not called then.
    func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, confirm: () -> Bool,
        whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal)

    /// Counts the task spans of a request that was kept; `body` is the request that their ranges refer to. Returns
    /// further spans that are made of them and have to be kept as well.
    func observe(_ taskSpans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [MadeRequest]
}
