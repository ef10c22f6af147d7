import Model
import Synchronization
import Testing

@testable import WaitTime

/// Knows one task, whose time is given once.
private final class OneReadyTime: ReadyTimeSource {
    private let ready: Mutex<WallTime?>

    init(_ ready: UInt64) {
        self.ready = Mutex(WallTime(nanoseconds: Int64(ready)))
    }

    func takeReadyTime(
        queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, retryCount: Int32?, start: WallTime
    ) -> WallTime? { ready.withLock { $0.take() } }

    func storedTimes(queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, for asker: Asker) -> StoredTimes? {
        nil
    }
}

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

    @Test("a task's ready time is used up by an attempt that measured its wait")
    func measuredAndSeen() {
        let maker = SpanMaker()
        func attempt(_ change: (inout TaskSpan) -> Void) -> TaskSpan {
            maker.process {
                $0.taskID = maker.range(Array("id".utf8))
                change(&$0)
            }
        }
        let measured = attempt { $0.wait = .integer(4) }
        let other = attempt { $0.stamp = stamp }
        maker.body.withUnsafeBytes { body in
            let seen = OneReadyTime(t0 - 9 * second)
            #expect(WaitSource.find(measured, in: body, seen: seen) == .known(seconds: 4))
            #expect(WaitSource.find(other, in: body, seen: seen) == .known(seconds: 3))
            #expect(WaitSource.find(other, in: body, seen: OneReadyTime(t0 - 9 * second)) == .known(seconds: 9))
        }
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
            } == .known(seconds: 1))
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
