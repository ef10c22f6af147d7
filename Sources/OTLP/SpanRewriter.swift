package import ProtobufWire

/// Makes a request without some of its spans; every other byte stays as it came, only the lengths around a removed
/// span change. The slow path: it runs for requests with a refused span only.
package enum SpanRewriter {
    /// `refused` holds the content ranges that `SpanScanner` noted, ascending, in a body that it has scanned.
    package static func removing(
        _ refused: [Range<Int>], from body: UnsafeRawBufferPointer
    ) throws(WireError) -> [UInt8] {
        var rest = refused[...]
        return try rewrite(WireReader(body), nestedField: 1, level: 0, &rest)
    }

    /// Level 0 is the request (resource_spans = 1), 1 ResourceSpans (scope_spans = 2), 2 ScopeSpans (spans = 2). Takes
    /// from `refused` what it has passed: to look at them all for each span would be quadratic.
    private static func rewrite(
        _ message: WireReader, nestedField: Int, level: Int, _ refused: inout ArraySlice<Range<Int>>
    ) throws(WireError) -> [UInt8] {
        var reader = message
        var writer = WireWriter()
        while !reader.isAtEnd {
            let start = reader.position
            let (field, type) = try reader.tag()
            guard field == nestedField, type == .lengthDelimited else {
                try reader.skip(type, field: field)
                writer.raw(UnsafeRawBufferPointer(rebasing: message.buffer[start..<reader.position]))
                continue
            }
            let nested = try reader.message()
            let isTouched = refused.first.map { $0.lowerBound >= nested.position && $0.upperBound <= nested.end } ?? false
            if !isTouched {
                writer.raw(UnsafeRawBufferPointer(rebasing: message.buffer[start..<reader.position]))
            } else if level < 2 {
                writer.message(field, try rewrite(nested, nestedField: 2, level: level + 1, &refused))
            } else {
                refused.removeFirst()
            }
        }
        return writer.bytes
    }
}
