import Glibc
import Platform
import TestSupport
import Testing

@testable import Spool

@Suite("Segments that the disk does not give back")
struct UnreadableSegmentTests {
    private static let tries = SpoolReaders.maxTries

    /// Four segments of three frames.
    private static func makeSpool(maxBytes: Int = 1 << 20) throws -> (MemoryFileSystem, Spool) {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(maxBytes: maxBytes, segmentBytes: 48 + 3 * 60))
        for index in 0..<12 { try spool.append(text(index), spans: 2) }
        #expect(disk.segmentNames.count == 4)
        return (disk, spool)
    }

    private static func text(_ index: Int) -> String {
        let number = String(index)
        return "payload \(number)" + String(repeating: ".", count: 20 - number.utf8.count)
    }

    private static func texts(_ range: Range<Int>) -> [String] { range.map(text) }

    /// What a forwarder does: tries again after an error.
    private static func readStubbornly(_ spool: Spool) -> (texts: [String], failures: Int, frames: [SpoolFrame]) {
        var (texts, failures, frames) = ([String](), 0, [SpoolFrame]())
        while true {
            do {
                let batch = try spool.readBatch(maxBytes: 200, maxSpans: 100)
                if batch.isEmpty { return (texts, failures, frames) }
                texts += batch.texts
                frames += batch.frames
            } catch {
                failures += 1
                if failures > 100 { return (texts, failures, frames) }
            }
        }
    }

    @Test("A disk that has a bad minute loses nothing: the reader waits as long as it is told to")
    func patience() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        var options = SpoolOptions.small(segmentBytes: 48 + 3 * 60)
        options.readPatience = .seconds(60)
        let spool = try Spool(disk, options, clock)
        for index in 0..<6 { try spool.append(Self.text(index), spans: 2) }
        disk.inject(Fault(operation: .read, namePrefix: "segment", code: EIO, times: 50))
        for _ in 0..<50 {
            #expect(throws: SpoolError.self) { try spool.readBatch(maxBytes: 200, maxSpans: 100) }
            clock.advance(seconds: 1)
        }
        #expect(Self.readStubbornly(spool).texts == Self.texts(0..<6))
        #expect(spool.statistics.droppedSpans.isEmpty)
    }

    @Test("What a segment in quarantine held waits to be read no longer, what stands behind it does")
    func waiting() throws {
        let (disk, spool) = try Self.makeSpool()
        disk.spoil(disk.segmentNames[0], from: 0)
        for _ in 0..<Self.tries {
            #expect(spool.unread.spans == 24)
            #expect(throws: SpoolError.self) { try spool.readBatch(maxBytes: 1 << 20, maxSpans: 2) }
        }
        #expect(spool.statistics.quarantinedSegments == 1 && spool.unread.spans == 18)
    }

    @Test("After a few tries the reader goes on behind it; its spans are counted as dropped", arguments: 0..<4)
    func goesOn(bad: Int) throws {
        let (disk, spool) = try Self.makeSpool()
        disk.spoil(disk.segmentNames[bad], from: 0)
        let read = Self.readStubbornly(spool)
        #expect(read.texts == Self.texts(0..<3 * bad) + Self.texts(3 * bad + 3..<12))
        #expect(read.failures == Self.tries)
        #expect(spool.statistics.droppedSpans == ["unreadable": 6])
        #expect(spool.statistics.quarantinedSegments == 1)
        #expect(spool.isBalanced)
        spool.settle(read.frames)
        #expect(spool.statistics.spans == 0)
        #expect(spool.statistics.corruptFrames == 0)
        #expect(spool.unread.since == nil)
        #expect(spool.isBalanced)
        #expect(disk.segmentNames.contains(SegmentHeader.fileName(firstSequence: UInt64(3 * bad + 1))))
        // Appends and reads go on.
        try spool.append("next")
        #expect(try spool.readAll() == ["next"])
    }

    @Test("What stands before the bad place is sent, and not counted as dropped", arguments: 1...3)
    func front(readable: Int) throws {
        let (disk, spool) = try Self.makeSpool()
        disk.spoil(disk.segmentNames[1], from: SegmentHeader.count + readable * 60 + 10)
        let read = Self.readStubbornly(spool)
        #expect(read.texts == Self.texts(0..<3 + readable) + Self.texts(6..<12))
        spool.settle(read.frames)
        #expect(spool.statistics.droppedSpans["unreadable", default: 0] == UInt64(2 * (3 - readable)))
        #expect(spool.statistics.deliveredSpans == UInt64(24 - 2 * (3 - readable)))
        #expect(spool.isBalanced)
    }

    @Test("If the next start can read it, its frames are sent then, and only these", arguments: 0..<4)
    func readableAgain(bad: Int) throws {
        let (disk, spool) = try Self.makeSpool()
        let name = disk.segmentNames[bad]
        disk.spoil(name, from: SegmentHeader.count + 60 + 10)
        spool.settle(Self.readStubbornly(spool).frames)
        disk.spoil(name, from: nil)
        let reopened = try Spool(disk)
        #expect(reopened.statistics.recoveredSpans == 4)
        let batch = try reopened.readWhole()
        #expect(batch.texts == Self.texts(3 * bad + 1..<3 * bad + 3))
        reopened.settle(batch.frames)
        #expect(reopened.isBalanced)
        #expect(try Spool(disk).statistics.recoveredSpans == 0)
        #expect(disk.segmentNames.isEmpty || disk.segmentNames == [name])
    }

    @Test("A start with an unreadable segment goes on with the others and keeps the file", arguments: 0..<4)
    func start(bad: Int) throws {
        let (disk, _) = try Self.makeSpool()
        let name = disk.segmentNames[bad]
        for from in [0, SegmentHeader.count, SegmentHeader.count + 60 + 10] {
            disk.spoil(name, from: from)
            let spool = try Spool(MemoryFileSystem(copying: disk))
            let front = from > 100 ? 1 : 0
            try spool.append("next", spans: 2)
            let read = Self.readStubbornly(spool)
            #expect(read.texts == Self.texts(0..<3 * bad + front) + Self.texts(3 * bad + 3..<12) + ["next"])
            #expect(read.failures == 0)
            #expect(spool.statistics.quarantinedSegments == 1)
            #expect(spool.statistics.corruptFrames == 0)
            spool.settle(read.frames)
            #expect(spool.statistics.spans == 0)
            #expect(spool.isBalanced)
        }
        // Three starts later it is read, when the disk gives it back: nothing else settled or replaced it.
        disk.spoil(name, from: 0)
        for _ in 0..<3 {
            let spool = try Spool(disk)
            try spool.append("more")
            spool.settle(Self.readStubbornly(spool).frames)
        }
        disk.spoil(name, from: nil)
        #expect(try Spool(disk).readAll() == Self.texts(3 * bad..<3 * bad + 3))
    }

    @Test("A segment that can't be opened while a start looks at it is kept for the next start", arguments: 0..<4)
    func failedOpen(bad: Int) throws {
        let (disk, _) = try Self.makeSpool()
        let name = disk.segmentNames[bad]
        disk.inject(Fault(operation: .open, namePrefix: name, code: EIO))
        let spool = try Spool(disk)
        #expect(disk.pendingFaults == 0 && spool.statistics.quarantinedSegments == 1)
        let read = Self.readStubbornly(spool)
        #expect(read.texts == Self.texts(0..<3 * bad) + Self.texts(3 * bad + 3..<12))
        spool.settle(read.frames)
        #expect(spool.isBalanced && spool.statistics.corruptFrames == 0)
        #expect(try Spool(disk).readAll() == Self.texts(3 * bad..<3 * bad + 3))
    }

    @Test("A batch in flight when its segment went bad is delivered, not dropped")
    func inFlight() throws {
        let (disk, spool) = try Self.makeSpool()
        let batch = try spool.readBatch(maxBytes: 60, maxSpans: 100)
        #expect(batch.texts == Self.texts(0..<2))
        disk.spoil(disk.segmentNames[0], from: 0)
        let read = Self.readStubbornly(spool)
        #expect(spool.statistics.droppedSpans == ["unreadable": 2])
        #expect(spool.isBalanced)
        spool.settle(batch.frames)
        spool.settle(read.frames)
        #expect(spool.statistics.deliveredSpans == 22)
        #expect(spool.statistics.spans == 0)
        #expect(spool.isBalanced)
    }

    @Test("The segment that is written to goes bad: appends go on in another one")
    func active() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("lost")
        disk.spoil(disk.segmentNames[0], from: 0)
        #expect(Self.readStubbornly(spool).texts == [])
        try spool.append("kept")
        #expect(Self.readStubbornly(spool).texts == ["kept"])
        #expect(spool.isBalanced)
    }

    @Test("A passing error is waited out, and a want of descriptors never costs a segment")
    func passing() throws {
        let (disk, spool) = try Self.makeSpool()
        disk.inject(Fault(operation: .read, namePrefix: "segment", code: EIO, times: Self.tries - 1))
        #expect(Self.readStubbornly(spool).texts == Self.texts(0..<12))
        let reopened = try Spool(disk)
        disk.inject(Fault(operation: .open, namePrefix: "segment", code: EMFILE, times: 50))
        #expect(Self.readStubbornly(reopened).texts == Self.texts(0..<12))
        #expect(reopened.statistics.droppedSpans == [:])
    }

    @Test("Where space is short, what can't be read goes before new spans are refused")
    func space() throws {
        let (disk, spool) = try Self.makeSpool(maxBytes: 8192 + 4 * 228 + 60)
        #expect(throws: SpoolError.self) { for index in 12..<20 { try spool.append(Self.text(index), spans: 2) } }
        disk.spoil(disk.segmentNames[0], from: 0)
        let read = Self.readStubbornly(spool)
        try spool.append(Self.text(12), spans: 2)
        #expect(spool.statistics.quarantinedSegments == 0)
        #expect(spool.isBalanced)
        spool.settle(read.frames)
        #expect(spool.isBalanced)
        #expect(spool.statistics.corruptFrames == 0)
    }

    @Test("An unreadable checkpoint costs re-sending, not the start")
    func checkpoint() throws {
        let (disk, spool) = try Self.makeSpool()
        spool.settle(try spool.readBatch(maxBytes: 1, maxSpans: 1).frames)
        disk.spoil(Checkpoint.fileName, from: 0)
        #expect(try Spool(disk).readAll() == Self.texts(0..<12))
    }
}
