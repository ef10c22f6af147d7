import Glibc
import Model
import Synchronization
import TestSupport
import Testing

@testable import Spool

@Suite("Frames of which some spans are settled")
struct HalfSentTests {
    private static let drop = (spans: 1, reason: "refused")

    /// A spool with one frame of ten spans, read, and its spans 2 to 5 settled.
    private static func make(
        _ disk: MemoryFileSystem, _ options: SpoolOptions = .small(), _ clock: TestClock = TestClock()
    ) throws -> (spool: Spool, frame: SpoolFrame) {
        let spool = try Spool(disk, options, clock)
        try spool.append("whole", spans: 10)
        #expect(spool.syncOnce())
        let frame = try #require(try spool.readWhole().frames.first)
        spool.settle(2..<6, of: frame, dropping: drop)
        return (spool, frame)
    }

    @Test("Each span counts once, and the frame is settled with the last of them")
    func books() throws {
        let (spool, frame) = try Self.make(MemoryFileSystem())
        #expect(spool.statistics.spans == 6 && spool.statistics.deliveredSpans == 3)
        #expect(spool.isBalanced)
        #expect(spool.settle(0..<4, of: frame) == 2, "two of them are settled already")
        #expect(spool.settle(8..<8, of: frame) == 0)
        #expect(spool.statistics.spans == 4 && spool.isBalanced)
        #expect(spool.settle(6..<10, of: frame, dropping: Self.drop) == 4)
        #expect(spool.settle([frame], dropping: (spans: 2, reason: "refused")) == 0)
        #expect(spool.settle(0..<10, of: frame) == 0)
        #expect(spool.statistics.droppedSpans == ["refused": 2] && spool.statistics.deliveredSpans == 8)
        #expect(spool.statistics.spans == 0 && spool.isBalanced)
        #expect(spool.statistics.oldestAge == nil)
        #expect(spool.state.withLock { $0.ledger.settled.spans.isEmpty })
    }

    @Test("A frame that is settled as a whole after some of its spans counts what was left of it")
    func whole() throws {
        let (spool, frame) = try Self.make(MemoryFileSystem())
        #expect(spool.settle([frame]) == 6)
        #expect(spool.statistics.spans == 0 && spool.isBalanced)
    }

    @Test("A segment that is dropped under a divided request drops what is left of it")
    func evicted() throws {
        let clock = TestClock()
        let (spool, frame) = try Self.make(MemoryFileSystem(), .small(maxAgeSeconds: 60), clock)
        clock.advance(seconds: 61)
        spool.dropExpired()
        #expect(spool.statistics.droppedSpans == ["refused": 1, "expired": 6])
        #expect(try spool.read(.spans(0..<2, of: frame)).isEmpty)
        #expect(spool.settle(0..<2, of: frame) == 0 && spool.settle([frame]) == 0)
        #expect(spool.isBalanced)
        #expect(spool.state.withLock { $0.ledger.settled.spans.isEmpty })
    }

    @Test("The next start finds what was left and no more, after a clean end or a kill", arguments: [true, false])
    func restart(isClean: Bool) throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let (spool, frame) = try Self.make(disk, .small(), clock)
        try spool.append("before", spans: 2)
        spool.settle(8..<9, of: frame)
        if isClean { spool.close() }
        let next = try Spool(disk, .small(), clock)
        #expect(next.statistics.recoveredSpans == 7 && next.unread.spans == 7)
        #expect(next.statistics.oldestAge == clock.now.duration(since: frame.time))
        try next.append("behind", spans: 3)
        let batches = try (0..<2).map { _ in try next.readBatch(maxBytes: 1 << 20, maxSpans: 1000) }
        #expect(batches.map(\.texts) == [["whole"], ["before", "behind"]], "alone")
        #expect(batches.map(\.unsentSpans) == [[0..<2, 6..<8, 9..<10], nil])
        #expect(batches.map(\.spanCount) == [5, 5])
        for range in batches[0].unsentSpans ?? [] { next.settle(range, of: batches[0].frames[0]) }
        next.settle(batches[1].frames)
        #expect(next.statistics.spans == 0 && next.statistics.deliveredSpans == 10 && next.isBalanced)
        #expect(try Spool(disk).statistics.recoveredSpans == 0)
    }

    @Test("Behind others, it begins a batch of its own")
    func behindOthers() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        for text in ["one", "two", "three"] { try spool.append(text, spans: 4) }
        spool.settle(0..<1, of: try spool.readWhole().frames[1])
        let next = try Spool(disk)
        let batches = try (0..<4).map { _ in try next.readBatch(maxBytes: 1 << 20, maxSpans: 1000) }
        #expect(batches.map(\.texts) == [["one"], ["two"], ["three"], []])
        #expect(batches.map(\.spanCount) == [4, 3, 4, 0])
    }

    @Test("A checkpoint that can't be written costs sending the whole once more, and no span")
    func unwritten() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("whole", spans: 10)
        let frame = try spool.readWhole().frames[0]
        disk.inject(Fault(operation: .write, namePrefix: Checkpoint.fileName, keptBytes: 50))
        spool.settle(0..<4, of: frame)
        #expect(spool.isBalanced)
        let next = try Spool(disk)
        #expect(next.statistics.recoveredSpans == 10)
        #expect(try next.readWhole().texts == ["whole"])
    }

    @Test("What is left of an old frame expires part by part, as each is to be sent")
    func expired() throws {
        let clock = TestClock()
        let (spool, frame) = try Self.make(MemoryFileSystem(), .small(maxAgeSeconds: 60), clock)
        clock.advance(seconds: 50)
        try spool.append("young")
        clock.advance(seconds: 11)
        #expect(try spool.read(.spans(0..<2, of: frame)).isEmpty)
        #expect(spool.statistics.droppedSpans == ["refused": 1, "expired": 2])
        #expect(spool.settle(6..<10, of: frame) == 4, "these were on their way")
        #expect(spool.statistics.deliveredSpans == 7 && spool.isBalanced)
        #expect(try spool.readAll() == ["young"])
    }

    @Test("Spans of a frame that became corrupt are dropped once, whatever part asks first")
    func corrupt() throws {
        let disk = MemoryFileSystem()
        let (spool, frame) = try Self.make(disk)
        try disk.open(disk.segmentNames[0]).write([1], at: frame.end - 1)
        #expect(try spool.read(.spans(0..<2, of: frame)).isEmpty)
        #expect(try spool.read(.spans(6..<10, of: frame)).isEmpty)
        #expect(spool.statistics.droppedSpans == ["refused": 1, "corrupt": 6])
        #expect(spool.statistics.corruptFrames == 1)
        #expect(spool.settle(6..<10, of: frame) == 0 && spool.isBalanced)
    }

    @Test("A frame that a power cut took leaves no settled spans to the frame that follows", arguments: [3, 10])
    func lostInPowerCut(spans: Int) throws {
        let disk = MemoryFileSystem()
        let (_, frame) = try Self.make(disk)
        // The checkpoint is on the disk, the end of the segment is not.
        try disk.open(disk.segmentNames[0]).truncate(to: frame.offset)
        let second = try Spool(disk)
        #expect(second.statistics.recoveredSpans == 0)
        try second.append("another", spans: spans)
        let third = try Spool(disk)
        #expect(third.statistics.recoveredSpans == spans)
        let batch = try third.readWhole()
        #expect(batch.texts == ["another"] && batch.unsentSpans == nil && batch.spanCount == spans)
    }
}
