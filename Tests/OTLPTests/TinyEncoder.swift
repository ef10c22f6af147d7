/// A protobuf encoder of its own, so that the tests share no mistake with the code. Every function gives the bytes of
/// one field.
enum Field {
    static func varint(_ value: UInt64) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value % 128) + 128] + varint(value / 128)
    }

    static func int(_ number: UInt64, _ value: UInt64) -> [UInt8] {
        varint(number * 8) + varint(value)
    }

    static func fixed64(_ number: UInt64, _ value: UInt64) -> [UInt8] {
        varint(number * 8 + 1) + (0..<8).map { UInt8(value >> (8 * UInt64($0)) & 0xFF) }
    }

    static func fixed32(_ number: UInt64, _ value: UInt32) -> [UInt8] {
        varint(number * 8 + 5) + (0..<4).map { UInt8(value >> (8 * UInt32($0)) & 0xFF) }
    }

    static func bytes(_ number: UInt64, _ value: [UInt8]) -> [UInt8] {
        varint(number * 8 + 2) + varint(UInt64(value.count)) + value
    }

    static func text(_ number: UInt64, _ value: String) -> [UInt8] {
        bytes(number, Array(value.utf8))
    }

    static func message(_ number: UInt64, _ fields: [UInt8]...) -> [UInt8] {
        bytes(number, fields.flatMap { $0 })
    }

    static func group(_ number: UInt64, _ fields: [UInt8]...) -> [UInt8] {
        varint(number * 8 + 3) + fields.flatMap { $0 } + varint(number * 8 + 4)
    }
}

/// The contents of OTLP's AnyValue, for each kind.
enum Value {
    static func text(_ value: String) -> [UInt8] { Field.text(1, value) }
    static func bool(_ value: Bool) -> [UInt8] { Field.int(2, value ? 1 : 0) }
    static func int(_ value: Int64) -> [UInt8] { Field.int(3, UInt64(bitPattern: value)) }
    static func double(_ value: Double) -> [UInt8] { Field.fixed64(4, value.bitPattern) }
    static func array(_ values: [UInt8]...) -> [UInt8] { Field.bytes(5, values.flatMap { Field.bytes(1, $0) }) }
    static func map(_ keyValues: [UInt8]...) -> [UInt8] { Field.bytes(6, keyValues.flatMap { Field.bytes(1, $0) }) }
    static func bytes(_ value: [UInt8]) -> [UInt8] { Field.bytes(7, value) }
}

/// The content of a KeyValue.
func keyValue(_ key: String, _ value: [UInt8]) -> [UInt8] {
    Field.text(1, key) + Field.bytes(2, value)
}

/// Field 9 of a span.
func attribute(_ key: String, _ value: [UInt8]) -> [UInt8] {
    Field.bytes(9, keyValue(key, value))
}

func attribute(_ key: String, _ value: String) -> [UInt8] {
    attribute(key, Value.text(value))
}

let traceBytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
let spanBytes: [UInt8] = [0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8]
let ids: [UInt8] = Field.bytes(1, traceBytes) + Field.bytes(2, spanBytes)

func kind(_ kind: UInt64) -> [UInt8] { Field.int(6, kind) }

/// A request with these spans' contents in one scope.
func request(_ spans: [[UInt8]]) -> [UInt8] {
    Field.message(1, Field.bytes(2, spans.flatMap { Field.bytes(2, $0) }))
}

func request(_ fields: [UInt8]...) -> [UInt8] {
    request([fields.flatMap { $0 }])
}
