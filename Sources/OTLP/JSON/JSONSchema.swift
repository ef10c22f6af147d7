/// The messages of OTLP's trace protos (https://github.com/open-telemetry/opentelemetry-proto, 1.10).
enum MessageType: UInt8 {
    case request, resourceSpans, resource, entityRef, scopeSpans, scope, span, event, link, status, keyValue, anyValue
    case arrayValue, keyValueList
}

/// How a field comes in JSON and goes out in protobuf.
enum FieldKind {
    case string, strings, bool, int32, int64, uint32, fixed32, fixed64, double, base64
    case traceID, spanID
    case spanKind, statusCode
    case message(MessageType)
    case messages(MessageType)

    fileprivate var wireType: UInt16 {
        switch self {
        case .bool, .int32, .int64, .uint32, .spanKind, .statusCode: 0
        case .fixed64, .double: 1
        case .string, .strings, .base64, .traceID, .spanID, .message, .messages: 2
        case .fixed32: 5
        }
    }
}

/// Finds a field by its message and key: a hash and three comparisons of words, no allocation.
struct JSONSchema {
    struct Field {
        let kind: FieldKind
        /// Its varint, read as a little-endian number.
        let tag: UInt16
    }

    private static let fields: [(MessageType, [(key: String, number: UInt16, kind: FieldKind)])] = [
        (.request, [("resourceSpans", 1, .messages(.resourceSpans))]),
        (
            .resourceSpans,
            [
                ("resource", 1, .message(.resource)), ("scopeSpans", 2, .messages(.scopeSpans)),
                ("schemaUrl", 3, .string),
            ]
        ),
        (
            .resource,
            [
                ("attributes", 1, .messages(.keyValue)), ("droppedAttributesCount", 2, .uint32),
                ("entityRefs", 3, .messages(.entityRef)),
            ]
        ),
        (
            .entityRef,
            [
                ("schemaUrl", 1, .string), ("type", 2, .string), ("idKeys", 3, .strings),
                ("descriptionKeys", 4, .strings),
            ]
        ),
        (.scopeSpans, [("scope", 1, .message(.scope)), ("spans", 2, .messages(.span)), ("schemaUrl", 3, .string)]),
        (
            .scope,
            [
                ("name", 1, .string), ("version", 2, .string), ("attributes", 3, .messages(.keyValue)),
                ("droppedAttributesCount", 4, .uint32),
            ]
        ),
        (
            .span,
            [
                ("traceId", 1, .traceID), ("spanId", 2, .spanID), ("traceState", 3, .string),
                ("parentSpanId", 4, .spanID),
                ("name", 5, .string), ("kind", 6, .spanKind), ("startTimeUnixNano", 7, .fixed64),
                ("endTimeUnixNano", 8, .fixed64), ("attributes", 9, .messages(.keyValue)),
                ("droppedAttributesCount", 10, .uint32), ("events", 11, .messages(.event)),
                ("droppedEventsCount", 12, .uint32),
                ("links", 13, .messages(.link)), ("droppedLinksCount", 14, .uint32), ("status", 15, .message(.status)),
                ("flags", 16, .fixed32),
            ]
        ),
        (
            .event,
            [
                ("timeUnixNano", 1, .fixed64), ("name", 2, .string), ("attributes", 3, .messages(.keyValue)),
                ("droppedAttributesCount", 4, .uint32),
            ]
        ),
        (
            .link,
            [
                ("traceId", 1, .traceID), ("spanId", 2, .spanID), ("traceState", 3, .string),
                ("attributes", 4, .messages(.keyValue)), ("droppedAttributesCount", 5, .uint32), ("flags", 6, .fixed32),
            ]
        ),
        (.status, [("message", 2, .string), ("code", 3, .statusCode)]),
        (.keyValue, [("key", 1, .string), ("value", 2, .message(.anyValue)), ("keyStrindex", 3, .int32)]),
        (
            .anyValue,
            [
                ("stringValue", 1, .string), ("boolValue", 2, .bool), ("intValue", 3, .int64),
                ("doubleValue", 4, .double),
                ("arrayValue", 5, .message(.arrayValue)), ("kvlistValue", 6, .message(.keyValueList)),
                ("bytesValue", 7, .base64), ("stringValueStrindex", 8, .int32),
            ]
        ),
        (.arrayValue, [("values", 1, .messages(.anyValue))]),
        (.keyValueList, [("values", 1, .messages(.keyValue))]),
    ]

    private struct Entry {
        let owner: MessageType
        let key: Key
        let field: Field
    }

    /// A key of at most 24 bytes as three words that may overlap: longer than any name above, in either spelling.
    private struct Key: Equatable {
        static let maxBytes = 24
        let first: UInt64
        let last: UInt64
        let middle: UInt64
        let count: Int

        @inline(__always)
        init(_ bytes: UnsafeRawBufferPointer) {
            count = bytes.count
            if bytes.count >= 8 {
                first = bytes.loadUnaligned(as: UInt64.self)
                last = bytes.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self)
                middle = bytes.count > 16 ? bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self) : 0
            } else if bytes.count >= 4 {
                first = UInt64(bytes.loadUnaligned(as: UInt32.self))
                last = UInt64(bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
                middle = 0
            } else {
                var word: UInt64 = 0
                for byte in bytes { word = word << 8 | UInt64(byte) }
                (first, last, middle) = (word, 0, 0)
            }
        }

        @inline(__always)
        func slot(_ owner: MessageType) -> Int {
            let mixed = (first ^ last &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(owner.rawValue) << 3) &* 0xD6E8_FEB8_6659_FD93
            return Int(truncatingIfNeeded: mixed >> 55)
        }
    }

    private static let slotCount = 512
    private var slots = [UInt8](repeating: 0, count: slotCount)
    private var entries: [Entry] = []

    init() {
        for (owner, fields) in Self.fields {
            for (key, number, kind) in fields {
                let tag = number << 3 | kind.wireType
                let field = Field(kind: kind, tag: tag < 0x80 ? tag : tag & 0x7F | 0x80 | (tag >> 7) << 8)
                insert(key, owner, field)
                let snakeCase = Self.snakeCase(key)
                if snakeCase != key { insert(snakeCase, owner, field) }
            }
        }
    }

    /// As parsers of protobuf's JSON do, we take the names of the proto files too.
    private static func snakeCase(_ key: String) -> String {
        String(key.flatMap { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" })
    }

    private mutating func insert(_ name: String, _ owner: MessageType, _ field: Field) {
        let key = Array(name.utf8).withUnsafeBytes { Key($0) }
        precondition(key.count <= Key.maxBytes, "\(name) is too long for a key")
        entries.append(Entry(owner: owner, key: key, field: field))
        var slot = key.slot(owner)
        while slots[slot] != 0 { slot = (slot + 1) % Self.slotCount }
        slots[slot] = UInt8(entries.count)
    }

    /// nil for a key that the message does not have.
    @inline(__always)
    func find(_ bytes: UnsafeRawBufferPointer, in owner: MessageType) -> Field? {
        if bytes.count > Key.maxBytes { return nil }
        let key = Key(bytes)
        var slot = key.slot(owner)
        while slots[slot] != 0 {
            let entry = entries[Int(slots[slot]) - 1]
            if entry.owner == owner && entry.key == key { return entry.field }
            slot = (slot + 1) % Self.slotCount
        }
        return nil
    }
}
