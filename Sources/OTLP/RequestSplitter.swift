package import ProtobufWire

/// Divides one request into smaller ones, for a backend to which it is too large. Each has some of the spans, below
/// copies of the resources and scopes that they stood under. All other bytes stay as they came.
package enum RequestSplitter {
    /// Returns the request with the spans whose index, counted from 0, is in the range.
    ///
    /// - Throws: `WireError` where the bytes are not a request.
    package static func request(
        _ body: UnsafeRawBufferPointer, spans range: Range<Int>
    ) throws(WireError) -> [UInt8] {
        try keeping(range, of: WireReader(body), level: 0, startingAt: 0)
    }

    /// Returns true for a field whose messages lead to spans. Level 0 is the request (resource_spans = 1), 1
    /// ResourceSpans (scope_spans = 2), 2 ScopeSpans (spans = 2).
    private static func isNested(_ field: Int, _ type: WireType, level: Int) -> Bool {
        type == .lengthDelimited && field == (level == 0 ? 1 : 2)
    }

    private static func spanCount(_ message: WireReader, level: Int) throws(WireError) -> Int {
        var reader = message
        var count = 0
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if isNested(field, type, level: level) {
                let nested = try reader.message()
                count += level == 2 ? 1 : try spanCount(nested, level: level + 1)
            } else {
                try reader.skip(type, field: field)
            }
        }
        return count
    }

    /// Returns the message with the spans whose index, counted from `start` at its beginning, is in `range`. Nested
    /// messages without such a span are left out; all other fields are copied into each part.
    private static func keeping(
        _ range: Range<Int>, of message: WireReader, level: Int, startingAt start: Int
    ) throws(WireError) -> [UInt8] {
        var reader = message
        var writer = WireWriter()
        var index = start
        while !reader.isAtEnd {
            let fieldStart = reader.position
            let (field, type) = try reader.tag()
            var isWhole = true
            if isNested(field, type, level: level) {
                let nested = try reader.message()
                let spans = index..<index + (level == 2 ? 1 : try spanCount(nested, level: level + 1))
                index = spans.upperBound
                if !spans.overlaps(range) { continue }
                isWhole = spans.clamped(to: range) == spans
                if !isWhole {
                    writer.message(
                        field, try keeping(range, of: nested, level: level + 1, startingAt: spans.lowerBound))
                }
            } else {
                try reader.skip(type, field: field)
            }
            if isWhole { writer.raw(UnsafeRawBufferPointer(rebasing: message.buffer[fieldStart..<reader.position])) }
        }
        return writer.bytes
    }
}
