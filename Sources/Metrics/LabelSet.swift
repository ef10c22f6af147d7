package import Model

/// The labels of one series, as the text formats write them, so that a page is rendered by copying bytes.
///
/// `queue="a",task_type="b"` stands once in memory for all series that have these two labels. The labels that only some
/// of them have (`,status="failed"`) stand once in the program.
package struct LabelSet: Sendable {
    /// The labels with their values escaped (`LabelText`): `queue="a\"b"`.
    let shared: [UInt8]
    /// The added labels, which begin with a comma where `shared` is not empty.
    let more: [UInt8]

    /// Labels that are added to those of many series.
    package struct Addition: Sendable {
        fileprivate let bytes: [UInt8]

        package init(_ pairs: KeyValuePairs<String, LabelText>) {
            bytes = pairs.reduce(into: []) { bytes, pair in
                bytes.append(LabelSet.comma)
                LabelSet.append(pair.key, pair.value, to: &bytes)
            }
        }

        /// The bytes that it takes beside a series' own labels.
        package var byteCount: Int { bytes.count }
    }

    private init(shared: [UInt8], more: [UInt8]) {
        self.shared = shared
        self.more = more
    }

    package init(_ pairs: [(name: String, value: LabelText)]) {
        var text: [UInt8] = []
        text.reserveCapacity(pairs.reduce(0) { $0 + $1.name.utf8.count + $1.value.escaped.count + 4 })
        for (name, value) in pairs {
            if !text.isEmpty { text.append(Self.comma) }
            Self.append(name, value, to: &text)
        }
        self.init(shared: text, more: [])
    }

    package init(_ pairs: [(name: String, value: ForeignText)]) {
        self.init(pairs.map { ($0.name, LabelText($0.value)) })
    }

    package init(_ pairs: KeyValuePairs<String, String>) {
        self.init(pairs.map { ($0.key, LabelText($0.value)) })
    }

    package static let none = LabelSet([:])

    /// Returns the same labels with the addition.
    package func adding(_ addition: Addition) -> LabelSet {
        precondition(more.isEmpty && !shared.isEmpty, "labels are added once, to others")
        return LabelSet(shared: shared, more: addition.bytes)
    }

    /// The two parts in one array.
    package var encoded: [UInt8] { shared + more }
    /// Calls `body` with the bytes that all series with these labels share.
    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        shared.withUnsafeBytes(body)
    }

    package var isEmpty: Bool { shared.isEmpty }
    package var byteCount: Int { shared.count + more.count }

    private static func append(_ name: String, _ value: LabelText, to text: inout [UInt8]) {
        text += name.utf8
        text.append(equals)
        text.append(quote)
        text += value.escaped
        text.append(quote)
    }

    /// Calls `body` with each name, and its value as it is written.
    func forEachLabel(_ body: (_ name: Span<UInt8>, _ value: Span<UInt8>, _ isEscaped: Bool) -> Void) {
        Self.forEachLabel(in: shared.span, body)
        if !more.isEmpty { Self.forEachLabel(in: more.span.extracting(droppingFirst: 1), body) }
    }

    private static func forEachLabel(
        in text: Span<UInt8>, _ body: (_ name: Span<UInt8>, _ value: Span<UInt8>, _ isEscaped: Bool) -> Void
    ) {
        var start = 0
        while start < text.count {
            // A name has neither `=` nor anything to escape.
            var position = start
            while text[position] != equals { position += 1 }
            let name = start..<position
            let valueStart = position + 2
            var isEscaped = false
            position = valueStart
            while text[position] != quote {
                if text[position] == backslash {
                    isEscaped = true
                    position += 1
                }
                position += 1
            }
            body(text.extracting(name), text.extracting(valueStart..<position), isEscaped)
            start = position + 2
        }
    }

    /// Returns a value as it was before it was escaped.
    static func unescaped(_ text: Span<UInt8>) -> [UInt8] {
        var value: [UInt8] = []
        var position = 0
        while position < text.count {
            if text[position] == backslash {
                position += 1
                value.append(text[position] == UInt8(ascii: "n") ? newline : text[position])
            } else {
                value.append(text[position])
            }
            position += 1
        }
        return value
    }

    package var names: [String] {
        var names: [String] = []
        forEachLabel { name, _, _ in names.append(name.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }) }
        return names
    }

    private static let comma = UInt8(ascii: ",")
    private static let equals = UInt8(ascii: "=")
    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")
    private static let newline = UInt8(ascii: "\n")
}
