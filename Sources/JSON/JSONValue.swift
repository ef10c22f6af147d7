/// A JSON document as a tree, for documents that are small and read leniently: what is missing, or of another kind than
/// expected, reads as nil.
package enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    /// The members of an object. The last value of a key counts, if it is given twice.
    case object([String: JSONValue])

    /// Reads a whole text.
    ///
    /// - Throws: `JSONError` with the place and the fault.
    package init(parsing bytes: [UInt8]) throws(JSONError) {
        self = try bytes.withUnsafeBufferPointer { buffer throws(JSONError) in
            var text = JSONText()
            text.start(UnsafeRawBufferPointer(buffer), keepingAtMost: 0)
            text.skipWhitespace()
            let value = try Self.read(&text)
            text.skipWhitespace()
            if !text.isAtEnd { throw JSONError(.trailingBytes, at: text.position) }
            return value
        }
    }

    private static func read(_ text: inout JSONText) throws(JSONError) -> JSONValue {
        switch try text.peek() {
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            guard try text.openObject() else { return .object(members) }
            repeat {
                let key = String(decoding: try text.key(), as: UTF8.self)
                members[key] = try read(&text)
            } while try text.hasNextMember()
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            guard try text.openArray() else { return .array(elements) }
            repeat { elements.append(try read(&text)) } while try text.hasNextElement()
            return .array(elements)
        case UInt8(ascii: "\""): return .string(String(decoding: try text.string(), as: UTF8.self))
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool(try text.bool())
        case UInt8(ascii: "n"):
            _ = try text.takeNull()
            return .null
        default:
            var none = UnsafeRawBufferPointer(start: nil, count: 0)
            return try text.number(otherwise: &none)?.double.map { .number($0) } ?? .null
        }
    }

    // MARK: Reading

    /// Returns the value of a member; `null` where it is missing.
    package subscript(_ key: String) -> JSONValue {
        if case .object(let members) = self { members[key] ?? .null } else { .null }
    }

    package var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    package var number: Double? {
        if case .number(let number) = self { number } else { nil }
    }

    /// The number, if it is whole and fits.
    package var integer: Int64? { number.flatMap { Int64(exactly: $0.rounded()) } }

    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The elements; empty for any other kind of value.
    package var elements: [JSONValue] {
        if case .array(let elements) = self { elements } else { [] }
    }

    package var isArray: Bool {
        if case .array = self { true } else { false }
    }
}
