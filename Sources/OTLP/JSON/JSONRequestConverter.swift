import JSON
import ProtobufWire
import Text

/// Turns OTLP's JSON into the ExportTraceServiceRequest that it stands for, so that all behind the receiver knows
/// protobuf only. It takes one pass over the bytes, makes no tree, and allocates nothing per span. Its buffers keep
/// their capacity from one request to the next.
///
/// The mapping is proto3's (https://protobuf.dev/programming-guides/json/) with OTLP's changes
/// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding):
///
/// - **Keys** in lowerCamelCase or as in the proto files. Any other key is skipped with its value, which must be JSON.
/// - **`null`**: the field is absent. Within arrays it is a value out of range.
/// - **Trace and span ids** in hex, upper or lower case. Anything else becomes an id of one byte, so that the span
///   scanner refuses the span by count and the rest goes on. `""` is an absent id.
/// - **Integers**: a number or a string that holds one. `1.0` and `1e3` are whole.
/// - **A value out of range** (of an integer or a double, or a `null` in an array) costs the span that it stands in: an empty
///   span takes its place, which the scanner refuses by count. In a resource or scope it costs the spans of that.
/// - **Enums** are numbers. Names are tolerated; an unknown name is absent, as for every parser that skips unknown fields.
/// - **Doubles**: a number, a string that holds one, `"NaN"`, `"Infinity"`, `"-Infinity"`.
/// - **`bytesValue`**: base64, standard or url-safe, with padding or without.
/// - **A key that comes twice** is what a field that comes twice is in protobuf: of scalars the last one counts, messages
///   are merged, arrays joined.
/// - **Two kinds in one AnyValue**: the last one counts. `{}` stays a value that is present and empty.
///
/// Each named field is written, zeros too. Output is at most 1.25 times the input (`{"kind":-1}` makes 11 bytes of 9).
/// Its capacity grows with what is written, never with what a number claims.
package struct JSONRequestConverter: ~Copyable {
    /// The capacity that is kept for the next request.
    private static let maxKeptBytes = 1 << 20

    private static let allFields = JSONSchema()

    private let schema = allFields
    private var text = JSONText()
    private var output = GrowingBytes()
    private var lengths = MessageLengths()
    /// The buffer in which base64 is decoded.
    private var decoded = GrowingBytes()
    /// The number of open arrays and lists within one another, as `SpanScanner` counts them.
    private var valueDepth = 0
    private var remarks = JSONRemarks()
    private var firstProblem: JSONError?
    /// True if the resource or scope of the spans that are read is refused, and all of them with it.
    private var refusesSpans = false

    package init() {}

    /// Calls `use` with the request in protobuf, which is valid only within. `limit` is the most bytes of the output.
    /// - Throws: `MalformedJSON` where the body is not such a request, or becomes too large.
    package mutating func convert<Result>(
        _ body: UnsafeRawBufferPointer, limit: Int = .max, _ use: (UnsafeRawBufferPointer) -> Result
    ) throws(MalformedJSON) -> Result {
        try convertWithRemarks(body, limit: limit) { request, _ in use(request) }
    }

    /// Does the same as `convert`, and hands over the remarks too.
    /// - Throws: `MalformedJSON` where the body is not such a request, or becomes too large.
    package mutating func convertWithRemarks<Result>(
        _ body: UnsafeRawBufferPointer, limit: Int = .max, _ use: (UnsafeRawBufferPointer, JSONRemarks) -> Result
    ) throws(MalformedJSON) -> Result {
        remarks = JSONRemarks()
        firstProblem = nil
        refusesSpans = false
        output.reset(keepingAtMost: Self.maxKeptBytes)
        lengths.reset()
        decoded.reset(keepingAtMost: Self.maxKeptBytes)
        valueDepth = 0
        text.start(body, keepingAtMost: Self.maxKeptBytes)
        defer { text.end() }
        do throws(JSONError) {
            try request()
            lengths.finish(&output)
            if output.count > limit { throw JSONError(.tooLarge, at: 0) }
        } catch {
            throw MalformedJSON(error, in: body)
        }
        remarks.firstProblem = firstProblem.map { MalformedJSON($0, in: body) }
        return use(output.bytes, remarks)
    }

    private mutating func request() throws(JSONError) {
        text.skipWhitespace()
        if text.isAtEnd { throw JSONError(.empty, at: text.position) }
        try members(of: .request)
        text.skipWhitespace()
        if !text.isAtEnd { throw JSONError(.trailingBytes, at: text.position) }
    }

    // MARK: Messages

    /// Writes the members of an object. `anyValue` says that only the last one counts.
    private mutating func members(
        of type: MessageType, anyValue: MessageLengths.Mark? = nil
    ) throws(JSONError) {
        guard try text.openObject() else { return }
        repeat {
            let key = try text.key()
            guard let field = schema.find(key, in: type) else {
                recordUnknown(key, in: type)
                try text.skipValue()
                continue
            }
            if try text.takeNull() { continue }
            if let anyValue { lengths.clear(anyValue, in: &output) }
            try value(of: field)
        } while try text.hasNextMember()
    }

    private mutating func value(of field: JSONSchema.Field) throws(JSONError) {
        switch field.kind {
        case .string: data(field.tag, try text.string())
        case .traceID: try identifier(field.tag, bytes: 16)
        case .spanID: try identifier(field.tag, bytes: 8)
        case .fixed64: fixed(field.tag, try unsigned(max: .max))
        case .fixed32: fixed(field.tag, UInt32(truncatingIfNeeded: try unsigned(max: UInt64(UInt32.max))))
        case .uint32: varint(field.tag, try unsigned(max: UInt64(UInt32.max)))
        case .int64: varint(field.tag, try signed(bits: 64))
        case .int32: varint(field.tag, try signed(bits: 32))
        case .bool: varint(field.tag, try text.bool() ? 1 : 0)
        case .double: fixed(field.tag, try double().bitPattern)
        case .base64: try base64(field.tag)
        case .spanKind: try enumeration(field.tag, Self.spanKinds)
        case .statusCode: try enumeration(field.tag, Self.statusCodes)
        case .message(let type):
            if refusesSpans && (type == .resource || type == .scope) { return try text.skipValue() }
            try message(field.tag, type)
        case .messages(let type):
            guard try text.openArray() else { return }
            repeat { try element(field.tag, type) } while try text.hasNextElement()
        case .strings:
            guard try text.openArray() else { return }
            repeat { data(field.tag, try text.string()) } while try text.hasNextElement()
        }
    }

    private mutating func recordUnknown(_ key: UnsafeRawBufferPointer, in type: MessageType) {
        guard remarks.unknownKey == nil, type == .request || type == .resourceSpans || type == .scopeSpans else {
            return
        }
        remarks.unknownKey = String(decoding: key.prefix(JSONRemarks.maxKeyBytes), as: UTF8.self)
    }

    // MARK: Values out of range

    /// Writes a message in a list. A message that holds spans is read once more where a value in it is out of range, to
    /// refuse them by count.
    private mutating func element(_ tag: UInt64, _ type: MessageType) throws(JSONError) {
        guard type == .span || type == .scopeSpans || type == .resourceSpans else { return try message(tag, type) }
        if refusesSpans && type == .span { return try refuseSpan(tag) }
        let (start, written, badSpans) = (text.mark, lengths.mark(in: output), remarks.badSpans)
        do throws(JSONError) {
            try message(tag, type)
        } catch {
            guard !refusesSpans, isOutOfRange(error) else { throw error }
            if firstProblem == nil { firstProblem = error }
            text.rewind(to: start)
            lengths.clear(written, in: &output)
            valueDepth = 0
            remarks.badSpans = badSpans
            if type == .span { return try refuseSpan(tag) }
            // An element that is null has no spans.
            if try text.takeNull() { return }
            refusesSpans = true
            defer { refusesSpans = false }
            try message(tag, type)
        }
    }

    /// Returns true if the text is JSON of the right form, and the fault is only a value that its field can't have.
    private func isOutOfRange(_ error: JSONError) -> Bool {
        switch error.reason {
        case .badInteger, .badDouble: true
        case .expectedObject, .expectedString: text.isNull(at: error.offset)
        default: false
        }
    }

    /// Writes an empty span, which has no id and is refused for that.
    private mutating func refuseSpan(_ tag: UInt64) throws(JSONError) {
        let start = text.position
        let byte = try text.peek()
        guard byte == UInt8(ascii: "{") || byte == UInt8(ascii: "n") else {
            throw JSONError(.expectedObject, at: start)
        }
        try text.skipValue()
        output.append(varint: tag)
        lengths.close(lengths.open(in: &output), in: &output)
        remarks.badSpans += 1
    }

    private mutating func message(_ tag: UInt64, _ type: MessageType) throws(JSONError) {
        let isList = type == .arrayValue || type == .keyValueList
        if isList {
            valueDepth += 1
            if valueDepth > SpanScanner.maxValueDepth { throw JSONError(.tooDeep, at: text.position) }
        }
        output.append(varint: tag)
        let message = lengths.open(in: &output)
        try members(of: type, anyValue: type == .anyValue ? message : nil)
        lengths.close(message, in: &output)
        if isList { valueDepth -= 1 }
    }

    // MARK: Fields

    private mutating func varint(_ tag: UInt64, _ value: UInt64) {
        output.append(varint: tag)
        output.append(varint: value)
    }

    private mutating func fixed(_ tag: UInt64, _ value: some FixedWidthInteger & BitwiseCopyable) {
        output.append(varint: tag)
        output.append(littleEndian: value)
    }

    private mutating func data(_ tag: UInt64, _ value: UnsafeRawBufferPointer) {
        output.append(varint: tag)
        output.append(varint: UInt64(value.count))
        output.append(value)
    }

    // MARK: Scalars

    private mutating func identifier(_ tag: UInt64, bytes count: Int) throws(JSONError) {
        guard try text.peek() == UInt8(ascii: "\"") else {
            try text.skipValue()
            return unusableIdentifier(tag)
        }
        let hex = try text.string()
        if hex.isEmpty { return data(tag, hex) }
        guard hex.count == count * 2 else { return unusableIdentifier(tag) }
        let start = output.count
        output.append(varint: tag)
        output.append(varint: UInt64(count))
        for position in stride(from: 0, to: hex.count, by: 16) {
            guard let word = Hex.value(hex[position..<position + 16]) else {
                output.truncate(to: start)
                return unusableIdentifier(tag)
            }
            output.append(littleEndian: word.byteSwapped)
        }
    }

    /// A length that is wrong for every id: absent would do for the span's own ids, but not for its parent and links.
    private mutating func unusableIdentifier(_ tag: UInt64) {
        withUnsafeBytes(of: UInt8(0)) { data(tag, $0) }
    }

    private mutating func number() throws(JSONError) -> JSONNumber {
        let start = text.position
        var other = UnsafeRawBufferPointer(start: nil, count: 0)
        guard let number = try text.number(otherwise: &other) else { throw JSONError(.expectedNumber, at: start) }
        return number
    }

    private mutating func unsigned(max: UInt64) throws(JSONError) -> UInt64 {
        let start = text.position
        guard let value = try number().unsigned(max: max) else { throw JSONError(.badInteger, at: start) }
        return value
    }

    private mutating func signed(bits: UInt64) throws(JSONError) -> UInt64 {
        let start = text.position
        guard let value = try number().signed(bits: bits) else { throw JSONError(.badInteger, at: start) }
        return UInt64(bitPattern: value)
    }

    private mutating func double() throws(JSONError) -> Double {
        let start = text.position
        var other = UnsafeRawBufferPointer(start: nil, count: 0)
        if let number = try text.number(otherwise: &other) {
            guard let value = number.double else { throw JSONError(.badDouble, at: start) }
            return value
        }
        if Self.equals(other, "NaN") { return .nan }
        if Self.equals(other, "Infinity") { return .infinity }
        if Self.equals(other, "-Infinity") { return -.infinity }
        throw JSONError(.expectedNumber, at: start)
    }

    private mutating func base64(_ tag: UInt64) throws(JSONError) {
        let start = text.position
        let encoded = try text.string()
        decoded.truncate(to: 0)
        guard Base64.decode(encoded, into: &decoded) else { throw JSONError(.badBase64, at: start) }
        data(tag, decoded.bytes)
    }

    // MARK: Enums

    private static let spanKinds: [StaticString] = [
        "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ]
    private static let statusCodes: [StaticString] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]

    private mutating func enumeration(_ tag: UInt64, _ names: [StaticString]) throws(JSONError) {
        let start = text.position
        var name = UnsafeRawBufferPointer(start: nil, count: 0)
        if let number = try text.number(otherwise: &name) {
            guard let value = number.signed(bits: 32) else { throw JSONError(.badInteger, at: start) }
            varint(tag, UInt64(bitPattern: value))
        } else if let value = names.firstIndex(where: { Self.equals(name, $0) }) {
            varint(tag, UInt64(value))
        }
    }

    private static func equals(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        bytes.elementsEqual(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
