import Glibc
import OTLP

// What a span of OTLP's JSON costs the receiver before it is kept: converted to protobuf, and scanned as every request is.

func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func hex(_ number: Int, _ digits: Int) -> String {
    let text = String(number, radix: 16)
    return String(repeating: "5", count: digits - text.count) + text
}

/// A process span as instrumentation of Asynq writes it: eight attributes, 700 bytes.
func span(_ number: Int) -> String {
    let attributes = [
        #"{"key":"messaging.system","value":{"stringValue":"asynq"}}"#,
        #"{"key":"messaging.operation.type","value":{"stringValue":"process"}}"#,
        #"{"key":"messaging.destination.name","value":{"stringValue":"emails"}}"#,
        #"{"key":"asynq.task.type","value":{"stringValue":"email:welcome"}}"#,
        #"{"key":"messaging.message.id","value":{"stringValue":"task-\#(number)"}}"#,
        #"{"key":"asynq.task.retry_count","value":{"intValue":"1"}}"#,
        #"{"key":"asynq.task.wait_seconds","value":{"doubleValue":0.0\#(number)}}"#,
        #"{"key":"http.response.body","value":{"stringValue":"{\"ok\": true}"}}"#,
    ]
    return #"{"traceId":"\#(hex(number, 32))","spanId":"\#(hex(number, 16))","parentSpanId":"\#(hex(number + 1, 16))","#
        + #""flags":257,"name":"email:welcome process","kind":5,"startTimeUnixNano":"17951978810000\#(10_000 + number)","#
        + #""endTimeUnixNano":"17951978815000\#(10_000 + number)","attributes":[\#(attributes.joined(separator: ","))],"#
        + #""droppedAttributesCount":0,"events":[],"links":[],"status":{"code":1}}"#
}

func request(spans: Int) -> [UInt8] {
    let resource = #"{"attributes":[{"key":"service.name","value":{"stringValue":"worker"}}]}"#
    let all = (0..<spans).map(span).joined(separator: ",")
    return Array(
        #"{"resourceSpans":[{"resource":\#(resource),"scopeSpans":[{"scope":{"name":"asynq"},"spans":[\#(all)]}]}]}"#
            .utf8)
}

/// The best of 400 rounds, in nanoseconds of CPU a span.
func best(spans: Int, _ work: () -> Void) -> Int {
    var best = Double.infinity
    for _ in 0..<400 {
        let start = threadSeconds()
        for _ in 0..<(1000 / spans) { work() }
        best = min(best, (threadSeconds() - start) / Double(1000 / spans * spans))
    }
    return Int(best * 1e9)
}

for spans in [1, 10, 100, 1000] {
    let body = request(spans: spans)
    var converter = JSONRequestConverter()
    var scanner = SpanScanner(table: TaskAttributeTable())
    var wire: [UInt8] = []
    var problems = 0
    func convert(_ use: (UnsafeRawBufferPointer) -> Void) {
        body.withUnsafeBytes {
            do {
                try converter.convert($0, use)
            } catch {
                problems += 1
            }
        }
    }
    convert { wire = Array($0) }
    let converting = best(spans: spans) { convert { _ in } }
    let scanning = best(spans: spans) {
        do {
            try wire.withUnsafeBytes { try scanner.scan($0) }
        } catch {
            problems += 1
        }
    }
    precondition(problems == 0, "the request is good")
    print("\(spans) spans, \(body.count) bytes: converted in \(converting) ns a span, scanned in \(scanning)")
}
