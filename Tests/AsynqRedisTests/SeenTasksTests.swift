import Model
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("What the look-ahead remembers of tasks")
struct SeenTasksTests {
    private static let second: Int64 = 1_000_000_000
    private let tasks = SeenTasks(capacity: 3)

    private func note(_ id: String, at seconds: Int64, retried: Int32? = nil, queue: String = "q") {
        tasks.record(
            queue: QueueName(queue), id: Array(id.utf8), ready: WallTime(seconds: seconds),
            task: retried.map { StoredTask(retried: $0, context: nil) })
    }

    /// It left the list of pending tasks between these two.
    private func noteGone(_ id: String, since ready: Int64, from: Int64, to: Int64) {
        tasks.recordGone(
            queue: QueueName("q"), id: Array(id.utf8), ready: WallTime(seconds: ready),
            LookWindow(from: WallTime(seconds: from), to: WallTime(seconds: to)))
    }

    /// Whole seconds since when, or nil.
    private func take(_ id: String, start: Int64, retryCount: Int64? = nil, queue: String = "q") -> Int64? {
        tasks.take(id, queue: queue, start: WallTime(seconds: start), retryCount: retryCount)?.wholeSeconds
    }

    @Test("A time is given once, to the task of that queue")
    func once() {
        note("a", at: 100)
        #expect(take("a", start: 105, queue: "other") == nil && take("b", start: 105) == nil)
        #expect(take("a", start: 105) == 100)
        #expect(take("a", start: 106) == nil)
    }

    @Test("A queue's name and an id that run into each other stay apart")
    func boundaries() {
        note("bc", at: 1, queue: "a")
        #expect(take("c", start: 5, queue: "ab") == nil)
        #expect(take("bc", start: 5, queue: "a") == 1)
    }

    @Test("An attempt that was not seen pending does not get the time of another one")
    func retries() {
        note("a", at: 100, retried: 0)
        #expect(take("a", start: 200, retryCount: 1) == nil)
        #expect(take("a", start: 105, retryCount: 0) == 100)
        note("a", at: 300, retried: 1)
        #expect(take("a", start: 305, retryCount: 1) == 300)
    }

    @Test("A span that comes after its task is pending again has the time before")
    func late() {
        note("a", at: 100, retried: 0)
        note("a", at: 300, retried: 1)
        #expect(take("a", start: 105, retryCount: 0) == 100)
        #expect(take("a", start: 106, retryCount: 0) == nil)
        #expect(take("a", start: 305, retryCount: 1) == 300)
    }

    @Test("A time that was given is not given again to a later attempt whose span comes late")
    func lateAfterUse() {
        note("a", at: 100, retried: 0)
        #expect(take("a", start: 105) == 100)
        // The attempt at 200 was not seen pending.
        note("a", at: 300, retried: 2)
        #expect(take("a", start: 200) == nil)
        #expect(take("a", start: 305, retryCount: 2) == 300)
    }

    @Test("A task whose span never came leaves its time to no later one under its id")
    func reusedID() {
        note("nightly", at: 100, retried: 0)
        noteGone("nightly", since: 100, from: 101, to: 102)
        // The next night's run: as fast as that, no look saw it pending.
        #expect(take("nightly", start: 86_500, retryCount: 0) == nil)
        #expect(take("nightly", start: 86_500) == nil)
        // It comes after all.
        #expect(take("nightly", start: 102, retryCount: 0) == 100)
    }

    @Test("A task has its time if it began when it left the list, give or take a second")
    func window() {
        let cases: [(String, Int64, Int64?)] = [("a", 104, nil), ("b", 105, 100), ("c", 111, 100)]
        for (id, start, ready) in cases + [("d", 112, nil)] {
            note(id, at: 100)
            noteGone(id, since: 100, from: 105, to: 111)
            #expect(take(id, start: start) == ready, "\(start)")
        }
    }

    @Test("While it is pending, as far as is known, it may have begun at any time since")
    func stillPending() {
        note("a", at: 100)
        #expect(take("a", start: 5000) == 100)
        // Seen again after it was out of sight.
        note("b", at: 100)
        noteGone("b", since: 100, from: 101, to: 102)
        note("b", at: 100)
        #expect(take("b", start: 200) == 100)
        // Of another time: the task was pending again before.
        note("c", at: 300)
        noteGone("c", since: 100, from: 101, to: 102)
        #expect(take("c", start: 400) == 300)
    }

    @Test("The late span of the attempt before has its own window")
    func lateInWindow() {
        note("a", at: 100, retried: 0)
        noteGone("a", since: 100, from: 104, to: 105)
        note("a", at: 300, retried: 1)
        noteGone("a", since: 300, from: 310, to: 311)
        #expect(take("a", start: 200) == nil)
        #expect(take("a", start: 105) == 100)
        #expect(take("a", start: 310) == 300)
        #expect(take("a", start: 105) == nil && take("a", start: 310) == nil)
    }

    @Test(
        "A span that says retry 0 where Redis says 1 has no time of that attempt, nor one that says 2",
        arguments: [0, 2])
    func otherRetry(retryCount: Int64) {
        note("a", at: 100, retried: 1)
        #expect(take("a", start: 105, retryCount: retryCount) == nil)
        #expect(take("a", start: 105, retryCount: 1) == 100)
    }

    @Test("Where either does not say which attempt it is, the time is the span's")
    func unsaidRetry() {
        note("a", at: 100, retried: 1)
        #expect(take("a", start: 105) == 100)
        // Its message was read when it ran: the count may be the next attempt's.
        note("b", at: 100)
        tasks.record(queue: QueueName("q"), id: Array("b".utf8), ready: nil, task: StoredTask(retried: 3, context: nil))
        #expect(take("b", start: 105, retryCount: 0) == 100)
    }

    @Test("Two retries are told apart by their counts, whichever span comes first")
    func twoRetries() {
        note("a", at: 100, retried: 1)
        note("a", at: 300, retried: 2)
        #expect(take("a", start: 305, retryCount: 2) == 300)
        #expect(take("a", start: 305, retryCount: 1) == nil, "it had left before")
        #expect(take("a", start: 105, retryCount: 2) == nil)
        #expect(take("a", start: 105, retryCount: 1) == 100)
    }

    @Test("A time is offered again until it is used: a request that was refused comes again")
    func offered() {
        note("a", at: 100)
        var request = NamedSpans()
        for _ in 0..<2 { request.add("a") { $0.startNanoseconds = 105_000_000_000 } }
        for _ in 0..<2 {
            request.look(in: tasks)
            // No look offers it twice.
            #expect(request.spans.map { $0.knowledge.readyTime?.time.wholeSeconds } == [100, nil])
        }
        tasks.use(request.spans)
        request.look(in: tasks)
        #expect(request.spans.allSatisfy { $0.knowledge.readyTime == nil })
    }

    @Test("What was offered is used up where it was, though another task has its place by then")
    func usedInPlace() {
        let tasks = SeenTasks(capacity: 1)
        func note(_ id: String) {
            tasks.record(queue: QueueName("q"), id: Array(id.utf8), ready: WallTime(seconds: 100), task: nil)
        }
        note("a")
        var request = NamedSpans()
        request.add("a") { $0.startNanoseconds = 105_000_000_000 }
        request.look(in: tasks)
        note("b")
        tasks.use(request.spans)
        #expect(tasks.take("b", start: WallTime(seconds: 105)) == WallTime(seconds: 100))
    }

    @Test("Trace states have a bound of their own in bytes: beyond it the tasks that were recorded first are forgotten")
    func traceStates() throws {
        let tasks = SeenTasks(capacity: 100, stateBytes: 3 * (48 + 400))
        let context = TraceContext(
            reference: SpanReference(trace: TraceID(high: 1, low: 1), span: SpanID(1)), isSampled: true,
            traceState: [UInt8](repeating: 0x61, count: 400))
        for number in 0..<50 {
            tasks.record(
                queue: QueueName("q"), id: Array("\(number)".utf8), ready: WallTime(seconds: 100),
                task: StoredTask(retried: 0, context: context))
            #expect(tasks.count == min(number + 1, 3))
        }
        // Without one, they are as many as there are places.
        for number in 100..<300 {
            tasks.record(queue: QueueName("q"), id: Array("\(number)".utf8), ready: WallTime(seconds: 100), task: nil)
        }
        #expect(tasks.count == 100)
        #expect(tasks.take("299", start: WallTime(seconds: 105)) == WallTime(seconds: 100))
        #expect(tasks.take("199", start: WallTime(seconds: 105)) == nil)
    }

    @Test("What is remembered fits into its bytes")
    func bytes() {
        let tasks = SeenTasks(bytes: 1 << 20)
        for number in 0..<10_000 {
            tasks.record(queue: QueueName("q"), id: Array("\(number)".utf8), ready: WallTime(seconds: 100), task: nil)
        }
        #expect(tasks.bytes <= 1 << 20 && tasks.count > 1000 && tasks.count < 10_000)
    }

    @Test("Both attempts of one task have their time in one request")
    func twoAttempts() {
        note("a", at: 100, retried: 0)
        note("a", at: 300, retried: 1)
        var request = NamedSpans()
        for (start, retries) in [(105, 0), (305, 1)] as [(UInt64, Int64)] {
            request.add("a") { span in
                span.startNanoseconds = start * 1_000_000_000
                span.retryCount = .integer(retries)
            }
        }
        request.look(in: tasks)
        #expect(request.spans.map { $0.knowledge.readyTime?.time.wholeSeconds } == [100, 300])
        tasks.use(request.spans)
        #expect(take("a", start: 105, retryCount: 0) == nil && take("a", start: 305, retryCount: 1) == nil)
    }

    @Test("A span without a start has no ready time, and one without names, or of a producer, knows nothing")
    func lookedFor() {
        note("a", at: 0, retried: 0)
        #expect(tasks.look("a").message != nil && tasks.look("a").readyTime == nil)
        #expect(tasks.look("a") { $0.role = .produce } == TaskKnowledge())
        #expect(tasks.look("a") { $0.taskID = .none } == TaskKnowledge())
        #expect(tasks.look("a") { $0.queue = .none } == TaskKnowledge())
        var request = NamedSpans()
        request.add("a")
        request.add("a") { $0.role = .produce }
        request.add("a") { $0.taskID = .none }
        request.look(in: tasks)
        #expect(request.spans.map { $0.knowledge.message != nil } == [true, false, false])
    }

    @Test("What a span knows of a message stays when it looks again; what it did not know is added")
    func lookAgain() {
        func note(_ id: String, _ retried: Int32) {
            tasks.record(
                queue: QueueName("q"), id: Array(id.utf8), ready: nil, task: StoredTask(retried: retried, context: nil))
        }
        note("a", 1)
        var request = NamedSpans()
        request.add("a")
        request.add("b")
        request.look(in: tasks)
        #expect(request.spans.map { $0.knowledge.message?.retried } == [1, nil])
        note("a", 2)
        note("b", 3)
        request.look(in: tasks)
        #expect(request.spans.map { $0.knowledge.message?.retried } == [1, 3])
    }

    @Test("An attempt had left when the next one was pending, though no look saw it leave")
    func leftUnseen() {
        note("a", at: 100)
        note("a", at: 300)
        noteGone("a", since: 300, from: 310, to: 311)
        #expect(take("a", start: 400) == nil)
        #expect(take("a", start: 299) == 100 && take("a", start: 310) == 300)
    }

    @Test("The first window in which an attempt left is the one that counts")
    func leftOnce() {
        note("a", at: 100)
        noteGone("a", since: 100, from: 101, to: 102)
        noteGone("a", since: 100, from: 150, to: 160)
        #expect(take("a", start: 155) == nil && take("a", start: 102) == 100)
    }

    @Test("A task that was never seen pending is missed, until a span has named it", arguments: [true, false])
    func unpendingEviction(isNamed: Bool) {
        let tasks = SeenTasks(capacity: 1)
        func note(_ id: String) {
            tasks.record(
                queue: QueueName("q"), id: Array(id.utf8), ready: nil, task: StoredTask(retried: 0, context: nil))
        }
        note("a")
        _ = tasks.look(isNamed ? "a" : "unknown")
        note("b")
        #expect(tasks.evicted == (isNamed ? 0 : 1))
    }

    @Test("A time after the start is that of the next task under the id, and is kept for it")
    func afterStart() {
        note("a", at: 100)
        #expect(take("a", start: 98) == nil && take("a", start: 99) == nil)
        #expect(take("a", start: 100) == 100)
    }

    @Test("A first attempt is told what no other first attempt was told: an id may come again")
    func reusedIDs() {
        func context(_ number: UInt64) -> TraceContext {
            TraceContext(
                reference: SpanReference(trace: TraceID(high: 0, low: number), span: SpanID(number)), isSampled: true)
        }
        /// What one request is told, of a span for each number.
        func told(_ numbers: UInt64..., isFirst: Bool = true, failed: Bool = false) -> [TraceContext?] {
            var request = NamedSpans()
            for number in numbers {
                request.add("daily") { span in
                    span.reference = SpanReference(trace: TraceID(high: 9, low: number), span: SpanID(number))
                    span.retryCount = isFirst ? .absent : .integer(1)
                    span.isError = failed
                }
            }
            request.look(in: tasks)
            return request.spans.map { $0.knowledge.message?.context }
        }
        func note(_ number: UInt64?, ready: Int64? = nil) {
            tasks.record(
                queue: QueueName("q"), id: Array("daily".utf8), ready: ready.map { WallTime(seconds: $0) },
                task: StoredTask(retried: 0, context: number.map(context)))
        }
        note(1)
        #expect(told(1) == [context(1)] && told(1) == [context(1)])
        #expect(told(2) == [nil])
        // A retry of the first one says so.
        #expect(told(3, isFirst: false) == [context(1)])
        note(2)
        #expect(told(2) == [context(2)] && told(1) == [nil])
        // Two of one request; sent again they come in another one.
        note(3)
        for _ in 0..<2 { #expect(told(1, 2) == [context(3), context(3)]) }
        #expect(told(3) == [nil])
        // After a failed attempt comes the same task again, whether its span says so or not.
        note(4)
        #expect(told(1, failed: true) == [context(4)] && told(2, failed: true) == [context(4)])
        #expect(told(3) == [context(4)])
        #expect(told(4) == [nil])
        // The next one carries nothing.
        note(nil, ready: 100)
        #expect(told(4) == [nil])
        #expect(tasks.unread(queue: QueueName("q"), [Array("daily".utf8)]).isEmpty)
        tasks.recordLeft(queue: QueueName("q"), [Array("daily".utf8)])
        #expect(tasks.unread(queue: QueueName("q"), [Array("daily".utf8)]).count == 1)
    }

    @Test("Beyond the capacity the first is forgotten, and counted; the context stays as long as the task")
    func eviction() throws {
        let context = TraceContext(
            reference: SpanReference(trace: TraceID(high: 1, low: 2), span: SpanID(3)), isSampled: true)
        tasks.record(
            queue: QueueName("q"), id: Array("a".utf8), ready: WallTime(seconds: 1),
            task: StoredTask(retried: 0, context: context))
        // Seen again, without its message: what is known of it stays.
        note("a", at: 1)
        func known() -> TraceContext? {
            tasks.look("a") { $0.retryCount = .integer(1) }.message?.context
        }
        #expect(known() == context)
        for id in ["b", "c"] { note(id, at: 2) }
        #expect(tasks.count == 3 && tasks.evicted == 0)
        note("d", at: 3)
        #expect(tasks.count == 3 && tasks.evicted == 1 && known() == nil)
        for (id, at) in [("b", 2), ("c", 2), ("d", 3)] { #expect(take(id, start: 9) == Int64(at)) }
        for round in 0..<10 { note("e\(round)", at: 4) }
        // Three of them had their span.
        #expect(tasks.count == 3 && tasks.evicted == 8)
    }

    @Test("Nothing is missed of a task whose span has come, nor where no span comes at all")
    func evictionUnmissed() {
        for id in 0..<10 { note("a\(id)", at: 101) }
        #expect(tasks.count == 3 && tasks.evicted == 0)
        // The span of another attempt is not the one that was waited for.
        for id in 7..<10 { #expect(take("a\(id)", start: id == 9 ? 50 : 105) == (id == 9 ? nil : 101)) }
        for id in 0..<3 { note("b\(id)", at: 2) }
        #expect(tasks.evicted == 1)
        // Pending again, and again without its span.
        #expect(take("b0", start: 3) == 2)
        note("b0", at: 5)
        note("c", at: 6)
        #expect(tasks.evicted == 2)
    }
}

private func read(_ message: [UInt8]) throws -> StoredTask {
    try StoredTask(taskMessage: message, names: CarriedNames())
}

@Suite("What a stored task says")
struct StoredTaskTests {
    private static func entry(_ key: String, _ value: String) -> [UInt8] {
        field(15, field(1, Array(key.utf8)) + field(2, Array(value.utf8)))
    }

    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(bytes.count)] + bytes
    }

    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test("The context stands in the headers, whatever their case and order")
    func headers() throws {
        for key in ["traceparent", "Traceparent", "TRACEPARENT"] {
            let message =
                Self.field(1, Array("type".utf8)) + Self.entry("tracestate", "a=b") + Self.entry("other", "x")
                + Self.entry(key, Self.parent) + [6 << 3, 2]
            let task = try read(message)
            #expect(task.retried == 2)
            #expect(task.context?.reference.trace.hex == "0af7651916cd43dd8448eb211c80319c")
            #expect(task.context?.reference.span.hex == "b7ad6b7169203331")
            #expect(task.context?.isSampled == true && task.context?.traceState == Array("a=b".utf8))
        }
    }

    @Test("No headers, no context; a message that is none is an error")
    func none() throws {
        #expect(try read([]) == StoredTask(retried: 0, context: nil))
        #expect(try read(Self.entry("traceparent", "00-zz")).context == nil)
        #expect(throws: (any Error).self) { try read([0x7A, 0xFF]) }
        #expect(throws: (any Error).self) { try read([0x7A, 2, 0x0A, 9]) }
    }

    private static let parents: [(text: String, isGood: Bool)] = [
        (parent, true), ("00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-00", true), ("\(parent)-more", false),
        ("01\(parent.dropFirst(2))-more", true), ("01\(parent.dropFirst(2))more", false),
        ("ff\(parent.dropFirst(2))", false), ("\(parent.dropLast())", false), ("", false),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
        ("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01", false),
    ]

    @Test("A traceparent is what W3C says")
    func traceParents() {
        for (text, isGood) in Self.parents {
            let context = Array(text.utf8).withUnsafeBytes { TraceContext(traceParent: $0) }
            #expect((context != nil) == isGood, "\(text)")
        }
    }
}
