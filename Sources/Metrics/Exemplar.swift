package import Model

/// One observation by name: the span that it was made of, so that a click on the number opens a trace.
package struct Exemplar: Sendable, Equatable {
    /// Which span, and when it was counted.
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
}
