import ProtobufWire
import Text

/// Writes messages of OTLP's trace protos as the JSON that OTLP/HTTP has for them: keys in lowerCamelCase, ids in hex,
/// numbers of 64 bits as strings, enums as numbers, bytes in base64. Fields that the message does not have are left
/// out.
///
/// Fields go out in the order of the schema. If a singular field stands several times, the last one counts, and the
/// parts of a message are merged, as protobuf has it.
struct MessageJSONWriter {
    /// The fields by the number of the message and that of the field.
    private static let schema: [[Field?]] = JSONSchema.fields.map { _, fields in
        var byNumber: [Field?] = Array(repeating: nil, count: 17)
        for (key, number, kind) in fields { byNumber[Int(number)] = Field(key: Array(key.utf8), kind: kind) }
        return byNumber
    }

    private struct Field {
        let key: [UInt8]
        let kind: FieldKind
    }

    /// The value of a field as it stands in the message.
    fileprivate enum Value {
        case number(UInt64)
        case message(WireReader)
    }

    /// Writes `{…}`. `rest` writes further members in the place of the field `without`; it is told whether others stand
    /// before.
    /// - Throws: `WireError` where the message is malformed.
    static func write(
        _ parts: [WireReader], _ type: MessageType, without: Int = 0, to output: inout GrowingBytes,
        rest: (inout GrowingBytes, _ isFirst: Bool) throws(WireError) -> Void = { _, _ in }
    ) throws(WireError) {
        var values: [[Value]] = Array(repeating: [], count: 17)
        var last = 0
        for part in parts {
            var reader = part
            while !reader.isAtEnd {
                let (number, wireType) = try reader.tag()
                guard number < values.count, number != without, let field = schema[Int(type.rawValue)][number],
                    field.kind.wireType == UInt16(wireType.rawValue)
                else {
                    try reader.skip(wireType, field: number)
                    continue
                }
                values[number].append(try read(&reader, wireType))
                last = number
            }
        }
        output.append(UInt8(ascii: "{"))
        var isFirst = true
        for (number, values) in values.enumerated() {
            // An AnyValue has the last of its kinds.
            guard !values.isEmpty, type != .anyValue || number == last,
                let field = schema[Int(type.rawValue)][number],
                !isLeftOut(values, field.kind, in: type)
            else { continue }
            key(field.key, isFirst: &isFirst, to: &output)
            try write(values, field.kind, to: &output)
        }
        try rest(&output, isFirst)
        output.append(UInt8(ascii: "}"))
    }

    private static func read(_ reader: inout WireReader, _ type: WireType) throws(WireError) -> Value {
        switch type {
        case .varint: .number(try reader.varint())
        case .fixed64: .number(try reader.fixed64())
        case .fixed32: .number(UInt64(try reader.fixed32()))
        default: .message(try reader.message())
        }
    }

    /// Returns true for an empty id or text, which is left out but in an AnyValue.
    private static func isLeftOut(_ values: [Value], _ kind: FieldKind, in type: MessageType) -> Bool {
        switch (kind, values.last) {
        case (.string, .message(let text)), (.traceID, .message(let text)), (.spanID, .message(let text)):
            text.isAtEnd && type != .anyValue
        default: false
        }
    }

    static func key(_ key: [UInt8], isFirst: inout Bool, to output: inout GrowingBytes) {
        if !isFirst { output.append(UInt8(ascii: ",")) }
        isFirst = false
        output.append(UInt8(ascii: "\""))
        output.append(key)
        output.append("\":" as StaticString)
    }

    private static func write(
        _ values: [Value], _ kind: FieldKind, to output: inout GrowingBytes
    ) throws(WireError) {
        switch kind {
        case .message(let type): try write(values.compactMap(\.message), type, to: &output)
        case .messages(let type):
            try array(values, to: &output) { value, output throws(WireError) in
                if let message = value.message { try write([message], type, to: &output) }
            }
        case .strings:
            try array(values, to: &output) { value, output throws(WireError) in
                if let text = value.bytes { string(text, to: &output) }
            }
        default:
            switch values.last {
            case .number(let number): scalar(number, kind, to: &output)
            case .message(let reader): delimited(reader.content, kind, to: &output)
            case nil: break
            }
        }
    }

    private static func array(
        _ values: [Value], to output: inout GrowingBytes,
        _ element: (Value, inout GrowingBytes) throws(WireError) -> Void
    ) throws(WireError) {
        output.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            try element(value, &output)
        }
        output.append(UInt8(ascii: "]"))
    }

    private static func scalar(_ number: UInt64, _ kind: FieldKind, to output: inout GrowingBytes) {
        switch kind {
        case .bool: output.append(number != 0 ? "true" : "false" as StaticString)
        case .int32, .spanKind, .statusCode: output.append(String(Int32(truncatingIfNeeded: number)))
        case .uint32, .fixed32: output.append(decimal: UInt64(UInt32(truncatingIfNeeded: number)))
        case .int64: output.append("\"\(Int64(bitPattern: number))\"")
        case .double: double(Double(bitPattern: number), to: &output)
        default:
            output.append(UInt8(ascii: "\""))
            output.append(decimal: number)
            output.append(UInt8(ascii: "\""))
        }
    }

    /// Writes a double. JSON has no number for NaN and the infinities: protobuf's JSON writes them in words.
    private static func double(_ value: Double, to output: inout GrowingBytes) {
        if value.isFinite {
            output.append(value.description)
        } else {
            output.append(value.isNaN ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"" as StaticString)
        }
    }

    private static func delimited(_ bytes: UnsafeRawBufferPointer, _ kind: FieldKind, to output: inout GrowingBytes) {
        switch kind {
        case .traceID, .spanID:
            output.append(UInt8(ascii: "\""))
            for byte in bytes { output.append(Hex.text(UInt64(byte), digits: 2)) }
            output.append(UInt8(ascii: "\""))
        case .base64:
            output.append(UInt8(ascii: "\""))
            output.append(Base64.encode(Array(bytes)))
            for _ in 0..<(3 - bytes.count % 3) % 3 { output.append(UInt8(ascii: "=")) }
            output.append(UInt8(ascii: "\""))
        default: string(bytes, to: &output)
        }
    }

    /// Writes a string. Bytes that are not UTF-8 become U+FFFD.
    private static func string(_ bytes: UnsafeRawBufferPointer, to output: inout GrowingBytes) {
        let isPlain = bytes.allSatisfy {
            $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        if isPlain {
            output.append(UInt8(ascii: "\""))
            output.append(bytes)
            output.append(UInt8(ascii: "\""))
        } else {
            output.append(JSONString.quoted(String(decoding: bytes, as: UTF8.self)))
        }
    }
}

extension MessageJSONWriter.Value {
    fileprivate var message: WireReader? {
        if case .message(let reader) = self { reader } else { nil }
    }

    fileprivate var bytes: UnsafeRawBufferPointer? { message?.content }
}

extension WireReader {
    fileprivate var content: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[position..<end]) }
}
