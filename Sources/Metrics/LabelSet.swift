package import Model

/// The labels of one series, kept both as they are and as the text formats write them, so that a page is rendered by
/// copying bytes.
package final class LabelSet: Sendable {
    package let names: [String]
    /// All of them UTF-8; bytes that are none became `\xHH`, because one of them would make Prometheus refuse the whole page.
    package let values: [ForeignText]
    /// `queue="a\"b",state="pending"`: escaped as the text format 0.0.4 and OpenMetrics both ask (backslash, newline,
    /// quote).
    package let encoded: [UInt8]

    package init(_ pairs: [(name: String, value: ForeignText)]) {
        names = pairs.map(\.name)
        values = pairs.map { pair in
            let isASCII = pair.value.bytes.allSatisfy { $0 < 0x80 }
            return isASCII ? pair.value : ForeignText(pair.value.printable)
        }
        var text: [UInt8] = []
        text.reserveCapacity(pairs.reduce(0) { $0 + $1.name.utf8.count + $1.value.bytes.count + 4 })
        for (name, value) in zip(names, values) {
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            text += name.utf8
            text += "=\"".utf8
            for byte in value.bytes {
                switch byte {
                case UInt8(ascii: "\\"): text += "\\\\".utf8
                case UInt8(ascii: "\""): text += "\\\"".utf8
                case UInt8(ascii: "\n"): text += "\\n".utf8
                default: text.append(byte)
                }
            }
            text.append(UInt8(ascii: "\""))
        }
        encoded = text
    }

    package convenience init(_ pairs: KeyValuePairs<String, String>) {
        self.init(pairs.map { ($0.key, ForeignText($0.value)) })
    }

    package static let none = LabelSet([:])
}
