import Model
import Testing

@Suite("Spans of tasks")
struct TaskSpanTests {
    private static let body = Array("12.5 x 1e3".utf8)

    private func number(_ value: AttributeValue) -> Double? { Self.body.withUnsafeBytes { value.number(in: $0) } }

    @Test("A number is one as integer, double and text of at most 64 bytes; all else is none")
    func numbers() {
        #expect(number(.integer(-7)) == -7 && number(.double(0.5)) == 0.5)
        #expect(number(.string(ByteRange(offset: 0, count: 4))) == 12.5)
        #expect(number(.string(ByteRange(offset: 7, count: 3))) == 1000)
        #expect(number(.string(ByteRange(offset: 5, count: 1))) == nil && number(.string(.none)) == nil)
        #expect(number(.absent) == nil && number(.boolean(true)) == nil && number(.other) == nil)
        for (count, expected) in [(64, 1.0), (65, nil)] as [(Int, Double?)] {
            let digits = [UInt8](repeating: UInt8(ascii: "0"), count: count - 1) + [UInt8(ascii: "1")]
            let value = AttributeValue.string(ByteRange(offset: 0, count: count))
            #expect(digits.withUnsafeBytes { value.number(in: $0) } == expected)
        }
    }

    @Test("A span names its task where it has both the queue and the id")
    func naming() {
        var span = TaskSpan()
        #expect(!span.namesTask)
        span.queue = ByteRange(offset: 0, count: 1)
        #expect(!span.namesTask)
        span.taskID = ByteRange(offset: 1, count: 1)
        #expect(span.namesTask)
        span.queue = .none
        #expect(!span.namesTask)
    }

    @Test("An attempt may be the first where it says retry 0, or nothing")
    func firstAttempt() {
        var span = TaskSpan()
        #expect(span.mayBeFirstAttempt)
        for (value, mayBe) in [(AttributeValue.integer(0), true), (.integer(1), false), (.double(0), false)] {
            span.retryCount = value
            #expect(span.mayBeFirstAttempt == mayBe)
        }
    }

    @Test("Its parent is of its trace; it is forwarded in the trace that it moved to")
    func references() {
        let (trace, other) = (TraceID(high: 1, low: 2), TraceID(high: 3, low: 4))
        var span = TaskSpan()
        span.reference = SpanReference(trace: trace, span: SpanID(5))
        #expect(span.parentReference == .none && span.forwarded == span.reference)
        span.parent = SpanID(6)
        #expect(span.parentReference == SpanReference(trace: trace, span: SpanID(6)))
        span.movedTo = other
        #expect(span.forwarded == SpanReference(trace: other, span: SpanID(5)))
        span.startNanoseconds = .max
        #expect(span.start.nanoseconds == .max)
    }

    @Test("A stamp says when the task was enqueued only where that is its meaning")
    func stamps() {
        var span = TaskSpan()
        span.stamp = .integer(1_795_197_881)
        #expect(Self.body.withUnsafeBytes { span.enqueuedAt(in: $0) } == WallTime(seconds: 1_795_197_881))
        span.stampMeaning = .ready
        #expect(Self.body.withUnsafeBytes { span.enqueuedAt(in: $0) } == nil)
    }
}
