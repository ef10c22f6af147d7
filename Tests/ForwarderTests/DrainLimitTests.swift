import Model
import Testing
@testable import Forwarder

@Suite("The limit for the drain of a backlog")
struct DrainLimitTests {
    /// A spool of which batches of up to 1000 spans are read as fast as the limit allows.
    private struct Drain {
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        var unread: Int
        var limit: DrainLimit
        var read = 0

        init(perSecond: Int, unread: Int) {
            self.unread = unread
            limit = DrainLimit(spansPerSecond: perSecond, unread: unread, at: now)
        }

        mutating func step(milliseconds: UInt64, arriving: Int = 0, isBlocked: Bool = false) {
            now = now.advanced(byNanoseconds: milliseconds * 1_000_000)
            unread += arriving
            limit.look(unread: unread, isBlocked: isBlocked, at: now)
            while !isBlocked && unread > 0 && limit.opens(unread: unread) <= now {
                let batch = min(1000, unread)
                unread -= batch
                read += batch
                limit.note(read: batch)
                limit.look(unread: unread, isBlocked: false, at: now)
            }
        }

        mutating func run(seconds: Int, arrivingPerSecond: Int) {
            for _ in 0..<seconds * 10 { step(milliseconds: 100, arriving: arrivingPerSecond / 10) }
        }
    }

    @Test("What waits gets less by the limit each second, however much arrives", arguments: [0, 500, 50_000])
    func pace(arriving: Int) {
        var drain = Drain(perSecond: 2000, unread: 100_000)
        drain.run(seconds: 20, arrivingPerSecond: arriving)
        #expect(abs(drain.unread - 60_000) <= 2000, "\(drain.unread) wait")
        #expect(abs(drain.read - (40_000 + 20 * arriving)) <= 2000)
    }

    @Test("Once the backlog is gone nothing is limited, a sudden burst neither")
    func caughtUp() {
        var drain = Drain(perSecond: 10, unread: 50)
        drain.run(seconds: 10, arrivingPerSecond: 1000)
        #expect(drain.unread == 0)
        drain.step(milliseconds: 1, arriving: 1_000_000)
        #expect(drain.unread == 0)
    }

    @Test("While the backend takes nothing all that waits becomes backlog")
    func outage() {
        var drain = Drain(perSecond: 100, unread: 0)
        for _ in 0..<600 { drain.step(milliseconds: 100, arriving: 50, isBlocked: true) }
        #expect(drain.unread == 30_000 && drain.read == 0)
        drain.run(seconds: 10, arrivingPerSecond: 500)
        #expect(abs(drain.unread - 29_000) <= 1000, "\(drain.unread) wait")
    }

    @Test("The moment at which a batch may be read is when it may be read", arguments: [1, 7, 1000])
    func moment(perSecond: Int) {
        var drain = Drain(perSecond: perSecond, unread: 500)
        drain.step(milliseconds: 0)
        #expect(drain.read == 0)
        let opens = drain.limit.opens(unread: drain.unread)
        #expect(opens > drain.now)
        let wait = opens.nanoseconds(since: drain.now)
        drain.now = drain.now.advanced(byNanoseconds: wait - wait / 10)
        drain.step(milliseconds: 0)
        #expect(drain.read == 0, "too early")
        drain.now = opens.advanced(byNanoseconds: 1000)
        drain.step(milliseconds: 0)
        #expect(drain.read == 500)
    }

    @Test("What the spool evicts counts as gone: the rest doesn't wait for it")
    func evicted() {
        var drain = Drain(perSecond: 100, unread: 100_000)
        drain.run(seconds: 1, arrivingPerSecond: 0)
        drain.unread = 1000
        drain.run(seconds: 21, arrivingPerSecond: 0)
        #expect(drain.unread == 0)
    }
}
