import Text

/// The trace context that a task carries from its producer. A process span can be linked to it where the span id is
/// known.
package struct TraceContext: Hashable, Sendable {
    /// The trace and the span. The trace is valid; the span is `.none` where the task names its trace only.
    package let reference: SpanReference
    package let isSampled: Bool
    /// The W3C `tracestate` as it was stored; empty where the task has none.
    package let traceState: [UInt8]

    package init(reference: SpanReference, isSampled: Bool, traceState: [UInt8] = []) {
        self.reference = reference
        self.isSampled = isSampled
        self.traceState = traceState
    }

    /// Reads a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`. Returns nil for one that is malformed, has a zero id,
    /// or is of version ff. Later versions may have more behind it. Upper-case digits are read as well.
    package init?(traceParent text: UnsafeRawBufferPointer, traceState: [UInt8] = []) {
        let dash = UInt8(ascii: "-")
        guard text.count >= 55, text[2] == dash, text[35] == dash, text[52] == dash,
            let version = Hex.value(text[0..<2]),
            version != 0xFF, text.count == 55 || (version > 0 && text[55] == dash),
            let high = Hex.value(text[3..<19]), let low = Hex.value(text[19..<35]), let span = Hex.value(text[36..<52]),
            let flags = Hex.value(text[53..<55])
        else { return nil }
        let reference = SpanReference(trace: TraceID(high: high, low: low), span: SpanID(span))
        guard reference.isValid else { return nil }
        self.init(reference: reference, isSampled: flags & 1 != 0, traceState: traceState)
    }

    /// Reads ids as teams write them into payloads: in any case, short ones without their leading zeros. Returns nil
    /// for a trace id that is invalid; a span id that is invalid is left out.
    package init?(traceID: UnsafeRawBufferPointer, spanID: UnsafeRawBufferPointer) {
        guard (1...32).contains(traceID.count), let low = Hex.value(traceID.suffix(16)),
            let high = Hex.value(traceID.dropLast(16))
        else { return nil }
        let trace = TraceID(high: high, low: low)
        guard trace.isValid else { return nil }
        let span = (1...16).contains(spanID.count) ? Hex.value(spanID[...]).map { SpanID($0) } : nil
        self.init(reference: SpanReference(trace: trace, span: span ?? .none), isSampled: true)
    }
}
