package import Model

/// One observation by name: the span that it was made of, so that a click on the number opens a trace. A histogram keeps the
/// newest of each classic bucket (`Histogram.keep`).
package struct Exemplar: Sendable, Equatable {
    /// The span of the observation, and the time at which it was counted.
    package struct Origin: Sendable, Equatable {
        package let span: SpanReference
        package let time: WallTime

        package init(span: SpanReference, time: WallTime) {
            self.span = span
            self.time = time
        }
    }

    package let value: Double
    package let origin: Origin

    package init(value: Double, origin: Origin) {
        self.value = value
        self.origin = origin
    }

    // MARK: In a histogram's words: the value, the time, the trace id in two halves, the span id

    static let wordCount = 5

    static func value(_ words: Span<UInt64>, at position: Int) -> Double { Double(bitPattern: words[position]) }

    init(_ words: Span<UInt64>, at position: Int) {
        value = Self.value(words, at: position)
        let trace = TraceID(high: words[position + 2], low: words[position + 3])
        origin = Origin(
            span: SpanReference(trace: trace, span: SpanID(words[position + 4])),
            time: WallTime(nanoseconds: Int64(bitPattern: words[position + 1])))
    }

    func write(to words: inout MutableSpan<UInt64>, at position: Int) {
        words[position] = value.bitPattern
        words[position + 1] = UInt64(bitPattern: origin.time.nanoseconds)
        words[position + 2] = origin.span.trace.high
        words[position + 3] = origin.span.trace.low
        words[position + 4] = origin.span.span.value
    }
}
