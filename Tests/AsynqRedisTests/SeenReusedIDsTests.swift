import Model
import TestSupport
import Testing

@testable import AsynqRedis

/// Ids come again: with another task (`asynq.TaskID`), or with the same one, started anew.
@Suite("What the look-ahead tells of tasks whose id comes again")
struct SeenReusedIDsTests {
    private let tasks = SeenTasks()
    private let queue = QueueName("q")
    private let id = Array("a".utf8)

    private static func time(_ seconds: Double) -> WallTime { WallTime(nanoseconds: Int64(seconds * 1e9)) }

    private func task(_ enqueuedAt: Double?, context: UInt64? = nil, failedAt: Int64? = nil) -> StoredTask {
        var task = StoredTask(
            context: context.map {
                TraceContext(
                    reference: SpanReference(trace: TraceID(high: 0, low: $0), span: SpanID($0)), isSampled: true)
            })
        task.enqueuedAt = enqueuedAt.map(Self.time)
        task.lastFailedAt = failedAt.map { WallTime(seconds: $0) }
        return task
    }

    /// What a span of its own request is told that started and was enqueued at these times.
    private func told(
        start: Double, stamp: Double? = nil, _ change: (inout TaskSpan) -> Void = { _ in }
    ) -> TaskKnowledge {
        var request = NamedSpans()
        request.add("a") { span in
            span.startNanoseconds = UInt64(start * 1e9)
            span.reference = SpanReference(trace: TraceID(high: 9, low: 9), span: SpanID(UInt64(start * 1e3)))
            if let stamp { span.stamp = .integer(Int64(stamp * 1e9)) }
            change(&span)
        }
        request.look(in: tasks)
        tasks.use(request.spans)
        return request.spans[0].knowledge
    }

    private let base = 1_800_000_000.0

    @Test(
        "A time before the task was enqueued is that of the task before; clocks of two machines may differ by a second")
    func earlierTask() {
        tasks.record(queue: queue, id: id, ready: Self.time(base), task: nil)
        #expect(told(start: base + 1, stamp: base + 0.5).readyTime == nil)
        #expect(told(start: base + 1, stamp: base + 0.002).readyTime == nil)
        #expect(told(start: base + 1, stamp: base - 0.001).readyTime?.time == Self.time(base))
        // A scheduled task's time is its server's.
        for (delay, isKnown) in [(0.9, true), (1.1, false)] {
            tasks.record(queue: queue, id: id, ready: Self.time(base + 10 + delay), task: nil)
            let knowledge = told(start: base + 15, stamp: base + 10 + 2 * delay) {
                $0.processAt = .integer(Int64(base + 11))
            }
            #expect((knowledge.readyTime != nil) == isKnown, "\(delay)")
        }
    }

    @Test("A message with another stamp is another task's; one that keeps the second, or the millisecond, agrees")
    func otherStamp() {
        for (stored, isTold) in [(base, true), (base + 0.3, false), (base - 1, false), (base + 60, false)] {
            tasks.record(queue: queue, id: id, ready: nil, task: task(stored, context: 1))
            #expect((told(start: base + 0.5, stamp: base + 0.1).message != nil) == isTold, "\(stored)")
        }
        for (stored, stamp) in [(base + 0.25, base), (base, base + 0.25), (base + 0.2504, base + 0.25)] {
            tasks.record(queue: queue, id: id, ready: nil, task: task(stored, context: 1))
            #expect(told(start: base + 1, stamp: stamp).message?.context != nil, "\(stored)")
        }
    }

    @Test(
        "A task that was pending after the start is the next one: its message is kept for that one's span"
    )
    func nextTask() {
        tasks.record(queue: queue, id: id, ready: Self.time(base), task: task(nil, context: 1))
        #expect(told(start: base - 0.1).message == nil)
        #expect(told(start: base + 0.1).message?.context?.reference.trace.low == 1)
        // By its stamp alone it may be a clock that is wrong.
        tasks.record(queue: queue, id: id, ready: nil, task: task(base + 10, context: 3))
        #expect(told(start: base + 8).message != nil)
        // A task that has failed is the same one.
        tasks.record(queue: queue, id: id, ready: Self.time(base + 60), task: task(nil, context: 4, failedAt: 1))
        #expect(told(start: base + 50).message != nil)
    }

    @Test(
        "After a retry that succeeded another task comes, though the first attempt's span is late",
        arguments: [true, false])
    func afterRetry(succeeds: Bool) {
        tasks.record(queue: queue, id: id, ready: Self.time(base), task: task(nil, context: 1, failedAt: 1))
        let retry = told(start: base + 5) { span in
            span.retryCount = .integer(1)
            span.isError = !succeeds
        }
        #expect(retry.message != nil && told(start: base + 1).message != nil)
        #expect((told(start: base + 9).message == nil) == succeeds)
    }

    @Test("An attempt that began in a later second than one failed is not the first")
    func failedBefore() {
        tasks.record(queue: queue, id: id, ready: nil, task: task(base, failedAt: Int64(base + 10)))
        #expect(!told(start: base + 10.9, stamp: base).wasStarted)
        #expect(told(start: base + 11, stamp: base).wasStarted)
        #expect(!told(start: base + 99, stamp: base + 60).wasStarted, "another enqueueing")
        // Told of its message, a span needs no stamp; nor does the message.
        for enqueuedAt in [base, nil] {
            tasks.record(queue: queue, id: id, ready: nil, task: task(enqueuedAt, failedAt: Int64(base + 10)))
            #expect(told(start: base + 12).wasStarted)
        }
        tasks.record(queue: queue, id: id, ready: nil, task: task(base))
        #expect(!told(start: base + 12).wasStarted)
    }

    @Test("An attempt that began more than a second after another one was seen to run is not the first")
    func seenRunning() {
        tasks.recordRunning(queue: queue, id: id, task: task(base), by: Self.time(base + 2))
        tasks.recordStarted(queue: queue, [id], by: Self.time(base + 9))
        #expect(!told(start: base + 3, stamp: base).wasStarted, "it is that one")
        #expect(told(start: base + 3.1, stamp: base).wasStarted)
        tasks.recordRunning(queue: queue, id: id, task: task(base), by: Self.time(base + 9))
        #expect(told(start: base + 3.2).wasStarted, "it is told of the message")
        #expect(!told(start: base + 3.3, stamp: base + 3).wasStarted)
        // What comes then is another task, until its message is read.
        tasks.recordLeft(queue: queue, [id])
        tasks.recordStarted(queue: queue, [id], by: Self.time(base + 4))
        #expect(!told(start: base + 30, stamp: base + 29).wasStarted)
        tasks.recordRunning(queue: queue, id: id, task: task(base + 29), by: Self.time(base + 31))
        #expect(told(start: base + 33, stamp: base + 29).wasStarted)
    }

    @Test("One that left the list of pending tasks has begun, unless it was moved by hand", arguments: [true, false])
    func left(wasStarted: Bool) {
        tasks.record(queue: queue, id: id, ready: Self.time(base), task: task(base))
        tasks.recordGone(
            queue: queue, id: id, ready: Self.time(base),
            LookWindow(from: Self.time(base + 1), to: Self.time(base + 2)), wasStarted: wasStarted)
        #expect(told(start: base + 9, stamp: base).wasStarted == wasStarted)
        #expect(told(start: base + 2.5, stamp: base).readyTime != nil)
    }
}
