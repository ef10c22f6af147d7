/// A JSON document while it is written, as bytes: for documents of many thousand members. Members stand in the order in
/// which they are added; nil is `null`, and so is a number that is not finite.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init() {}

    /// Writes an object; a name makes it a member.
    package mutating func object(_ name: StaticString? = nil, _ body: (inout JSONWriter) -> Void) {
        nested(name, open: UInt8(ascii: "{"), close: UInt8(ascii: "}"), body)
    }

    /// Writes an array; a name makes it a member.
    package mutating func array(_ name: StaticString? = nil, _ body: (inout JSONWriter) -> Void) {
        nested(name, open: UInt8(ascii: "["), close: UInt8(ascii: "]"), body)
    }

    package mutating func add(_ name: StaticString, _ value: String?) {
        begin(name)
        write(value)
    }

    package mutating func add(_ name: StaticString, _ value: Int64?) {
        begin(name)
        write(value)
    }

    package mutating func add(_ name: StaticString, _ value: Bool?) {
        begin(name)
        bytes += (value.map { $0 ? "true" : "false" } ?? "null").utf8
    }

    /// Writes all digits.
    package mutating func add(_ name: StaticString, _ value: Double?) {
        begin(name)
        write(value)
    }

    /// Writes four digits at most.
    package mutating func add(_ name: StaticString, rounded value: Double?) {
        begin(name)
        writeShort(value)
    }

    /// Writes a member whose name is not known beforehand.
    package mutating func add(named name: String, _ value: Int64?) {
        comma()
        bytes += JSONString.quoted(name).utf8
        bytes.append(UInt8(ascii: ":"))
        write(value)
    }

    /// Writes an element of an array, with four digits at most.
    package mutating func element(_ value: String) {
        comma()
        write(value)
    }

    package mutating func element(rounded value: Double?) {
        comma()
        writeShort(value)
    }

    /// Writes a member, or without a name an element, whose JSON exists already.
    package mutating func add(_ name: StaticString? = nil, json: some Sequence<UInt8>) {
        if let name { begin(name) } else { comma() }
        bytes += json
    }

    // MARK: Parts

    private mutating func nested(
        _ name: StaticString?, open: UInt8, close: UInt8, _ body: (inout JSONWriter) -> Void
    ) {
        if let name { begin(name) } else { comma() }
        bytes.append(open)
        needsComma = false
        body(&self)
        bytes.append(close)
        needsComma = true
    }

    private mutating func comma() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func begin(_ name: StaticString) {
        comma()
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes += $0 }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func write(_ value: String?) {
        guard let value else { return writeNull() }
        guard JSONString.isPlain(value) else {
            bytes += JSONString.quoted(value).utf8
            return
        }
        bytes.append(UInt8(ascii: "\""))
        bytes += value.utf8
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func write(_ value: Int64?) {
        guard let value else { return writeNull() }
        // Most numbers of a document are of one digit.
        if (0...9).contains(value) {
            bytes.append(UInt8(ascii: "0") + UInt8(value))
        } else {
            bytes += value.description.utf8
        }
    }

    private mutating func write(_ value: Double?) {
        guard let value, value.isFinite else { return writeNull() }
        bytes += value.description.utf8
    }

    /// Writes a number rounded, and a whole number without a point.
    private mutating func writeShort(_ value: Double?) {
        guard let value, value.isFinite else { return writeNull() }
        let rounded = Self.rounded(value)
        if rounded == rounded.rounded(), abs(rounded) < 1e15 {
            write(Int64(rounded))
        } else {
            write(rounded)
        }
    }

    private mutating func writeNull() { bytes += "null".utf8 }

    /// Returns the number with three digits behind the point; above a thousand none, below a tenth four digits in all.
    private static func rounded(_ value: Double) -> Double {
        switch abs(value) {
        case 1000...: return value.rounded()
        case 0.1...: return (value * 1000).rounded() / 1000
        case 1e-9...:
            var scale = 1e4
            while abs(value) * scale < 1000 { scale *= 10 }
            return (value * scale).rounded() / scale
        default: return 0
        }
    }
}
