package import Model

/// The labels of one series, as the text formats write them, so that a page is rendered by copying bytes.
package struct LabelSet: Sendable {
    /// `queue="a\"b",state="pending"`: escaped as the text format 0.0.4 and OpenMetrics both ask (backslash, newline,
    /// quote). All of it UTF-8; bytes of a value that are none became `\\xHH`, because one of them would make Prometheus
    /// refuse the whole page.
    package let encoded: [UInt8]

    package init(_ pairs: [(name: String, value: ForeignText)]) {
        var text: [UInt8] = []
        text.reserveCapacity(pairs.reduce(0) { $0 + $1.name.utf8.count + $1.value.bytes.count + 4 })
        for (name, value) in pairs {
            if !text.isEmpty { text.append(Self.comma) }
            text += name.utf8
            text.append(Self.equals)
            text.append(Self.quote)
            let isPlain = value.bytes.allSatisfy { $0 < 0x80 && $0 != Self.backslash }
            for byte in isPlain ? value.bytes : Array(value.printable.utf8) {
                switch byte {
                case Self.backslash: text += [Self.backslash, Self.backslash]
                case Self.quote: text += [Self.backslash, Self.quote]
                case Self.newline: text += [Self.backslash, UInt8(ascii: "n")]
                default: text.append(byte)
                }
            }
            text.append(Self.quote)
        }
        encoded = text
    }

    package init(_ pairs: KeyValuePairs<String, String>) {
        self.init(pairs.map { ($0.key, ForeignText($0.value)) })
    }

    package static let none = LabelSet([:])

    /// The names and the values, both as they are written, in `encoded`.
    func forEachLabel(_ body: (_ name: Range<Int>, _ value: Range<Int>, _ isEscaped: Bool) -> Void) {
        var start = 0
        while start < encoded.count {
            // A name has neither `=` nor anything to escape.
            var position = start
            while encoded[position] != Self.equals { position += 1 }
            let name = start..<position
            let valueStart = position + 2
            var isEscaped = false
            position = valueStart
            while encoded[position] != Self.quote {
                if encoded[position] == Self.backslash {
                    isEscaped = true
                    position += 1
                }
                position += 1
            }
            body(name, valueStart..<position, isEscaped)
            start = position + 2
        }
    }

    /// A value of `encoded` as it was before it was escaped.
    func unescaped(_ range: Range<Int>) -> [UInt8] {
        var value: [UInt8] = []
        var position = range.lowerBound
        while position < range.upperBound {
            if encoded[position] == Self.backslash {
                position += 1
                value.append(encoded[position] == UInt8(ascii: "n") ? Self.newline : encoded[position])
            } else {
                value.append(encoded[position])
            }
            position += 1
        }
        return value
    }

    package var names: [String] {
        var names: [String] = []
        forEachLabel { name, _, _ in names.append(String(decoding: encoded[name], as: UTF8.self)) }
        return names
    }

    private static let comma = UInt8(ascii: ",")
    private static let equals = UInt8(ascii: "=")
    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")
    private static let newline = UInt8(ascii: "\n")
}
