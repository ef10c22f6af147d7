import Compression
import Glibc
import Metrics
import Model
import WaitTime

// What a task span costs the metrics, what a series costs in memory, and what a page costs: 100 queues of 50 task types
// each, and 1,000 queues of five.

func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The second number of /proc/self/statm.
func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 128)
    guard fgets(&text, Int32(text.count), file) != nil else { return 0 }
    let fields = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
        separator: " ")
    return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * sysconf(Int32(_SC_PAGESIZE))
}

func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

func report(_ title: String, _ value: Double, _ unit: String) {
    let rounded = value >= 100 ? String(Int(value.rounded())) : String((value * 100).rounded() / 100)
    print("  " + title + String(repeating: " ", count: max(1, 58 - title.count)) + padded(rounded, 9) + " " + unit)
}

/// The best of some rounds, in seconds of CPU.
func best(rounds: Int = 7, _ work: () -> Void) -> Double {
    var best = Double.infinity
    for _ in 0..<rounds {
        let start = threadSeconds()
        work()
        best = min(best, threadSeconds() - start)
    }
    return best
}

/// What is written between two rounds, so that the second one finds nothing in the processor's caches, as a page does that is
/// asked for every 15 seconds while spans come.
nonisolated(unsafe) let rinsing = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 20, alignment: 64)

/// The best and the median of 25 rounds, in milliseconds of CPU.
func renders(_ title: String, _ work: () -> Void) {
    var times: [Double] = []
    for round in 0..<25 {
        _ = rinsing.initializeMemory(as: UInt8.self, repeating: UInt8(round))
        let start = threadSeconds()
        work()
        times.append((threadSeconds() - start) * 1e3)
    }
    times.sort()
    let texts = [times[0], times[12]].map { padded(String(($0 * 10).rounded() / 10), 5) }
    print(
        "  " + title + String(repeating: " ", count: max(1, 58 - title.count)) + texts.joined(separator: " … ") + " ms")
}

guard
    let bounds = HistogramBounds([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600,
    ])
else { fatalError("the bounds ascend") }

/// Process spans of so many queues and types, each with its wait as an attribute, and the body that their texts lie in.
struct Spans {
    private(set) var body: [UInt8] = []
    private(set) var spans: [TaskSpan] = []
    private var nextID: UInt64 = 0
    private var chance: UInt64 = 0x9E37_79B9_7F4A_7C15
    private let start: UInt64 = 1_795_197_881_000_000_000

    init(queues: Int, types: Int) {
        for queue in 0..<queues {
            let queueName = range("queue-\(queue)")
            for type in 0..<types {
                var span = TaskSpan()
                span.queue = queueName
                span.taskType = range("queue-\(queue):type-\(type)")
                span.startNanoseconds = start
                spans.append(span)
            }
        }
    }

    private mutating func range(_ text: String) -> ByteRange {
        body += text.utf8
        return ByteRange(offset: body.count - text.utf8.count, count: text.utf8.count)
    }

    /// Other ids, waits and run times: from milliseconds to minutes, most of them in the middle.
    mutating func renew() {
        for index in spans.indices {
            nextID += 1
            spans[index].reference = SpanReference(trace: TraceID(high: 1, low: nextID), span: SpanID(nextID))
            let bell = random() + random() + random() + random()
            spans[index].wait = .double(exp2(bell))
            spans[index].endNanoseconds = start + UInt64(exp2(bell / 2) * 1e8)
        }
    }

    /// From -2 to 2, by xorshift: the system's generator costs more than what is measured.
    private mutating func random() -> Double {
        chance ^= chance << 13
        chance ^= chance >> 7
        chance ^= chance << 17
        return Double(chance >> 11) / Double(1 << 51) - 2
    }

    func observe(with aggregator: inout TaskAggregator, hasExemplars: Bool) {
        let time = hasExemplars ? WallTime(nanoseconds: Int64(start)) : nil
        body.withUnsafeBytes {
            aggregator.observe(spans, in: $0, at: MonotonicTime(nanoseconds: 5_000_000_000), exemplarsAt: time)
        }
    }
}

func metricFamilies(of aggregator: TaskAggregator, at now: MonotonicTime) -> [MetricFamily] {
    var page = TaskFamilies()
    for number in aggregator.queueNumbers {
        if let queue = aggregator.queue(number) { page.add(queue, at: now) }
    }
    return page.families
}

func makeAggregator() -> TaskAggregator {
    TaskAggregator(
        TaskAggregatorOptions(
            bounds: bounds, maxTaskTypes: 200, maxQueues: 1000, quantileWindow: .seconds(300)))
}

func measureHistogram() {
    let values = (0..<4096).map { _ in exp2(Double.random(in: -8...8)) }
    var histogram = Histogram(bounds)
    let origin = Exemplar.Origin(
        span: SpanReference(trace: TraceID(high: 1, low: 2), span: SpanID(3)), time: WallTime(nanoseconds: 4))
    let plain = best { for value in values { histogram.observe(value) } }
    report("one observation, both kinds of buckets", plain / Double(values.count) * 1e9, "ns")
    let named = best { for value in values { histogram.observe(value, of: origin) } }
    report("the same with an exemplar", named / Double(values.count) * 1e9, "ns")
}

func measureSpans() {
    var spans = Spans(queues: 20, types: 20)
    for hasExemplars in [false, true] {
        var aggregator = makeAggregator()
        var fastest = Double.infinity
        for _ in 0..<200 {
            spans.renew()
            let start = threadSeconds()
            spans.observe(with: &aggregator, hasExemplars: hasExemplars)
            fastest = min(fastest, threadSeconds() - start)
        }
        report(
            hasExemplars ? "the same with exemplars" : "one task span (wait, run time, attempt), 400 series",
            fastest / Double(spans.spans.count) * 1e9, "ns")
    }
}

/// Of resident memory, beyond what the aggregator needs for spans of a single series.
func measureMemory(observations: Int, hasExemplars: Bool) -> TaskAggregator {
    var one = Spans(queues: 1, types: 1)
    var spans = Spans(queues: 200, types: 100)
    var aggregator = makeAggregator()
    // The memory of duplicates is full before, and so is that of a single series.
    for _ in 0..<200_000 {
        one.renew()
        one.observe(with: &aggregator, hasExemplars: hasExemplars)
    }
    let before = residentBytes()
    for _ in 0..<observations {
        spans.renew()
        spans.observe(with: &aggregator, hasExemplars: hasExemplars)
    }
    let bytes = Double(residentBytes() - before) / Double(spans.spans.count)
    report("\(observations) tasks each\(hasExemplars ? ", exemplars" : "")", bytes, "bytes per queue and task type")
    return aggregator
}

/// `sampled`: the last ones of the 100 observations of each series, which leave exemplars behind.
func measurePage(queues: Int, types: Int, sampled: Int) {
    var spans = Spans(queues: queues, types: types)
    var aggregator = makeAggregator()
    for round in 0..<100 {
        spans.renew()
        spans.observe(with: &aggregator, hasExemplars: round >= 100 - sampled)
    }
    print("\(queues) queues × \(types) types, \(sampled) of 100 sampled: the best and the median")
    var families: [MetricFamily] = []
    let now = MonotonicTime(nanoseconds: 5_000_000_000)
    renders("snapshot") { families = metricFamilies(of: aggregator, at: now) }
    let after = best(rounds: 1) { spans.observe(with: &aggregator, hasExemplars: true) }
    report("one span of each series while the page is made", after / Double(spans.spans.count) * 1e9, "ns a span")
    for (name, format) in [("text 0.0.4", PageFormat.text), ("OpenMetrics", .openMetrics), ("protobuf", .protobuf)] {
        var bytes = 0
        format.encode(families) { bytes += $0.count }
        renders("\(name), \((bytes + 50_000) / 100_000 * 100) kB") { format.encode(families) { bytes += $0.count } }
        let compressor = GzipCompressor()
        var packed = compressor.compress { format.encode(families, to: $0) }
        renders("  and its gzip, \((packed.count + 5_000) / 10_000 * 10) kB") {
            packed = compressor.compress { format.encode(families, to: $0) }
        }
    }
    measurePushes(families)
}

/// The same families as OTLP pushes them, exemplars that were pushed before left out.
func measurePushes(_ families: [MetricFamily]) {
    let source = OTLPMetrics.Source(attributes: [("service.name", "asynq-collector")], scope: "b", version: "1")
    let times = (start: WallTime(nanoseconds: 1), end: WallTime(nanoseconds: 2))
    // The page reads them in the same way.
    let chunks = families.flatMap { family in
        stride(from: 0, to: family.samples.count, by: 16).map { start in
            var chunk = family
            chunk.samples = Array(family.samples[start..<min(start + 16, family.samples.count)])
            return chunk
        }
    }
    func write(_ form: OTLPMetrics.HistogramForm, to sink: (UnsafeRawBufferPointer) -> Void) {
        var writer = OTLPRequestWriter(
            source,
            OTLPMetrics(
                .cumulative, form, interval: OTLPMetrics.Interval(start: times.start, end: times.end),
                exemplarsSince: WallTime(nanoseconds: .max)))
        for chunk in chunks { writer.append(chunk, to: sink) }
        writer.finish(to: sink)
    }
    let compressor = GzipCompressor()
    for (name, form) in [("exponential", OTLPMetrics.HistogramForm.exponential), ("explicit", .explicit)] {
        var bytes = 0
        write(form) { bytes += $0.count }
        renders("OTLP, \(name), \((bytes + 50_000) / 100_000 * 100) kB") { write(form) { bytes += $0.count } }
        var packed: [UInt8] = []
        renders("  and its gzip") { packed = compressor.compress { write(form, to: $0) } }
        report("  of", Double(packed.count) / 1000, "kB")
    }
    var acknowledged = AcknowledgedSeries(maxBytes: .max)
    func differences() {
        for chunk in chunks where chunk.kind != .gauge {
            _ = acknowledged.send(chunk, since: times.start, at: times.end)
        }
        acknowledged.settle(isAcknowledged: true)
    }
    differences()
    renders("differences for a delta push", differences)
}

/// `observe`, `memory` or `pages`; without arguments all of them.
let sections = CommandLine.arguments.dropFirst()
func isWanted(_ section: String) -> Bool { sections.isEmpty || sections.contains(section) }

if isWanted("observe") {
    print("Observing")
    measureHistogram()
    measureSpans()
}
if isWanted("memory") {
    print("Memory")
    // Kept, so that none gets memory that the one before gave back.
    let kept = [(1, false), (20, false), (200, false), (200, true)].map {
        measureMemory(observations: $0, hasExemplars: $1)
    }
    precondition(kept.count == 4)
}
if isWanted("pages") {
    for sampled in [0, 2, 100] { measurePage(queues: 100, types: 50, sampled: sampled) }
    measurePage(queues: 1000, types: 5, sampled: 100)
}
