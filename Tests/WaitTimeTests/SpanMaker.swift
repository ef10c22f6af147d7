import Metrics
import Model
import Testing

@testable import WaitTime

let second: UInt64 = 1_000_000_000
/// 2026-11-20T18:04:41Z.
let t0: UInt64 = 1_795_197_881 * second
let now = MonotonicTime(nanoseconds: 5 * second)

func trace(_ number: UInt64) -> TraceID { TraceID(high: 7, low: number) }

/// Makes task spans, and the body that their texts lie in.
final class SpanMaker {
    private(set) var body: [UInt8] = []
    private var nextID: UInt64 = 1000

    func range(_ bytes: [UInt8]) -> ByteRange {
        body += bytes
        return ByteRange(offset: body.count - bytes.count, count: bytes.count)
    }

    func text(_ text: String) -> AttributeValue { .string(range(Array(text.utf8))) }

    /// One attempt that started at `t0` and took a quarter of a second; each has another id.
    func process(
        queue: String = "q", type: String = "t", _ change: (inout TaskSpan) -> Void = { _ in }
    ) -> TaskSpan {
        nextID += 1
        var span = TaskSpan()
        span.reference = SpanReference(trace: trace(1), span: SpanID(nextID))
        span.queue = range(Array(queue.utf8))
        span.taskType = range(Array(type.utf8))
        span.startNanoseconds = t0
        span.endNanoseconds = t0 + second / 4
        change(&span)
        return span
    }

    /// A producer whose span ended so long before `t0`.
    func producer(_ id: UInt64, endedBefore nanoseconds: UInt64, in trace: TraceID = trace(1)) -> TaskSpan {
        var span = TaskSpan()
        span.role = .produce
        span.reference = SpanReference(trace: trace, span: SpanID(id))
        span.startNanoseconds = t0 - nanoseconds - second
        span.endNanoseconds = t0 - nanoseconds
        return span
    }

    func parse(_ value: AttributeValue) -> WallTime? {
        body.withUnsafeBytes { Stamp.parse(value, in: $0) }
    }

    func find(_ span: TaskSpan) -> WaitFinding {
        body.withUnsafeBytes { WaitSource.find(span, in: $0) }
    }

    func observe(_ spans: [TaskSpan], with aggregator: inout TaskAggregator, at now: MonotonicTime = now) {
        body.withUnsafeBytes { aggregator.observe(spans, in: $0, at: now) }
    }
}

func makeAggregator(_ change: (inout TaskAggregatorOptions) -> Void = { _ in }) -> TaskAggregator {
    guard let bounds = HistogramBounds([0.1, 1, 10, 100]) else { preconditionFailure("the bounds ascend") }
    var options = TaskAggregatorOptions(
        bounds: bounds, maxTaskTypes: 200, maxQueues: 1000, quantileWindow: .seconds(300))
    change(&options)
    return TaskAggregator(options)
}

/// What the page says of one series.
struct Series: Equatable {
    var count: UInt64 = 0
    var sum = 0.0
}

extension TaskAggregator {
    func metricFamilies(at now: MonotonicTime) -> [MetricFamily] {
        var page = TaskFamilies()
        for number in queueNumbers {
            if let queue = queue(number) { page.add(queue, at: now) }
        }
        return page.families
    }

    /// Numbers that queues have or had; without `_other`.
    var queueCount: Int { queueNumbers.count - 1 }

    func page(at now: MonotonicTime = now) -> [String: Series] {
        var found: [String: Series] = [:]
        for family in metricFamilies(at: now) {
            for sample in family.samples {
                let name =
                    family.name.replacingPrefix("asynq_task_")
                    + "{\(String(decoding: sample.labels.encoded, as: UTF8.self))}"
                #expect(found[name] == nil, "the page has a series twice")
                switch sample.value {
                case .number(let number): found[name] = Series(count: UInt64(number), sum: number)
                case .histogram(let histogram): found[name] = Series(count: histogram.count, sum: histogram.sum)
                }
            }
        }
        return found
    }

    /// The waits of one queue, all types together.
    func waits(queue: String = "q") -> Series {
        var total = Series()
        for (name, series) in page() where name.hasPrefix("wait_duration_seconds{queue=\"\(queue)\"") {
            total.count += series.count
            total.sum += series.sum
        }
        return total
    }

    func unknown(_ reason: UnknownWaitReason, queue: String = "q") -> UInt64 {
        page()["wait_unknown_total{queue=\"\(queue)\",reason=\"\(reason.rawValue)\"}"]?.count ?? 0
    }
}

extension String {
    func replacingPrefix(_ prefix: String) -> String {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self
    }
}
