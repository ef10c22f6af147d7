/// The remarks of a conversion from JSON, beside the request.
package struct JSONRemarks: Sendable {
    /// The number of spans with a value that is out of the range of its field. In the request they are empty, so that
    /// the scanner refuses them.
    package internal(set) var badSpans = 0
    /// The first such value.
    package internal(set) var firstProblem: MalformedJSON?
    /// The first key that stands where spans could and is unknown to OTLP, cut to a short text.
    package internal(set) var unknownKey: String?

    package init() {}

    static let maxKeyBytes = 64
}
