import Model
import ProtobufWire

/// Reads the exceptions that a failed attempt's span names, in a second pass over the span: most spans need none.
///
/// Span: 11 events ─► Event: 2 name `exception`, 3 attributes ─► KeyValue: 1 key `exception.type`, 2 value { 1 string }.
enum ExceptionEvents {
    /// Returns the type in the last exception event that has one, else `.none`. The scanner has checked the bytes.
    /// - Throws: `WireError` where the bytes are malformed.
    static func lastType(in span: WireReader) throws(WireError) -> ByteRange {
        var reader = span
        var last = ByteRange.none
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            guard field == 11, type == .lengthDelimited else {
                try reader.skip(type, field: field)
                continue
            }
            let found = try text(of: "exception.type", inEvent: try reader.message())
            if !found.isEmpty { last = found }
        }
        return last
    }

    /// Returns the text of an attribute of an exception event; `.none` for an event that lacks it or is of another
    /// kind.
    /// - Throws: `WireError` where the bytes are malformed.
    static func text(of attribute: StaticString, inEvent event: WireReader) throws(WireError) -> ByteRange {
        var reader = event
        var isException = false
        var found = ByteRange.none
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (2, .lengthDelimited): isException = equals(try reader.range(), "exception", in: event)
            case (3, .lengthDelimited):
                let (key, value) = try keyAndText(try reader.message())
                if !value.isEmpty && equals(key, attribute, in: event) { found = value }
            default: try reader.skip(type, field: field)
            }
        }
        return isException ? found : .none
    }

    /// Reads a KeyValue; the text is empty where the value is of another kind.
    private static func keyAndText(_ message: WireReader) throws(WireError) -> (key: Range<Int>, text: ByteRange) {
        var reader = message
        var key = 0..<0
        var text = ByteRange.none
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, .lengthDelimited): key = try reader.range()
            case (2, .lengthDelimited): text = try self.text(try reader.message())
            default: try reader.skip(type, field: field)
            }
        }
        return (key, text)
    }

    /// Reads the text of an AnyValue: of several kinds the last one counts.
    private static func text(_ message: WireReader) throws(WireError) -> ByteRange {
        var reader = message
        var text = ByteRange.none
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == 1 && type == .lengthDelimited {
                let range = try reader.range()
                text = ByteRange(offset: range.lowerBound, count: range.count)
            } else {
                try reader.skip(type, field: field)
                if (2...7).contains(field) { text = .none }
            }
        }
        return text
    }

    private static func equals(_ range: Range<Int>, _ text: StaticString, in reader: WireReader) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        return UnsafeRawBufferPointer(rebasing: reader.buffer[range]).elementsEqual(expected)
    }
}
