import Model
import Testing

@testable import WaitTime

@Suite("Sources of the wait, and their order")
struct WaitSourceTests {
    private let parent = SpanID(1)
    private let stamp = AttributeValue.integer(Int64(t0 - 3 * second))

    private func find(_ change: (inout TaskSpan, SpanMaker) -> Void) -> WaitFinding {
        let maker = SpanMaker()
        var span = maker.process()
        change(&span, maker)
        return maker.find(span)
    }

    @Test("a measured wait goes before a stamp and before a parent, with its unit")
    func measured() {
        #expect(
            find { span, _ in
                span.wait = .integer(250)
                span.waitUnitSeconds = 1e-3
                span.stamp = stamp
                span.parent = parent
            } == .known(seconds: 0.25))
        #expect(find { span, _ in span.wait = .double(1.5) } == .known(seconds: 1.5))
        #expect(find { span, maker in span.wait = maker.text("2.5") } == .known(seconds: 2.5))
    }

    /// A ready time so many seconds before the start.
    private func readyTime(_ seconds: UInt64) -> ReadyTime {
        ReadyTime(time: WallTime(nanoseconds: Int64(t0 - seconds * second)), place: 0, look: 1)
    }

    @Test("a task's ready time goes behind a measured wait, and before a stamp and a parent, for a retry too")
    func seen() {
        func wait(_ change: (inout TaskSpan) -> Void) -> WaitFinding {
            find { span, _ in
                span.knowledge.readyTime = readyTime(9)
                change(&span)
            }
        }
        #expect(wait { $0.wait = .integer(4) } == .known(seconds: 4))
        #expect(wait { $0.stamp = stamp } == .known(seconds: 9))
        #expect(wait { $0.parent = parent } == .known(seconds: 9))
        #expect(wait { $0.retryCount = .integer(3) } == .known(seconds: 9))
    }

    @Test(
        "a ready time of another age gives way to the stamp, and is bad where there is none; so does one after the start"
    )
    func seenBadly() {
        func wait(_ seconds: UInt64, _ change: (inout TaskSpan) -> Void = { _ in }) -> WaitFinding {
            find { span, _ in
                span.knowledge.readyTime = readyTime(seconds)
                change(&span)
            }
        }
        #expect(wait(315_360_000) == .known(seconds: 315_360_000))
        #expect(wait(315_360_001) == .unknown(.badStamp))
        #expect(wait(315_360_001) { $0.stamp = stamp } == .known(seconds: 3))
        #expect(wait(315_360_001) { $0.retryCount = .integer(1) } == .unknown(.retry))
        // It is that of the next task under the same id.
        for late in [1, second + 1] {
            func wait(_ change: (inout TaskSpan) -> Void) -> WaitFinding {
                find { span, _ in
                    span.knowledge.readyTime = ReadyTime(
                        time: WallTime(nanoseconds: Int64(t0 + late)), place: 0, look: 1)
                    change(&span)
                }
            }
            #expect(wait { $0.stamp = stamp } == .known(seconds: 3))
            #expect(wait { $0.parent = parent } == .needsProducer(otherwise: .noSource))
            #expect(wait { $0.retryCount = .integer(1) } == .unknown(.retry))
            #expect(wait { _ in } == .unknown(.noSource))
        }
        #expect(readyTime(0).time.nanoseconds == Int64(t0) && wait(0) == .known(seconds: 0))
    }

    @Test("the message's stamp tells a first attempt's wait, from when the task was due, if that is later")
    func carried() {
        func wait(
            _ carried: CarriedMessage?, _ change: (inout TaskSpan, SpanMaker) -> Void = { _, _ in }
        ) -> WaitFinding? {
            let maker = SpanMaker()
            var span = maker.process()
            span.knowledge.message = carried
            change(&span, maker)
            return maker.body.withUnsafeBytes { WaitSource.stored(span, in: $0) }
        }
        func at(_ seconds: UInt64) -> WallTime { WallTime(nanoseconds: Int64(t0 - seconds * second)) }
        #expect(wait(nil) == nil && wait(CarriedMessage()) == nil)
        let message = CarriedMessage(enqueuedAt: at(5))
        #expect(wait(message) == .known(seconds: 5))
        #expect(wait(CarriedMessage(enqueuedAt: at(5), processAt: at(2))) == .sinceDue(seconds: 2))
        #expect(wait(CarriedMessage(enqueuedAt: at(5), processAt: at(8))) == .known(seconds: 5))
        #expect(wait(message) { span, _ in span.processAt = .integer(Int64(t0 - second)) } == .sinceDue(seconds: 1))
        #expect(wait(message) { span, _ in span.startNanoseconds = 0 } == nil)
        // Which attempt it was, is not known where the task has failed before and the span does not say it.
        let retried = CarriedMessage(enqueuedAt: at(5), retried: 1)
        #expect(wait(retried) == .unknown(.retry))
        #expect(wait(retried) { span, _ in span.retryCount = .integer(0) } == .known(seconds: 5))
    }

    @Test("a measured wait holds for a retry too")
    func measuredRetry() {
        #expect(
            find {
                $0.wait = .integer(4)
                $0.retryCount = .integer(3)
                _ = $1
            } == .known(seconds: 4))
    }

    @Test("a measured wait that is no number gives way to the stamp")
    func measuredBadly() {
        #expect(
            find { span, maker in
                span.wait = maker.text("soon")
                span.stamp = stamp
            } == .known(seconds: 3))
        for value: AttributeValue in [.double(.nan), .double(.infinity), .double(-.infinity), .integer(315_360_001)] {
            #expect(
                find {
                    $0.wait = value
                    _ = $1
                } == .unknown(.badStamp))
            #expect(
                find {
                    $0.wait = value
                    $0.stamp = stamp
                    _ = $1
                } == .known(seconds: 3))
            #expect(
                find {
                    $0.wait = value
                    $0.parent = parent
                    _ = $1
                } == .needsProducer(otherwise: .badStamp))
            #expect(
                find {
                    $0.wait = value
                    $0.retryCount = .integer(1)
                    _ = $1
                } == .unknown(.retry))
        }
        #expect(
            find {
                $0.wait = .integer(315_360_000)
                $0.stamp = stamp
                _ = $1
            } == .known(seconds: 315_360_000))
    }

    @Test("a stamp goes before a parent")
    func stampBeforeParent() {
        #expect(
            find {
                $0.stamp = stamp
                $0.parent = parent
                _ = $1
            } == .known(seconds: 3))
    }

    @Test("a later attempt without a measured wait is unknown, whatever else it has")
    func retries() {
        for retries: AttributeValue in [.integer(1), .double(2), .integer(.max)] {
            #expect(
                find {
                    $0.retryCount = retries
                    $0.stamp = stamp
                    $0.parent = parent
                    _ = $1
                } == .unknown(.retry))
        }
        #expect(
            find { span, maker in
                span.retryCount = maker.text("1")
                span.stamp = stamp
            } == .unknown(.retry))
        #expect(
            find {
                $0.retryCount = .integer(1)
                _ = $1
            } == .unknown(.retry))
        for first: AttributeValue in [.integer(0), .integer(-1), .other, .double(.nan)] {
            #expect(
                find {
                    $0.retryCount = first
                    $0.stamp = stamp
                    _ = $1
                } == .known(seconds: 3))
        }
    }

    @Test("of a scheduled task the time before it was due is no wait")
    func scheduled() {
        let due = AttributeValue.integer(Int64(t0 - second))
        #expect(
            find {
                $0.stamp = stamp
                $0.processAt = due
                _ = $1
            } == .sinceDue(seconds: 1))
        // Due before it was enqueued: then it was ready at once.
        let past = AttributeValue.integer(Int64(t0 - 60 * second))
        #expect(
            find {
                $0.stamp = stamp
                $0.processAt = past
                _ = $1
            } == .known(seconds: 3))
        // A ready stamp says it all.
        #expect(
            find {
                $0.stamp = stamp
                $0.stampMeaning = .ready
                $0.processAt = due
                _ = $1
            } == .known(seconds: 3))
    }

    @Test("a start up to a second before the stamp waited 0 s, earlier the clocks disagree")
    func skew() {
        func early(_ nanoseconds: UInt64) -> WaitFinding {
            find {
                $0.stamp = .integer(Int64(t0 + nanoseconds))
                _ = $1
            }
        }
        #expect(early(1) == .known(seconds: 0))
        #expect(early(second) == .known(seconds: 0))
        #expect(early(second + 1) == .unknown(.clockSkew))
        #expect(early(3600 * second) == .unknown(.clockSkew))
        #expect(
            find {
                $0.wait = .double(-1)
                _ = $1
            } == .known(seconds: 0))
        #expect(
            find {
                $0.wait = .double(-1.0000001)
                _ = $1
            } == .unknown(.clockSkew))
    }

    @Test("without a stamp, the producer can tell; without parent and link nobody can")
    func noStamp() {
        let needed = WaitFinding.needsProducer(otherwise: .noSource)
        #expect(
            find {
                $0.parent = parent
                _ = $1
            } == needed)
        #expect(
            find {
                $0.link = SpanReference(trace: trace(2), span: parent)
                _ = $1
            } == needed)
        #expect(find { _, _ in } == .unknown(.noSource))
    }

    @Test("a stamp that is no time is bad, unless the producer can tell")
    func badStamp() {
        #expect(
            find {
                $0.stamp = .integer(5)
                _ = $1
            } == .unknown(.badStamp))
        #expect(
            find {
                $0.stamp = .other
                _ = $1
            } == .unknown(.badStamp))
        #expect(find { span, maker in span.stamp = maker.text("yesterday") } == .unknown(.badStamp))
        let needed = WaitFinding.needsProducer(otherwise: .badStamp)
        #expect(
            find {
                $0.stamp = .integer(5)
                $0.parent = parent
                _ = $1
            } == needed)
        // A time, but of another age.
        #expect(
            find {
                $0.stamp = .integer(1_000_000_000)
                _ = $1
            } == .unknown(.badStamp))
        #expect(
            find {
                $0.stamp = .integer(1_000_000_000)
                $0.parent = parent
                _ = $1
            } == needed)
    }

    @Test("times at both ends of their range do not overflow")
    func extremes() {
        #expect(
            find {
                $0.startNanoseconds = .max
                $0.stamp = stamp
                _ = $1
            } != .unknown(.clockSkew))
        #expect(
            find {
                $0.startNanoseconds = 1
                $0.stamp = stamp
                _ = $1
            } == .unknown(.clockSkew))
        #expect(
            find {
                $0.startNanoseconds = 0
                $0.stamp = stamp
                _ = $1
            } == .unknown(.badStamp))
        #expect(WaitSource.wait(fromProducerEnd: .max, due: 0, to: 1) == .unknown(.clockSkew))
    }
}
