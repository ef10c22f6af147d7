import Model
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("What a JSON payload carries")
struct CarriedValuesTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"
    private static let parent = "00-\(trace)-\(span)-01"

    private func carried(_ payload: String, _ keys: TaskContextKeys = TaskContextKeys()) -> CarriedValues {
        carried(Array(payload.utf8), keys)
    }

    private func carried(_ payload: [UInt8], _ keys: TaskContextKeys = TaskContextKeys()) -> CarriedValues {
        payload.withUnsafeBytes { CarriedValues(payload: $0, names: CarriedNames(keys)) }
    }

    /// `<trace> <span>`, or nil.
    private func ids(_ payload: String) -> String? {
        carried(payload).context.map { "\($0.reference.trace.hex) \($0.reference.span.hex)" }
    }

    @Test("A header map holds W3C's names; Go's http.Header writes capitals and lists")
    func headerMap() {
        for map in [
            #"{"traceparent":"\#(Self.parent)","tracestate":"a=1"}"#,
            #"{"Traceparent":["\#(Self.parent)"],"Tracestate":["a=1","b=2"]}"#,
        ] {
            for payload in [#"{"header":\#(map)}"#, #" {"a":[1,{"header":null}],"headers":\#(map),"z":{}} "#, map] {
                let context = carried(payload).context
                #expect(
                    context?.reference.trace.hex == Self.trace && context?.reference.span.hex == Self.span, "\(payload)"
                )
                #expect(context?.isSampled == true && context?.traceState == Array("a=1".utf8), "\(payload)")
            }
        }
        #expect(carried(#"{"header":{"traceparent":"\#(Self.parent.dropLast())0"}}"#).context?.isSampled == false)
    }

    @Test("Ids come in any case and without leading zeros; a zero or malformed one is none")
    func identifiers() {
        func both(_ trace: String, _ span: String) -> String? { ids(#"{"span_id":\#(span),"trace_id":\#(trace)}"#) }
        #expect(both(#""\#(Self.trace)""#, #""\#(Self.span)""#) == "\(Self.trace) \(Self.span)")
        #expect(
            both(#""\#(Self.trace.uppercased())""#, #""\#(Self.span.uppercased())""#) == "\(Self.trace) \(Self.span)")
        #expect(both(#""8448eb211c80319c""#, #""31""#) == "00000000000000008448eb211c80319c 0000000000000031")
        #expect(both(#""f""#, #""\#(Self.span)""#) == "0000000000000000000000000000000f \(Self.span)")
        let noSpan = "\(Self.trace) 0000000000000000"
        for span in [#""""#, #""0000000000000000""#, #""xyz""#, #""0b7ad6b7169203331""#, "null", "17", "[]", "{}"] {
            #expect(both(#""\#(Self.trace)""#, span) == noSpan, "\(span)")
        }
        for trace in [
            #""""#, #""0""#, #""\#(String(repeating: "0", count: 32))""#, #""\#(Self.trace)0""#, "null", "12", "true",
        ] {
            #expect(both(trace, #""\#(Self.span)""#) == nil, "\(trace)")
        }
    }

    @Test("A value of 512 bytes is carried, and a longer one is none")
    func longest() {
        func state(_ count: Int) -> Int? {
            let text = String(repeating: "s", count: count)
            return carried(#"{"traceparent":"\#(Self.parent)","tracestate":"\#(text)"}"#).context?.traceState.count
        }
        #expect(state(511) == 511 && state(512) == 512 && state(513) == 0)
    }

    @Test("A traceparent goes before ids; the best name, and under one name the last value, counts")
    func order() {
        let other = String(repeating: "1", count: 32)
        #expect(
            ids(#"{"trace_id":"\#(other)","span_id":"2","traceparent":"\#(Self.parent)"}"#)
                == "\(Self.trace) \(Self.span)")
        #expect(ids(#"{"traceparent":"bad","trace_id":"\#(other)","span_id":"2"}"#) == "\(other) 0000000000000002")
        #expect(ids(#"{"trace_id":"\#(other)","trace_id":"\#(Self.trace)"}"#)?.hasPrefix(Self.trace) == true)
        #expect(
            ids(#"{"traceId":"\#(other)","trace_id":"\#(Self.trace)","TRACEID":"3"}"#)?.hasPrefix(Self.trace) == true)
    }

    @Test("Names are the configuration's: dotted paths, in objects only")
    func configured() {
        var keys = TaskContextKeys()
        keys.traceID = ["meta.otel.trace", "meta.otel"]
        keys.spanID = ["meta.span"]
        keys.traceParent = []
        keys.enqueuedAt = ["at"]
        let payload =
            #"{"trace_id":"1","meta":{"span":"2","otel":{"trace":"3","traces":"4"}},"at":1700000000,"x":{"at":1}}"#
        let found = carried(payload, keys)
        #expect(
            found.context?.reference.trace == TraceID(high: 0, low: 3) && found.context?.reference.span == SpanID(2))
        #expect(found.enqueuedAt == WallTime(seconds: 1_700_000_000))
        #expect(carried(#"{"meta":{"otel":"5"}}"#, keys).context?.reference.trace == TraceID(high: 0, low: 5))
        #expect(carried(#"{"meta.span":"5","traceparent":"\#(Self.parent)"}"#, keys).context == nil)
    }

    @Test("When it was enqueued, in every form of a stamp")
    func stamps() {
        let at = WallTime(nanoseconds: 1_795_197_852_147_000_000)
        for form in [
            "1795197852147", "1795197852147000000", "1795197852.147", "1.795197852147e12", #""1795197852147""#,
        ] {
            let found = carried(#"{"enqueued_at":\#(form)}"#).enqueuedAt
            #expect(found.map { abs($0.nanoseconds(since: at)) < 1000 } == true, "\(form)")
        }
        #expect(carried(#"{"enqueued_at":"2026-11-20T19:04:12.147+01:00"}"#).enqueuedAt == at)
        for form in [#""not a time""#, "0", "-5", "true", "null", "[]", "{}", "1e400", #""""#] {
            #expect(carried(#"{"enqueued_at":\#(form)}"#).enqueuedAt == nil, "\(form)")
        }
    }

    private static let nothing: [String] = [
        "", " ", "x", "1", "null", "[]", "{", "{}", #""{}""#, #"["trace_id"]"#, #"{"trace_id"}"#,
        #"[{"trace_id":"1"}]"#,
        #"{"trace_id":"1""#, #"{"trace_id":"1"} x"#, #"{"trace_id":"1",}"#, #"{"trace_id":"1","x":tru}"#,
        "{\"trace_id\":\"1\u{1}\"}",
        String(repeating: #"{"header":"#, count: 20_000), String(repeating: "[", count: 20_000),
        #"{"trace_id":"1","deep":"# + String(repeating: "[", count: 20_000) + String(repeating: "]", count: 20_000)
            + "}",
    ]

    @Test("What is no JSON object as a whole carries nothing", arguments: nothing)
    func broken(payload: String) {
        #expect(carried(payload).context == nil, "\(payload.prefix(100))")
    }

    @Test("A byte order mark, escapes, an empty key and a megabyte beside it do no harm")
    func odd() {
        let escaped = #"{"\u0074race_id":"\u0031","":"","pad":"\#(String(repeating: "x", count: 1 << 20))"}"#
        #expect(carried([0xEF, 0xBB, 0xBF] + Array(escaped.utf8)).context?.reference.trace == TraceID(high: 0, low: 1))
    }

    @Test("Longer values than any id or time are passed over")
    func long() {
        let long = String(repeating: "1", count: CarriedValues.maxBytes + 1)
        let found = carried(#"{"traceparent":"\#(Self.parent)","tracestate":"\#(long)","enqueued_at":\#(long)}"#)
        #expect(found.context?.traceState == [] && found.enqueuedAt == nil)
        #expect(found.context?.reference.isValid == true)
    }

    @Test("Random bytes and mutilated payloads never trap")
    func random() {
        var generator = SeededGenerator(seed: 8)
        let payload = Array(
            #"{"header":{"Traceparent":["\#(Self.parent)"]},"trace_id":"1","enqueued_at":1700000000.5}"#.utf8)
        for _ in 0..<20_000 {
            var bytes = payload
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: at)
                default: bytes.insert(contentsOf: bytes[at...].prefix(9), at: Int.random(in: 0...at, using: &generator))
                }
            }
            _ = carried(bytes).context
        }
    }
}
