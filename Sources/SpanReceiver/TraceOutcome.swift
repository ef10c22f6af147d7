import OTLP

/// What became of a request, whatever it came by. Each face encodes it in its own way.
enum TraceOutcome: Sendable {
    /// Kept, but for this many spans with ids that nobody takes.
    case accepted(refusedSpans: Int)
    case refused(TraceRefusal)
}

extension TraceOutcome {
    /// What a partial success says of the spans that were refused.
    static func reasonForBadIDs(_ count: Int) -> String {
        "\(count) spans have a trace, span, parent or link id that is zero or of a wrong length"
    }
}
