/// The messages of OTLP's trace protos (https://github.com/open-telemetry/opentelemetry-proto, 1.10).
enum MessageType: UInt8 {
    case request, resourceSpans, resource, entityRef, scopeSpans, scope, span, event, link, status, keyValue, anyValue
    case arrayValue, keyValueList
}

/// The form of a field in JSON and in protobuf.
enum FieldKind {
    case string, strings, bool, int32, int64, uint32, fixed32, fixed64, double, base64
    case traceID, spanID
    case spanKind, statusCode
    case message(MessageType)
    case messages(MessageType)

    var wireType: UInt16 {
        switch self {
        case .bool, .int32, .int64, .uint32, .spanKind, .statusCode: 0
        case .fixed64, .double: 1
        case .string, .strings, .base64, .traceID, .spanID, .message, .messages: 2
        case .fixed32: 5
        }
    }
}

/// Finds a field by its message and key, without an allocation.
struct JSONSchema {
    struct Field {
        let kind: FieldKind
        let tag: UInt64
    }

    static let fields: [(MessageType, [(key: String, number: UInt16, kind: FieldKind)])] = [
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
        let key: [UInt8]
        let field: Field
    }

    /// The fields by the number of their message: a message has 16 fields at most, and most keys differ in their
    /// lengths.
    private var entries: [[Entry]] = []

    init() {
        for (owner, fields) in Self.fields {
            precondition(owner.rawValue == entries.count, "messages stand in the order of their numbers")
            entries.append(
                fields.flatMap { key, number, kind in
                    let field = Field(kind: kind, tag: UInt64(number << 3 | kind.wireType))
                    let names = Self.snakeCase(key) == key ? [key] : [key, Self.snakeCase(key)]
                    return names.map { Entry(key: Array($0.utf8), field: field) }
                })
        }
    }

    /// Returns the key as the proto files write it, which is read as well, as parsers of protobuf's JSON do.
    private static func snakeCase(_ key: String) -> String {
        String(key.flatMap { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" })
    }

    /// Returns the field, or nil for a key that the message does not have.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer, in owner: MessageType) -> Field? {
        for entry in entries[Int(owner.rawValue)] where entry.key.count == key.count {
            if entry.key.elementsEqual(key) { return entry.field }
        }
        return nil
    }
}
