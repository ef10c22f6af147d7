package import Model
import ProtobufWire

/// Reads the error that a failed attempt's span names, in a pass of its own over the span: only failed attempts need
/// it.
///
/// ```
/// Span  11 events ─► Event  2 name `exception`  3 attributes ─► KeyValue  1 key `exception.message`  2 value { 1 string }
///       15 status ─► Status  2 message
/// ```
package enum AttemptFailure {
    /// Returns the message of the last exception event that has one, else that of the status, else the type of the
    /// error. Returns `.none` where the span says nothing. Asynq stores the same message as the task's error.
    ///
    /// The scanner has checked the bytes; other bytes are read as far as they can be.
    package static func text(of span: TaskSpan, in body: UnsafeRawBufferPointer) -> ByteRange {
        let found = read(WireReader(span.content.bytes(in: body)))
        let message = found.exceptionMessage.isEmpty ? found.statusMessage : found.exceptionMessage
        if message.isEmpty { return span.errorType }
        return ByteRange(offset: Int(span.content.offset) + message.lowerBound, count: message.count)
    }

    private typealias Found = (exceptionMessage: Range<Int>, statusMessage: Range<Int>)

    private static func read(_ span: WireReader) -> Found {
        var found: Found = (0..<0, 0..<0)
        do throws(WireError) {
            var reader = span
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                switch (field, type) {
                case (11, .lengthDelimited):
                    let message = try ExceptionEvents.text(of: "exception.message", inEvent: try reader.message())
                    if !message.isEmpty { found.exceptionMessage = message.range }
                case (15, .lengthDelimited):
                    if let message = try statusMessage(try reader.message()) { found.statusMessage = message }
                default: try reader.skip(type, field: field)
                }
            }
        } catch {
            return found
        }
        return found
    }

    private static func statusMessage(_ status: WireReader) throws(WireError) -> Range<Int>? {
        var reader = status
        var message: Range<Int>?
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == 2 && type == .lengthDelimited {
                message = try reader.range()
            } else {
                try reader.skip(type, field: field)
            }
        }
        return message
    }
}

extension ByteRange {
    fileprivate var range: Range<Int> { Int(offset)..<Int(offset) + Int(count) }
}
