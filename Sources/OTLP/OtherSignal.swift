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

    /// How well a record fits a signal.
    private enum Fit {
        case impossible
        /// It has fields of the signal only, and may be a span as well.
        case possible
        /// It has a field too that a span can't have.
        case sure
    }

    /// Returns the signal whose records all records of the body can be, and one can be only; nil if there is none.
    package static func found(in body: UnsafeRawBufferPointer) -> OtherSignal? {
        var candidates: [OtherSignal: Fit] = [.logs: .possible, .metrics: .possible]
        do throws(WireError) {
            try walk(WireReader(body), level: 0) { record in
                for (signal, fit) in candidates {
                    switch signal.fit(of: record) {
                    case .impossible: candidates[signal] = nil
                    case .possible: break
                    case .sure: if fit == .possible { candidates[signal] = .sure }
                    }
                }
            }
        } catch {
            return nil
        }
        return [.logs, .metrics].first { candidates[$0] == .sure }
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

    /// A record is surely of this signal where a field has another wire type than in a span, or a value or data points stand in the place
    /// of a span's name or attributes. The ids of a span are bytes, the names of a metric are text. But where the lengths of a name and a
    /// description are those of a span's ids, only a field that no span can have counts.
    private func fit(of record: WireReader) -> Fit {
        var reader = record
        var fit = Fit.possible
        /// The fit by fields that no span can have.
        var surest = Fit.possible
        var isSpan = (hasTraceID: false, hasSpanID: false)
        var dataField: Int?
        do throws(WireError) {
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                guard type == self.type(ofField: field) else { return .impossible }
                switch (self, field) {
                case (.logs, 1), (.logs, 2), (.logs, 6...8), (.logs, 11), (.metrics, 12):
                    (fit, surest) = (.sure, .sure)
                    try reader.skip(type, field: field)
                case (.logs, 9):
                    guard [0, 16].contains(try reader.bytes().count) else { return .impossible }
                case (.logs, 10):
                    guard [0, 8].contains(try reader.bytes().count) else { return .impossible }
                    (fit, surest) = (.sure, .sure)
                case (.logs, 12):
                    guard Self.isText(try reader.bytes()) else { return .impossible }
                    (fit, surest) = (.sure, .sure)
                case (.logs, 5):
                    switch try Self.fit(ofValue: try reader.message()) {
                    case .impossible: return .impossible
                    case .possible: break
                    case .sure: (fit, surest) = (.sure, .sure)
                    }
                case (.metrics, 5), (.metrics, 7), (.metrics, 9...11):
                    let bytes = try reader.bytes()
                    // A metric has data of one kind only.
                    guard dataField == nil || dataField == field, try Self.hasDataPoints(WireReader(bytes)) else {
                        return .impossible
                    }
                    dataField = field
                    fit = .sure
                    if try !Self.isOfSpan(bytes, field: field) { surest = .sure }
                case (.metrics, 1...3):
                    let text = try reader.bytes()
                    guard Self.isText(text) else { return .impossible }
                    if field == 1 { isSpan.hasTraceID = text.count == 16 }
                    if field == 2 { isSpan.hasSpanID = text.count == 8 }
                default: try reader.skip(type, field: field)
                }
            }
        } catch {
            return .impossible
        }
        return isSpan == (true, true) ? surest : fit
    }

    /// Whether the bytes of a Gauge, Histogram or Summary can be a span's name, attribute or event in the same field. A Sum and an
    /// ExponentialHistogram stand in fields of other wire types. An empty name is left out.
    private static func isOfSpan(_ bytes: UnsafeRawBufferPointer, field: Int) throws(WireError) -> Bool {
        switch field {
        case 5: return !bytes.isEmpty && isText(bytes)
        case 9:
            // An attribute is a key and a value; a histogram has a number too.
            var reader = WireReader(bytes)
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                if type != .lengthDelimited { return false }
                try reader.skip(type, field: field)
            }
            return true
        case 11: return bytes.isEmpty
        default: return false
        }
    }

    private static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let isPlain = bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
        return isPlain && String(validating: bytes, as: UTF8.self) != nil
    }

    /// How well a message fits an AnyValue: one of 1 string  2 bool  3 int  4 double  5 array  6 kvlist  7 bytes. A string with control
    /// characters may as well be the data points of a metric.
    private static func fit(ofValue message: WireReader) throws(WireError) -> Fit {
        var reader = message
        if reader.isAtEnd { return .impossible }
        let (field, type) = try reader.tag()
        let types: [WireType] = [
            .lengthDelimited, .varint, .varint, .fixed64, .lengthDelimited, .lengthDelimited, .lengthDelimited,
        ]
        guard field <= types.count, type == types[field - 1] else { return .impossible }
        var fit = Fit.sure
        if field == 1 {
            if !isText(try reader.bytes()) { fit = .possible }
        } else {
            try reader.skip(type, field: field)
        }
        return reader.isAtEnd ? fit : .impossible
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
