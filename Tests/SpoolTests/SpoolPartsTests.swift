import Glibc
import Synchronization
import Testing

@testable import Spool

@Suite("Frames of which parts are settled")
struct SpoolPartsTests {
    private static let drop = (spans: 1, reason: "refused")
    private static let none = (spans: 0, reason: "refused")

    /// A spool with one frame of ten spans and another one behind it, both read, and four spans of the first settled.
    private static func make(
        _ disk: MemoryFileSystem, _ options: SpoolOptions, _ clock: ManualClock = ManualClock()
    ) throws -> (spool: Spool, frame: SpoolBatch.Frame) {
        let spool = try Spool(disk, options, clock)
        try spool.append("whole", spans: 10)
        #expect(spool.syncOnce())
        let frame = try #require(try spool.readWhole().frames.first)
        spool.settle(part: 4, of: frame, dropping: drop)
        return (spool, frame)
    }

    @Test("Each part counts by itself, and the frame is settled with what is left")
    func books() throws {
        let (spool, frame) = try Self.make(MemoryFileSystem(), .small())
        #expect(spool.statistics.spans == 6 && spool.statistics.deliveredSpans == 3)
        #expect(spool.isBalanced)
        spool.settle(part: 100, of: frame, dropping: Self.none)
        #expect(spool.statistics.spans == 0 && spool.isBalanced, "no more than the frame has")
        #expect(spool.settle([frame], dropping: (spans: 2, reason: "refused")) == 0)
        #expect(spool.statistics.droppedSpans == ["refused": 1])
        #expect(spool.isBalanced)
        #expect(spool.state.withLock { $0.settledParts.isEmpty })
    }

    @Test("A segment that is dropped under a divided request drops what is left of it")
    func evicted() throws {
        let clock = ManualClock()
        let (spool, frame) = try Self.make(MemoryFileSystem(), .small(maxAgeSeconds: 60), clock)
        clock.advance(seconds: 61)
        spool.dropExpired()
        #expect(spool.statistics.droppedSpans == ["refused": 1, "expired": 6])
        spool.settle(part: 2, of: frame, dropping: Self.none)
        #expect(spool.settle([frame]) == 0)
        #expect(spool.isBalanced)
        #expect(spool.state.withLock { $0.settledParts.isEmpty })
    }

    @Test(
        "The next start finds what was left, and no more, as old as it was",
        arguments: [
            SpoolSync.always, .interval(nanoseconds: 1), .never,
        ])
    func restAtClose(sync: SpoolSync) throws {
        let disk = MemoryFileSystem()
        let clock = ManualClock()
        let (spool, frame) = try Self.make(disk, .small(sync: sync), clock)
        clock.advance(seconds: 100)
        try spool.append("behind", spans: 2)
        #expect(spool.syncOnce())
        spool.keepAtClose([SpoolRest(of: frame, payload: Array("rest".utf8), spanCount: 6)])
        spool.close()
        #expect(spool.statistics.spans == 8 && spool.statistics.deliveredSpans == 3 && spool.isBalanced)
        let next = try Spool(disk, .small(), clock)
        #expect(next.statistics.recoveredSpans == 8)
        #expect(next.statistics.oldestUnsettled == frame.time)
        #expect(try next.readAll() == ["behind", "rest"])
        #expect(next.isBalanced)
    }

    @Test("A young frame does not expire with what is left of an old one")
    func ageOfSegment() throws {
        let disk = MemoryFileSystem()
        let clock = ManualClock()
        let options = SpoolOptions.small(maxAgeSeconds: 60)
        let (spool, frame) = try Self.make(disk, options, clock)
        clock.advance(seconds: 50)
        try spool.append("young")
        spool.keepAtClose([SpoolRest(of: frame, payload: Array("rest".utf8), spanCount: 6)])
        spool.close()
        for spool in [spool, try Spool(disk, options, clock)] {
            clock.advance(seconds: 12)
            spool.dropExpired()
            #expect(spool.statistics.spans > 0)
        }
        #expect(try Spool(disk, options, clock).readAll() == ["young"])
    }

    @Test(
        "Where the disk refuses the rest, the whole is sent once more, and the rest not besides",
        arguments: [
            Fault(operation: .append), Fault(operation: .sync, namePrefix: "segment", times: 2),
            Fault(operation: .syncDirectory, times: 2),
        ], [SpoolSync.always, .interval(nanoseconds: 1)])
    func diskRefuses(fault: Fault, sync: SpoolSync) throws {
        let disk = MemoryFileSystem()
        let (spool, frame) = try Self.make(disk, .small(segmentBytes: 100, sync: sync))
        disk.inject(fault)
        let payload = [UInt8](repeating: 120, count: 100)
        spool.keepAtClose([SpoolRest(of: frame, payload: payload, spanCount: 6)])
        spool.close()
        #expect(try Spool(disk).readAll() == ["whole"])
        #expect(spool.isBalanced)
    }

    @Test("A rest evicts nothing, and takes the spool over no bound")
    func noRoom() throws {
        let disk = MemoryFileSystem()
        let options = SpoolOptions.small(maxBytes: 8192 + 500, whenFull: .dropOldest)
        let (spool, frame) = try Self.make(disk, options)
        spool.keepAtClose([SpoolRest(of: frame, payload: [UInt8](repeating: 120, count: 400), spanCount: 6)])
        spool.close()
        #expect(disk.totalBytes <= 8192 + 500)
        #expect(try Spool(disk).readAll() == ["whole"])
    }

    @Test("What is settled or gone by then gets no rest")
    func gone() throws {
        let disk = MemoryFileSystem()
        let (spool, frame) = try Self.make(disk, .small())
        spool.settle([frame])
        spool.keepAtClose([SpoolRest(of: frame, payload: [1], spanCount: 6)])
        spool.close()
        #expect(try Spool(disk).readAll() == [])
        #expect(spool.isBalanced)
    }
}
