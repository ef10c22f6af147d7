import Text

/// Reads JSON (RFC 8259) in place, token by token: no tree, no copy of a string unless it has escapes.
///
/// The reader is strict where being lenient could change what was meant (UTF-8, escapes, numbers, commas). It tolerates
/// two things that senders are known to do:
/// - a byte order mark in front;
/// - half of a surrogate pair in an escape, which `JSON.stringify` writes when an emoji was cut in two. Each becomes
///   U+FFFD.
package struct JSONText: ~Copyable {
    /// The bound of objects and arrays within one another. OTLP's deepest value, `SpanScanner.maxValueDepth` levels of
    /// `{"kvlistValue":{"values":[{"key":"","value":…}]}}`, needs 4 per level and 10 around them.
    package static let maxDepth = 300

    package private(set) var position = 0
    private var body = UnsafeRawBufferPointer(start: nil, count: 0)
    private var depth = 0
    /// The last string that had escapes.
    private var unescaped = GrowingBytes()

    package init() {}

    /// Starts with a body, which must outlive the reading; `end` forgets it.
    package mutating func start(_ body: UnsafeRawBufferPointer, keepingAtMost maxKept: Int) {
        self.body = body
        position = body.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        depth = 0
        unescaped.reset(keepingAtMost: maxKept)
    }

    package mutating func end() {
        body = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    // MARK: Going back

    /// A place to go back to.
    package struct Mark {
        fileprivate let position: Int
        fileprivate let depth: Int
    }

    package var mark: Mark { Mark(position: position, depth: depth) }

    package mutating func rewind(to mark: Mark) {
        (position, depth) = (mark.position, mark.depth)
    }

    /// Returns true if the literal `null` stands there.
    package func isNull(at offset: Int) -> Bool {
        offset < body.count && body[offset...].prefix(4).elementsEqual("null".utf8)
    }

    // MARK: Structure

    package var isAtEnd: Bool { position >= body.count }

    @inline(__always)
    package mutating func skipWhitespace() {
        while position < body.count {
            switch body[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            default: return
            }
        }
    }

    /// Returns the byte that a value, a key or the end of something starts with.
    /// - Throws: `JSONError` at the end of the text.
    @inline(__always)
    package func peek() throws(JSONError) -> UInt8 {
        guard position < body.count else { throw JSONError(.truncated, at: body.count) }
        return body[position]
    }

    /// Steps into an object. Returns true if it has a member, whose key comes next.
    /// - Throws: `JSONError` where something else stands, or objects lie too deep within one another.
    @inline(__always)
    package mutating func openObject() throws(JSONError) -> Bool {
        guard try peek() == UInt8(ascii: "{") else { throw JSONError(.expectedObject, at: position) }
        return try open(UInt8(ascii: "}"))
    }

    /// Steps into an array. Returns true if it has an element, which comes next.
    /// - Throws: `JSONError` where something else stands, or arrays lie too deep within one another.
    @inline(__always)
    package mutating func openArray() throws(JSONError) -> Bool {
        guard try peek() == UInt8(ascii: "[") else { throw JSONError(.expectedArray, at: position) }
        return try open(UInt8(ascii: "]"))
    }

    @inline(__always)
    private mutating func open(_ close: UInt8) throws(JSONError) -> Bool {
        if depth >= Self.maxDepth { throw JSONError(.tooDeep, at: position) }
        depth += 1
        position += 1
        skipWhitespace()
        guard try peek() == close else { return true }
        depth -= 1
        position += 1
        return false
    }

    /// Steps to the next member or behind the object. Returns true if a key comes next.
    /// - Throws: `JSONError` where neither a comma nor the end stands.
    @inline(__always)
    package mutating func hasNextMember() throws(JSONError) -> Bool { try hasNext(UInt8(ascii: "}")) }

    /// Steps to the next element or behind the array. Returns true if an element comes next.
    /// - Throws: `JSONError` where neither a comma nor the end stands.
    @inline(__always)
    package mutating func hasNextElement() throws(JSONError) -> Bool { try hasNext(UInt8(ascii: "]")) }

    @inline(__always)
    private mutating func hasNext(_ close: UInt8) throws(JSONError) -> Bool {
        skipWhitespace()
        let byte = try peek()
        if byte == UInt8(ascii: ",") {
            position += 1
            skipWhitespace()
            return true
        }
        guard byte == close else { throw JSONError(.expectedCommaOrEnd, at: position) }
        depth -= 1
        position += 1
        return false
    }

    /// Reads a key and its colon; the value comes next. The result is valid until the next string.
    /// - Throws: `JSONError` where something else stands.
    @inline(__always)
    package mutating func key() throws(JSONError) -> UnsafeRawBufferPointer {
        guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.expectedMember, at: position) }
        let key = try string()
        skipWhitespace()
        guard try peek() == UInt8(ascii: ":") else { throw JSONError(.expectedColon, at: position) }
        position += 1
        skipWhitespace()
        return key
    }

    // MARK: Values

    /// Steps over `null`, if that comes next, and returns true then.
    /// - Throws: `JSONError` where the text ends, or a literal is misspelt.
    @inline(__always)
    package mutating func takeNull() throws(JSONError) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try literal("null")
        return true
    }

    /// Reads `true` or `false`.
    /// - Throws: `JSONError` for anything else.
    package mutating func bool() throws(JSONError) -> Bool {
        switch try peek() {
        case UInt8(ascii: "t"):
            try literal("true")
            return true
        case UInt8(ascii: "f"):
            try literal("false")
            return false
        default: throw JSONError(.expectedBool, at: position)
        }
    }

    private mutating func literal(_ text: StaticString) throws(JSONError) {
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        let found = body[position..<min(position + expected.count, body.count)]
        guard found.elementsEqual(expected) else { throw JSONError(.badLiteral, at: position) }
        position += expected.count
    }

    /// Reads a number, or a string that holds nothing but one. Returns nil for any other string, which `text` then is.
    /// - Throws: `JSONError` where neither stands.
    package mutating func number(otherwise text: inout UnsafeRawBufferPointer) throws(JSONError) -> JSONNumber? {
        let start = position
        switch try peek() {
        case UInt8(ascii: "\""):
            text = try string()
            guard let number = JSONNumber(text, from: 0), number.end == text.count else { return nil }
            return number
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard let number = JSONNumber(body, from: start) else { throw JSONError(.badNumber, at: start) }
            position = number.end
            return number
        default: throw JSONError(.expectedNumber, at: start)
        }
    }

    /// Steps over a value of any kind, checking that it is JSON.
    /// - Throws: `JSONError` for what is not.
    package mutating func skipValue() throws(JSONError) {
        switch try peek() {
        case UInt8(ascii: "{"):
            guard try openObject() else { return }
            repeat {
                _ = try key()
                try skipValue()
            } while try hasNextMember()
        case UInt8(ascii: "["):
            guard try openArray() else { return }
            repeat { try skipValue() } while try hasNextElement()
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try bool()
        case UInt8(ascii: "n"): try literal("null")
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            var none = body
            _ = try number(otherwise: &none)
        default: throw JSONError(.badLiteral, at: position)
        }
    }

    // MARK: Strings

    /// Returns the content of a string: in the body itself, or where it was unescaped. It is valid until the next
    /// string.
    /// - Throws: `JSONError` where something else stands, or the string is malformed.
    @inline(__always)
    package mutating func string() throws(JSONError) -> UnsafeRawBufferPointer {
        guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.expectedString, at: position) }
        let start = position + 1
        let end = try JSONCharacters.plainEnd(body, from: start)
        if body[end] == UInt8(ascii: "\"") {
            position = end + 1
            return UnsafeRawBufferPointer(rebasing: body[start..<end])
        }
        return try unescape(from: start, firstEscape: end)
    }

    @inline(never)
    private mutating func unescape(from start: Int, firstEscape: Int) throws(JSONError) -> UnsafeRawBufferPointer {
        unescaped.truncate(to: 0)
        var runStart = start
        var runEnd = firstEscape
        while true {
            unescaped.append(UnsafeRawBufferPointer(rebasing: body[runStart..<runEnd]))
            if body[runEnd] == UInt8(ascii: "\"") { break }
            let (scalar, next) = try JSONCharacters.escape(body, at: runEnd)
            for byte in scalar.utf8 { unescaped.append(byte) }
            runStart = next
            runEnd = try JSONCharacters.plainEnd(body, from: next)
        }
        position = runEnd + 1
        return unescaped.bytes
    }
}
