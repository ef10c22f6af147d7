import Model
import ProtobufWire

/// A span as the demo's producer and workers report it.
struct DemoSpan {
    enum Kind: UInt64 {
        case `internal` = 1
        case server, client, producer, consumer
    }

    enum Value {
        case string(String)
        case int(Int64)
    }

    let name: String
    let kind: Kind
    let reference: SpanReference
    var parent: SpanID = .none
    let start: WallTime
    let end: WallTime
    var attributes: [(String, Value)]
    var failure: DemoTaskKind.Failure?

    /// The OTLP `Span`.
    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.data(1, reference.trace.bytes)
        writer.data(2, reference.span.bytes)
        if parent.isValid { writer.data(4, parent.bytes) }
        writer.string(5, name)
        writer.varint(6, kind.rawValue)
        writer.fixed64(7, UInt64(start.nanoseconds))
        writer.fixed64(8, UInt64(end.nanoseconds))
        for (key, value) in attributes { writer.message(9, Self.keyValue(key, value)) }
        if let failure {
            writer.message(11, exceptionEvent(failure))
            writer.message(15) {
                $0.string(2, failure.message)
                $0.varint(3, 2)
            }
        }
        // These are the W3C flags of a sampled span.
        writer.fixed32(16, 0x101)
        return writer.bytes
    }

    /// Returns an OTLP `Span.Event`, as OpenTelemetry's conventions for exceptions have it.
    private func exceptionEvent(_ failure: DemoTaskKind.Failure) -> [UInt8] {
        var writer = WireWriter()
        writer.fixed64(1, UInt64(end.nanoseconds))
        writer.string(2, "exception")
        writer.message(3, Self.keyValue("exception.type", .string(failure.type)))
        writer.message(3, Self.keyValue("exception.message", .string(failure.message)))
        return writer.bytes
    }

    static func keyValue(_ key: String, _ value: Value) -> [UInt8] {
        var writer = WireWriter()
        writer.string(1, key)
        writer.message(2) {
            switch value {
            case .string(let text): $0.string(1, text)
            case .int(let number):
                // A 0 is written as well: an empty AnyValue would mean no value.
                $0.tag(3, .varint)
                $0.rawVarint(UInt64(bitPattern: number))
            }
        }
        return writer.bytes
    }

    /// Returns an ExportTraceServiceRequest with the spans of one service.
    static func request(service: String, _ spans: [DemoSpan]) -> [UInt8] {
        var request = WireWriter()
        request.message(1) { resourceSpans in
            resourceSpans.message(1) {
                $0.message(1, keyValue("service.name", .string(service)))
                $0.message(1, keyValue("service.namespace", .string("demo")))
            }
            resourceSpans.message(2) { scopeSpans in
                scopeSpans.message(1) { $0.string(1, "asynq-collector/demo") }
                for span in spans { scopeSpans.message(2, span.encoded) }
            }
        }
        return request.bytes
    }
}

extension TraceID {
    var bytes: [UInt8] {
        withUnsafeBytes(of: high.bigEndian) { Array($0) } + withUnsafeBytes(of: low.bigEndian) { Array($0) }
    }

    static var random: TraceID { TraceID(high: .random(in: 1 ... .max), low: .random(in: 1 ... .max)) }
}

extension SpanID {
    var bytes: [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

    static var random: SpanID { SpanID(.random(in: 1 ... .max)) }
}

extension SpanReference {
    /// The W3C `traceparent` header.
    var traceparent: String { "00-\(trace.hex)-\(span.hex)-01" }
}
