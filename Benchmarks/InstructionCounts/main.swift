import HTTPService
import Metrics
import Model
import NIOCore
import NIOEmbedded
import OTLP
import Platform
import SpanReceiver
import Spool
import WaitTime

// Does one thing so many times, to be run by scripts/instruction-counts, which counts the instructions that one time takes.
//
//     InstructionCounts PART COUNT

let spansPerRequest = 100
let now = MonotonicTime(nanoseconds: 5_000_000_000)
let time = WallTime(nanoseconds: 1_795_197_881_000_000_000)

func makeAggregator() -> TaskAggregator {
    TaskAggregator(
        TaskAggregatorOptions(
            bounds: HistogramBounds(ascending: 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            maxTaskTypes: 200, maxQueues: 1000, quantileWindow: .seconds(300)))
}

/// Scans a request of new spans each time, and observes their tasks if asked to.
func scan(_ count: Int, observing: Bool) throws {
    var template = Template(spans: spansPerRequest)
    var scanner = SpanScanner()
    var aggregator = makeAggregator()
    for _ in 0..<count {
        template.renew()
        try template.bytes.withUnsafeBytes { body in
            try scanner.scan(body)
            precondition(scanner.taskSpans.count == spansPerRequest)
            if observing { aggregator.observe(scanner.taskSpans, in: body, at: now, exemplarsAt: time) }
        }
    }
}

/// Appends a request each time; and reads and settles all in the end, in batches.
func spool(_ count: Int, reading: Bool) throws {
    let spool = try Spool(
        fileSystem: DiskFileSystem(directory: "spool"), options: SpoolOptions(maxBytes: 1 << 30, sync: .never),
        clock: .system)
    let template = Template(spans: spansPerRequest)
    try template.bytes.withUnsafeBytes { body in
        for _ in 0..<count { try spool.append(body, spanCount: spansPerRequest) }
    }
    var read = 0
    while reading && read < count * spansPerRequest {
        let batch = try spool.readBatch(maxBytes: 1 << 20, maxSpans: 8192)
        read += spool.settle(batch.frames)
    }
    spool.close()
}

/// Makes a page of 10 queues with 10 task types each.
func page(_ count: Int) throws {
    var aggregator = makeAggregator()
    let body = (0..<10).flatMap { Array("queue\($0)".utf8) }
    var spans: [TaskSpan] = []
    for index in 0..<1000 {
        var span = TaskSpan()
        span.reference = SpanReference(trace: TraceID(high: 1, low: 1), span: SpanID(UInt64(index) + 1))
        span.queue = ByteRange(offset: index % 10 * 6, count: 6)
        span.taskType = ByteRange(offset: index / 10 % 10 * 6, count: 6)
        span.startNanoseconds = UInt64(time.nanoseconds)
        span.endNanoseconds = span.startNanoseconds + UInt64(index) * 1_000_000
        span.wait = .double(Double(index) / 100)
        spans.append(span)
    }
    body.withUnsafeBytes { aggregator.observe(spans, in: $0, at: now) }
    for _ in 0..<count {
        var families = TaskFamilies()
        for number in aggregator.queueNumbers {
            if let queue = aggregator.queue(number) { families.add(queue, at: now) }
        }
        var bytes = 0
        PageFormat.openMetrics.encode(families.families) { bytes += $0.count }
        precondition(bytes > 0)
    }
}

/// Takes whatever comes.
struct Nowhere: SpanSink {
    let acknowledgesAfterSync = false

    func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, confirm: () -> Bool,
        whenDurable: (@Sendable (Bool) -> Void)?
    ) { _ = confirm() }
    func observe(_ taskSpans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [MadeRequest] { [] }
}

/// Sends requests of one span over HTTP/1.1 through all that a connection has above its socket.
func request(_ count: Int) throws {
    let channel = EmbeddedChannel()
    let responder = OTLPResponder(
        ReceiverOptions(maxBodyBytes: 1 << 20), attributes: TaskAttributeTable(), sink: Nowhere(),
        counters: ReceiverCounters())
    try HTTPServer.addHandlers(to: channel.pipeline.syncOperations, http2: true, responder, HTTPLimits())
    let body = Template(spans: 1).bytes
    let head =
        "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nUser-Agent: OTel-Go\r\nContent-Type: application/x-protobuf\r\n"
        + "Content-Length: \(body.count)\r\n\r\n"
    let bytes = ByteBuffer(bytes: Array(head.utf8) + body)
    for _ in 0..<count {
        try channel.writeInbound(bytes)
        var answered = 0
        while let part = try channel.readOutbound(as: ByteBuffer.self) { answered += part.readableBytes }
        precondition(answered > 0)
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 3, let count = Int(arguments[2]) else { fatalError("usage: InstructionCounts PART COUNT") }
switch arguments[1] {
case "scan": try scan(count, observing: false)
case "observe": try scan(count, observing: true)
case "append": try spool(count, reading: false)
case "read": try spool(count, reading: true)
case "page": try page(count)
case "request": try request(count)
default: fatalError("no such part: \(arguments[1])")
}
