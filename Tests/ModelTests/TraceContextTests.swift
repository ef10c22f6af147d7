import Model
import Testing

@Suite("Trace contexts")
struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"

    private func parsed(_ text: String) -> TraceContext? {
        Array(text.utf8).withUnsafeBytes { TraceContext(traceParent: $0, traceState: [7]) }
    }

    @Test("A traceparent has its trace, its span and whether it is sampled")
    func traceParent() throws {
        let context = try #require(parsed("00-\(Self.trace)-\(Self.span)-01"))
        #expect(context.reference.trace.hex == Self.trace && context.reference.span.hex == Self.span)
        #expect(context.isSampled && context.traceState == [7])
        #expect(parsed("00-\(Self.trace)-\(Self.span)-00")?.isSampled == false)
        #expect(parsed("00-\(Self.trace)-\(Self.span)-02")?.isSampled == false)
        #expect(parsed("00-\(Self.trace)-\(Self.span)-ff")?.isSampled == true)
    }

    @Test("A later version may say more behind a hyphen; version 00 may not, and ff is none")
    func versions() {
        #expect(parsed("01-\(Self.trace)-\(Self.span)-01") != nil)
        #expect(parsed("cc-\(Self.trace)-\(Self.span)-01-more") != nil)
        #expect(parsed("cc-\(Self.trace)-\(Self.span)-01.more") == nil)
        #expect(parsed("00-\(Self.trace)-\(Self.span)-01-more") == nil)
        #expect(parsed("ff-\(Self.trace)-\(Self.span)-01") == nil)
        #expect(parsed("fe-\(Self.trace)-\(Self.span)-01") != nil)
    }

    @Test("What has zeros for its trace or span, another form, or a byte too few is none")
    func invalid() {
        let zeros = String(repeating: "0", count: 32)
        for text in [
            "", "00-\(zeros)-\(Self.span)-01", "00-\(Self.trace)-\(zeros.prefix(16))-01",
            "00-\(Self.trace)-\(Self.span)-0",
            "00_\(Self.trace)-\(Self.span)-01", "00-\(Self.trace)_\(Self.span)-01", "00-\(Self.trace)-\(Self.span)_01",
            "00-\(Self.trace.dropLast())g-\(Self.span)-01", "0g-\(Self.trace)-\(Self.span)-01",
            "00-\(Self.trace)-\(Self.span)-0g", " 00-\(Self.trace)-\(Self.span)-01",
        ] { #expect(parsed(text) == nil, "\(text)") }
        #expect(parsed("00-\(Self.trace.uppercased())-\(Self.span)-01") != nil)
    }

    private func identified(_ trace: String, _ span: String) -> TraceContext? {
        Array(trace.utf8).withUnsafeBytes { trace in
            Array(span.utf8).withUnsafeBytes { TraceContext(traceID: trace, spanID: $0) }
        }
    }

    @Test("Identifiers of up to 32 and 16 digits are a context; without a span that can be read it has none")
    func identifiers() throws {
        #expect(identified(Self.trace, Self.span)?.reference.span.hex == Self.span)
        #expect(identified(Self.trace, Self.span)?.isSampled == true)
        let short = try #require(identified("1f", "a"))
        #expect(short.reference.trace == TraceID(high: 0, low: 0x1F) && short.reference.span == SpanID(10))
        #expect(identified("1" + String(repeating: "0", count: 16), "1")?.reference.trace == TraceID(high: 1, low: 0))
        for span in ["", "x", Self.span + "0"] { #expect(identified(Self.trace, span)?.reference.span == SpanID.none) }
        for trace in ["", "0", "x", Self.trace + "0", String(repeating: "0", count: 32)] {
            #expect(identified(trace, Self.span) == nil)
        }
    }

    @Test("Identifiers are their bytes and digits, the highest first; zeros are none")
    func bytes() {
        let trace = TraceID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10)
        #expect(trace.bytes == Array(1...16) && trace.bytes.withUnsafeBytes { TraceID($0) } == trace)
        #expect(trace.hex == "0102030405060708090a0b0c0d0e0f10")
        #expect([UInt8](repeating: 1, count: 15).withUnsafeBytes { TraceID($0) } == nil)
        #expect([UInt8](repeating: 1, count: 17).withUnsafeBytes { TraceID($0) } == nil)
        #expect(SpanID(0x0102).bytes == [0, 0, 0, 0, 0, 0, 1, 2] && SpanID(0x0102).hex == "0000000000000102")
        #expect(!TraceID.none.isValid && TraceID(high: 1, low: 0).isValid && TraceID(high: 0, low: 1).isValid)
        #expect(
            !SpanReference(trace: trace, span: .none).isValid && !SpanReference(trace: .none, span: SpanID(1)).isValid)
    }
}
