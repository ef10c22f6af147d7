import HTTPService
import OTLP

/// What became of a request, whatever it came by. Each face encodes it in its own way.
enum TraceOutcome: Sendable {
    /// Kept, but for the spans that are named.
    case accepted(PartialSuccess)
    case refused(TraceRefusal)
}

/// What the sender of an accepted request is told of it, and so is the log.
package struct PartialSuccess: Sendable {
    /// The number of spans with ids that no backend accepts.
    var badIDs = 0
    /// Spans with a value that is out of the range of its field.
    var badValues = 0
    /// The first of these values, and where it stands.
    var firstProblem = ""
    /// Why a body with bytes has no span that could be read.
    var warning: String?

    package init(badIDs: Int = 0, badValues: Int = 0, firstProblem: String = "") {
        self.badIDs = badIDs
        self.badValues = badValues
        self.firstProblem = firstProblem
    }

    var refusedSpans: Int { badIDs + badValues }

    /// nil where there is nothing to say.
    var message: String? {
        let parts = [
            badIDs > 0 ? Self.reasonForBadIDs(badIDs) : nil,
            badValues > 0 ? "\(badValues) spans have a value out of the range of its field; \(firstProblem)" : nil,
            warning,
        ].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }

    static func reasonForBadIDs(_ count: Int) -> String {
        "\(count) spans have a trace, span, parent or link id that is zero or of a wrong length"
    }

    /// What the log is told; nil where there is nothing to say.
    var told: HTTPRefusal? {
        guard let message else { return nil }
        if warning != nil { return HTTPRefusal("empty", message, event: "request without spans") }
        let reason: RefusalReason = badIDs > 0 ? .badID : .badValue
        return HTTPRefusal(reason.rawValue, message, event: "spans refused")
    }
}
