import HTTPService
import OTLP
import Text

/// The outcome of a request, whatever its transport. Each responder encodes it in its own way.
enum TraceOutcome: Sendable {
    /// The spans are kept, except those that are named.
    case accepted(PartialSuccess)
    case refused(TraceRefusal)
}

/// The remarks for the sender of an accepted request, and for the log.
package struct PartialSuccess: Sendable {
    /// The number of spans with ids that no backend accepts.
    var badIDs = 0
    /// The number of spans with a value that is out of the range of its field.
    var badValues = 0
    /// The first of these values, with its place.
    var firstProblem = ""
    /// The reason why a body with bytes has no span that could be read.
    var warning: String?

    package init(badIDs: Int = 0, badValues: Int = 0, firstProblem: String = "") {
        self.badIDs = badIDs
        self.badValues = badValues
        self.firstProblem = firstProblem
    }

    var refusedSpans: Int { badIDs + badValues }

    /// The text for the sender; nil where there is nothing to say.
    var message: String? {
        let parts = [
            badIDs > 0 ? Self.reasonForBadIDs(badIDs) : nil,
            badValues > 0 ? Self.reasonForBadValues(badValues) + "; \(firstProblem)" : nil,
            warning,
        ].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }

    static func reasonForBadIDs(_ count: Int) -> String {
        "\(spansHave(count)) a trace, span, parent or link id that is zero or of a wrong length"
    }

    private static func reasonForBadValues(_ count: Int) -> String {
        "\(spansHave(count)) a value out of the range of its field"
    }

    private static func spansHave(_ count: Int) -> String {
        humanCount(count, "span") + (count == 1 ? " has" : " have")
    }

    /// The line for the log; nil where there is nothing to say.
    var told: HTTPRefusal? {
        guard let message else { return nil }
        if warning != nil { return HTTPRefusal("empty", message, event: "request without spans") }
        let reason: RefusalReason = badIDs > 0 ? .badID : .badValue
        return HTTPRefusal(reason.rawValue, message, event: "spans refused")
    }
}
