import ProtobufWire

/// A request of another signal of OTLP. Requests of all signals nest alike (`resource_… 1 ─► scope_… 2 ─► records 2`), so
/// only the records tell which one a body is.
///
/// ```
/// LogRecord  1 time  2 severity_number  3 severity_text  5 body  6 attributes  7 dropped  8 flags  9 trace_id  10 span_id
///            11 observed_time  12 event_name
/// Metric     1 name  2 description  3 unit  5 gauge  7 sum  9 histogram  10 exponential_histogram  11 summary  12 metadata
/// ```
/// Source: https://github.com/open-telemetry/opentelemetry-proto
package enum OtherSignal: String, Sendable {
    case logs, metrics

    /// Returns the signal whose records all records of the body can be; nil if there is none, or if they can be spans only.
    package static func found(in body: UnsafeRawBufferPointer) -> OtherSignal? {
        var candidates: [OtherSignal] = [.logs, .metrics]
        var records = 0
        do throws(WireError) {
            try walk(WireReader(body), level: 0) { record in
                records += 1
                candidates = candidates.filter { $0.canBe(record) }
            }
        } catch {
            return nil
        }
        return records == 0 ? nil : candidates.first
    }

    /// Calls `visit` with the content of each record: level 3 of the nesting.
    private static func walk(
        _ message: WireReader, level: Int, _ visit: (WireReader) -> Void
    ) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            guard field == (level == 0 ? 1 : 2), type == .lengthDelimited else {
                try reader.skip(type, field: field)
                continue
            }
            let nested = try reader.message()
            if level < 2 { try walk(nested, level: level + 1, visit) } else { visit(nested) }
        }
    }

    private func type(ofField field: Int) -> WireType? {
        switch (self, field) {
        case (.logs, 1), (.logs, 11): .fixed64
        case (.logs, 2), (.logs, 7): .varint
        case (.logs, 8): .fixed32
        case (.logs, 3), (.logs, 5), (.logs, 6), (.logs, 9), (.logs, 10), (.logs, 12): .lengthDelimited
        case (.metrics, 1...3), (.metrics, 5), (.metrics, 7), (.metrics, 9...12): .lengthDelimited
        default: nil
        }
    }

    /// Whether a record has fields of this signal only, and one that a span can't have: a time or a severity in the place of
    /// its trace id or span id, a value in the place of its name, or data points.
    private func canBe(_ record: WireReader) -> Bool {
        var reader = record
        var isSure = false
        do throws(WireError) {
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                guard type == self.type(ofField: field) else { return false }
                switch (self, field) {
                case (.logs, 1), (.logs, 2), (.logs, 11): isSure = true
                case (.logs, 5):
                    isSure = try Self.isValue(try reader.message()) || isSure
                    continue
                case (.metrics, 5), (.metrics, 7), (.metrics, 9...11):
                    isSure = try Self.hasDataPoints(try reader.message()) || isSure
                    continue
                default: break
                }
                try reader.skip(type, field: field)
            }
        } catch {
            return false
        }
        return isSure
    }

    /// Whether a message can be an AnyValue: one of 1 string  2 bool  3 int  4 double  5 array  6 kvlist  7 bytes.
    private static func isValue(_ message: WireReader) throws(WireError) -> Bool {
        var reader = message
        if reader.isAtEnd { return false }
        let (field, type) = try reader.tag()
        let types: [WireType] = [
            .lengthDelimited, .varint, .varint, .fixed64, .lengthDelimited, .lengthDelimited, .lengthDelimited,
        ]
        guard field <= types.count, type == types[field - 1] else { return false }
        try reader.skip(type, field: field)
        return reader.isAtEnd
    }

    /// Whether a message can be a Gauge, Sum, Histogram, ExponentialHistogram or Summary: 1 data_points, and numbers.
    private static func hasDataPoints(_ message: WireReader) throws(WireError) -> Bool {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            guard field == 1 ? type == .lengthDelimited : type == .varint && field <= 3 else { return false }
            try reader.skip(type, field: field)
        }
        return true
    }
}
