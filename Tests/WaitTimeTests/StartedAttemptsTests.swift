import Model
import Testing

@testable import WaitTime

@Suite("Attempts that come again with the same retry count")
struct StartedAttemptsTests {
    private let maker = SpanMaker()
    private var aggregator = makeAggregator()

    /// An attempt that started so long after `t0`.
    private func attempt(
        _ id: String = "a", after seconds: UInt64 = 0, _ change: (inout TaskSpan) -> Void = { _ in }
    ) -> TaskSpan {
        maker.process { span in
            span.taskID = maker.range(Array(id.utf8))
            span.startNanoseconds += seconds * second
            span.endNanoseconds += seconds * second
            change(&span)
        }
    }

    /// One of a task that was enqueued so long before `t0`.
    private func stamped(
        _ id: String = "a", _ before: UInt64 = 3, after seconds: UInt64 = 0,
        _ change: (inout TaskSpan) -> Void = { _ in }
    ) -> TaskSpan {
        attempt(id, after: seconds) {
            $0.stamp = .integer(Int64(t0 - before * second))
            change(&$0)
        }
    }

    private mutating func observe(_ spans: TaskSpan...) {
        for span in spans { maker.observe([span], with: &aggregator) }
    }

    private func counts(queue: String = "q") -> [UInt64] {
        let page = aggregator.page()
        return ["first", "retry"].map { attempt in
            page.filter { $0.key.hasPrefix("attempts_total{queue=\"\(queue)\"") && $0.key.contains("\"\(attempt)\"") }
                .reduce(0) { $0 + $1.value.count }
        }
    }

    @Test(
        "The next attempt of the same enqueueing is a retry without a wait, whatever its retry count and its form of stamp"
    )
    mutating func again() {
        observe(stamped { $0.isError = true }, stamped(after: 60), stamped(after: 90) { $0.retryCount = .integer(0) })
        let text = maker.text("1795197871")
        for after in [0, 9] as [UInt64] { observe(attempt("text", after: after) { $0.stamp = text }) }
        #expect(counts() == [2, 3])
        #expect(aggregator.waits() == Series(count: 2, sum: 13) && aggregator.unknown(.retry) == 3)
    }

    @Test("Another id, another queue and another stamp are other tasks; the same id may come again and again")
    mutating func reused() {
        for number in 0..<20 as Range<UInt64> { observe(stamped("a", 60 - number, after: number)) }
        observe(
            stamped("b", 60),
            maker.process(queue: "r") { span in
                span.taskID = maker.range(Array("a".utf8))
                span.stamp = .integer(Int64(t0 - 60 * second))
            })
        #expect(counts() == [21, 0] && counts(queue: "r") == [1, 0])
        // All in another order, and again.
        for number in (0..<20 as Range<UInt64>).reversed() { observe(stamped("a", 60 - number, after: 30 + number)) }
        #expect(counts() == [21, 20])
        #expect(aggregator.waits() == Series(count: 21, sum: 20 * 60 + 60))
    }

    @Test("What was seen pending is known for each attempt")
    mutating func exact() {
        observe(stamped())
        observe(
            stamped(after: 90) {
                $0.knowledge.readyTime = ReadyTime(
                    time: WallTime(nanoseconds: Int64(t0 + 85 * second)), place: 0, look: 1)
            })
        #expect(counts() == [1, 1] && aggregator.waits() == Series(count: 2, sum: 3 + 5))
    }

    @Test(
        "A worker that takes a later attempt for the first one measures from the stamp: what was seen pending is left")
    mutating func measuredFromStamp() {
        observe(stamped { $0.wait = .integer(3) }, stamped(after: 60) { $0.wait = .integer(63) })
        #expect(aggregator.waits() == Series(count: 1, sum: 3) && aggregator.unknown(.retry) == 1)
        observe(
            stamped(after: 90) {
                $0.wait = .integer(93)
                $0.knowledge.readyTime = ReadyTime(
                    time: WallTime(nanoseconds: Int64(t0 + 85 * second)), place: 0, look: 1)
            })
        observe(
            stamped("shown", after: 60) {
                $0.wait = .integer(63)
                $0.knowledge.wasStarted = true
            })
        #expect(counts() == [1, 3])
        #expect(aggregator.waits() == Series(count: 2, sum: 3 + 5) && aggregator.unknown(.retry) == 2)
        // One that knows that it is a retry, or has no stamp to measure from, has measured something else.
        observe(
            stamped(after: 99) {
                $0.wait = .integer(2)
                $0.retryCount = .integer(1)
            })
        observe(attempt("bare") { $0.isError = true }, attempt("bare", after: 60) { $0.wait = .integer(1) })
        #expect(aggregator.waits() == Series(count: 4, sum: 3 + 5 + 2 + 1))
    }

    @Test("A stamp that is no time names no enqueueing: an id that comes again after success is another task's")
    mutating func badStamps() {
        let texts = ["", "unknown"].map { maker.text($0) }
        for (number, stamp) in ([.integer(0), .double(-1), .boolean(true)] + texts).enumerated() {
            for after in [0, 60] as [UInt64] { observe(attempt("bad\(number)", after: after) { $0.stamp = stamp }) }
        }
        #expect(counts() == [10, 0])
        for after in [0, 60] as [UInt64] {
            observe(
                attempt("failed", after: after) {
                    $0.stamp = .integer(0)
                    $0.isError = true
                })
        }
        #expect(counts() == [11, 1])
    }

    @Test(
        "Several rounds that IsFailure did not count, in a queue of many: each is a retry, and each failure has its type"
    )
    mutating func rounds() {
        for round in 0..<5 as Range<UInt64> {
            for (queue, id) in [("q", "a"), ("q", "b"), ("r", "a")] {
                observe(
                    maker.process(queue: queue) { span in
                        span.taskID = maker.range(Array(id.utf8))
                        span.stamp = maker.text("\(t0 - 3 * second)")
                        span.retryCount = .integer(0)
                        span.startNanoseconds += round * 60 * second
                        span.endNanoseconds += round * 60 * second
                        span.isError = round < 4
                    })
            }
        }
        #expect(counts() == [2, 8] && counts(queue: "r") == [1, 4])
        #expect(aggregator.waits() == Series(count: 2, sum: 6) && aggregator.unknown(.retry) == 8)
    }

    @Test("In one request the attempt that started first is the first one, wherever it stands")
    mutating func oneRequest() {
        let spans = [stamped(after: 60), stamped(after: 30), stamped(), stamped("b", 5)]
        maker.observe(spans, with: &aggregator)
        #expect(counts() == [2, 2] && aggregator.waits() == Series(count: 2, sum: 8))
    }

    @Test("A first attempt that comes late has its wait, and counts as a retry: one of each task counts as the first")
    mutating func overtaken() {
        observe(stamped(after: 60), stamped(), stamped(after: 30))
        #expect(counts() == [1, 2])
        #expect(aggregator.waits() == Series(count: 2, sum: 63 + 3) && aggregator.unknown(.retry) == 1)
    }

    @Test(
        "Its earliest attempt stays what a task's others are measured by, whether they fail or not",
        arguments: [true, false])
    mutating func earliest(fail: Bool) {
        for seconds in [0, 60, 30, 20] as [UInt64] { observe(stamped(after: seconds) { $0.isError = fail }) }
        #expect(counts() == [1, 3])
        #expect(aggregator.waits() == Series(count: 1, sum: 3) && aggregator.unknown(.retry) == 3)
    }

    @Test("A retry that says so overtakes nothing, and a span that comes twice starts nothing")
    mutating func saidRetries() {
        let first = stamped { $0.isError = true }
        observe(stamped(after: 60) { $0.retryCount = .integer(1) }, first, first)
        #expect(counts() == [1, 1] && aggregator.waits() == Series(count: 1, sum: 3) && aggregator.duplicates == 1)
    }

    @Test("Without a stamp of its own, an attempt is told by the stamp in its message, and by its producer")
    mutating func otherNames() {
        func told(_ before: UInt64, after: UInt64, parent: UInt64 = 0) -> TaskSpan {
            attempt("told", after: after) {
                $0.knowledge.message = CarriedMessage(enqueuedAt: WallTime(nanoseconds: Int64(t0 - before * second)))
                $0.parent = SpanID(parent)
            }
        }
        observe(told(4, after: 0), told(4, after: 20), told(3, after: 30))
        #expect(counts() == [2, 1] && aggregator.waits() == Series(count: 2, sum: 4 + 33))
        // Redis knew the first one's message only; then the second one's only.
        observe(told(2, after: 40, parent: 7), attempt("told", after: 50) { $0.parent = SpanID(7) })
        observe(attempt("told", after: 60) { $0.parent = SpanID(8) }, told(1, after: 70, parent: 8))
        #expect(counts() == [4, 3])
        for link in [1, 1, 2, 1] as [UInt64] {
            observe(
                attempt("linked", after: link) {
                    $0.link = SpanReference(trace: trace(5), span: SpanID(link))
                    // Each poll of the worker is a span.
                    $0.parent = $0.reference.span
                })
        }
        #expect(counts() == [6, 5])
    }

    @Test("Where only its name is known, a task that has failed comes again, and one that succeeded is another one")
    mutating func bare() {
        observe(attempt { $0.isError = true }, attempt(after: 10) { $0.isError = true }, attempt(after: 20))
        #expect(counts() == [1, 2])
        observe(attempt(after: 30), attempt(after: 40) { $0.isError = true })
        // The retry that says so is the last one.
        observe(attempt(after: 50) { $0.retryCount = .integer(1) }, attempt(after: 60))
        #expect(counts() == [4, 3])
        // Late, and the next one is here.
        observe(attempt("b", after: 10) { $0.isError = true }, attempt("b") { $0.isError = true })
        #expect(counts() == [5, 4])
        // Its next attempt says more.
        observe(attempt("b", after: 20) { $0.parent = SpanID(1) }, attempt("b", after: 30) { $0.parent = SpanID(1) })
        #expect(counts() == [5, 6])
        // A task without an id is told from no other.
        observe(maker.process { $0.isError = true }, maker.process())
        #expect(counts() == [7, 6])
    }

    @Test("What Redis has shown to have run is no first attempt; the first one's span may still come")
    mutating func shown() {
        observe(stamped(after: 60) { $0.knowledge.wasStarted = true }, stamped(), stamped(after: 90))
        #expect(counts() == [1, 2] && aggregator.waits() == Series(count: 1, sum: 3))
    }

    @Test("Beyond the bytes the oldest attempts are forgotten and counted, those that failed after those that did not")
    mutating func bound() {
        aggregator = makeAggregator { $0.startedAttemptsBytes = 24 * 8 * 3 }
        observe(stamped("failed") { $0.isError = true })
        for number in 0..<40 { observe(stamped("id\(number)")) }
        #expect(aggregator.losses.evictedAttempts == 24)
        observe(stamped("id0", after: 9), stamped("id39", after: 9), stamped("failed", after: 9))
        #expect(counts() == [42, 2])
        // One that goes on failing is new each time.
        for number in 0..<20 as Range<UInt64> {
            observe(stamped("failed", after: 10 + number) { $0.isError = true })
            observe(stamped("other\(number)") { $0.isError = true })
        }
        #expect(counts() == [62, 22])
    }

    @Test("A start of 0, or the last that there is, breaks nothing")
    mutating func extremes() {
        for start in [0, .max, 1, .max, 0] as [UInt64] { observe(stamped { $0.startNanoseconds = start }) }
        #expect(counts().reduce(0, +) == 5)
    }

    @Test("Waits from process_at are counted apart, and left out where that is wished", arguments: [true, false])
    mutating func processAt(isCounted: Bool) {
        aggregator = makeAggregator { $0.countsProcessAtWaits = isCounted }
        var producer = maker.producer(1, endedBefore: 60 * second)
        producer.processAt = .integer(Int64(t0 - 2 * second))
        let due = AttributeValue.integer(Int64(t0 - second))
        observe(
            stamped("stamp", 60) { $0.processAt = due },
            stamped("past", 3) { $0.processAt = .integer(Int64(t0 - 9 * second)) },
            stamped("at once", 2) { $0.processAt = .integer(Int64(t0 - 2 * second)) },
            stamped("seen", 60) {
                $0.processAt = due
                $0.knowledge.readyTime = ReadyTime(
                    time: WallTime(nanoseconds: Int64(t0 - second / 2)), place: 0, look: 1)
            },
            attempt("pair") { $0.parent = SpanID(1) }, producer, attempt("paired") { $0.parent = SpanID(1) },
            attempt("message") {
                $0.knowledge.message = CarriedMessage(
                    enqueuedAt: WallTime(nanoseconds: Int64(t0 - 60 * second)),
                    processAt: WallTime(nanoseconds: Int64(t0 - 3 * second)))
            })
        #expect(aggregator.processAtWaits == 4)
        let exact = Series(count: 3, sum: 3 + 2 + 0.5)
        let all = Series(count: 7, sum: 3 + 2 + 0.5 + 1 + 2 + 2 + 3)
        #expect(aggregator.waits() == (isCounted ? all : exact))
        #expect(aggregator.unknown(.noSource) == (isCounted ? 0 : 4))
    }
}
