import Model
import Platform
import TestSupport
import Testing

@testable import Spool

@Suite("Ages while the wall clock is set")
struct ClockStepTests {
    private static let day: Int64 = 86_400

    @Test(
        "A step of the wall clock expires nothing that has just come, and what is old by the monotonic clock expires",
        arguments: [2 * day, -2 * day, 56 * 365 * day, -56 * 365 * day])
    func step(seconds: Int64) throws {
        let clock = TestClock()
        let spool = try Spool(MemoryFileSystem(), .small(maxAgeSeconds: 3600), clock)
        try spool.append("before", spans: 2)
        clock.set(WallTime(seconds: clock.now.wholeSeconds + seconds))
        spool.dropExpired()
        try spool.append("after")
        let batch = try spool.readWhole()
        #expect(batch.texts == ["before", "after"])
        #expect(spool.statistics.oldestAge == .zero)
        let again = try spool.read(.frames(batch.frames))
        #expect(again.texts == ["before", "after"])
        clock.advance(seconds: 3601)
        #expect(spool.statistics.oldestAge == .seconds(3601))
        #expect(try spool.read(.frames(batch.frames)).isEmpty)
        #expect(spool.statistics.droppedSpans == ["expired": 3])
        #expect(spool.isBalanced)
    }

    @Test("Segments expire as whole by the same clock")
    func segments() throws {
        let clock = TestClock()
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(maxAgeSeconds: 3600), clock)
        try spool.append("before")
        clock.set(WallTime(seconds: clock.now.wholeSeconds + 2 * Self.day))
        spool.dropExpired()
        #expect(spool.statistics.spans == 1)
        clock.advance(seconds: 3601)
        spool.dropExpired()
        #expect(spool.statistics.spans == 0)
    }

    @Test("What an earlier process left has its age by the wall clock")
    func leftByEarlierProcess() throws {
        let clock = TestClock()
        let disk = MemoryFileSystem()
        try Spool(disk, .small(), clock).append("old")
        clock.set(WallTime(seconds: clock.now.wholeSeconds + 2 * Self.day))
        let spool = try Spool(disk, .small(maxAgeSeconds: 3600), clock)
        spool.dropExpired()
        #expect(spool.statistics.droppedSpans == ["expired": 1])
    }

    @Test("A step is told of once, the first expiry at once, and further ones once a minute")
    func told() throws {
        let clock = TestClock()
        let spool = try Spool(MemoryFileSystem(), .small(segmentBytes: 100, maxAgeSeconds: 60), clock)
        #expect(spool.notices == [])
        clock.set(WallTime(seconds: clock.now.wholeSeconds + 100))
        #expect(spool.notices == [.clockSet(by: .seconds(100))])
        #expect(spool.notices == [])
        clock.set(WallTime(seconds: clock.now.wholeSeconds - 50))
        #expect(spool.notices == [.clockSet(by: .seconds(-50))])
        func expire(_ spans: Int) throws {
            try spool.append("x", spans: spans)
            clock.advance(seconds: 61)
            spool.dropExpired()
        }
        try expire(2)
        #expect(spool.notices == [.expired(spans: 2)])
        #expect(spool.notices == [])
        try spool.append("x", spans: 3)
        clock.advance(seconds: 59)
        #expect(spool.notices == [])
        clock.advance(seconds: 2)
        spool.dropExpired()
        #expect(spool.notices == [.expired(spans: 3)])
    }
}
