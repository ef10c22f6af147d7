import Model
import Platform
import TestSupport
import Testing

@testable import Spool

/// What is new beside what is old.
@Suite("Sections")
struct SectionTests {
    private static func append(_ range: Range<Int>, to spool: Spool) throws {
        for index in range { try spool.append(Self.text(index)) }
    }

    /// Ten bytes each; with the header of its frame 42.
    private static func text(_ index: Int) -> String {
        "payload" + String(repeating: "0", count: index < 10 ? 2 : index < 100 ? 1 : 0) + "\(index)"
    }

    private static func texts(_ range: Range<Int>) -> [String] { range.map(text) }

    private static func read(_ spool: Spool, _ section: SpoolSection, frames: Int = 100) throws -> SpoolBatch {
        try spool.readBatch(from: section, maxBytes: 1 << 20, maxSpans: frames)
    }

    /// Everything that is left, settled: the books must balance, and nothing may be called corrupt.
    private static func finish(
        _ spool: Spool, _ batches: [SpoolBatch], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let rest = try spool.readWhole()
        for batch in batches + [rest] { spool.settle(batch.frames) }
        #expect(spool.statistics.spans == 0 && spool.isBalanced, sourceLocation: sourceLocation)
        #expect(spool.statistics.corruptFrames == 0, sourceLocation: sourceLocation)
        #expect(spool.waiting.backlog == nil && spool.unread.since == nil, sourceLocation: sourceLocation)
    }

    @Test(
        "New frames are read beside the old ones, each in their order, and in one order again when the old ones are read"
    )
    func beside() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try Self.append(0..<6, to: spool)
        let first = try Self.read(spool, .newest, frames: 2)
        #expect(first.texts == Self.texts(0..<2), "one section has one reader")
        #expect(spool.beginSection())
        #expect(spool.unread.since == nil && spool.waiting.backlog?.spans == 4)
        try Self.append(6..<10, to: spool)
        #expect(spool.unread.spans == 4)
        let new = try Self.read(spool, .newest, frames: 3)
        #expect(new.texts == Self.texts(6..<9))
        let old = try Self.read(spool, .oldest)
        #expect(old.texts == Self.texts(2..<6), "not beyond its section")
        #expect(spool.waiting.backlog == nil, "one section again")
        let rest = try Self.read(spool, .oldest)
        #expect(rest.texts == Self.texts(9..<10), "on from where the other one had got to")
        try Self.append(10..<12, to: spool)
        #expect(disk.segmentNames.count == 2)
        try Self.finish(spool, [first, new, old, rest])
    }

    @Test("A section begins with a file, and is not begun where nothing waits")
    func beginning() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        #expect(!spool.beginSection())
        try Self.append(0..<2, to: spool)
        let batch = try Self.read(spool, .newest)
        #expect(!spool.beginSection(), "nothing waits for what is in flight")
        try Self.append(2..<4, to: spool)
        #expect(spool.beginSection())
        #expect(!spool.beginSection(), "nothing waits in the new one")
        try Self.append(4..<5, to: spool)
        #expect(disk.segmentNames == [1, 5].map { SegmentHeader.fileName(firstSequence: $0) })
        try Self.finish(spool, [batch])
    }

    @Test("Where the newest falls behind as well, one more is begun; there are eight at most")
    func several() throws {
        let spool = try Spool(MemoryFileSystem())
        try Self.append(0..<10, to: spool)
        var new: [SpoolBatch] = []
        for index in 1..<SpoolReaders.maxCount {
            #expect(spool.beginSection())
            try Self.append(index * 10..<index * 10 + 10, to: spool)
            new.append(try Self.read(spool, .newest, frames: 3))
        }
        #expect(!spool.beginSection())
        #expect(new.flatMap(\.texts) == (1..<SpoolReaders.maxCount).flatMap { Self.texts($0 * 10..<$0 * 10 + 3) })
        // The oldest takes up each of them in turn.
        let old = try (0..<SpoolReaders.maxCount).map { _ in try Self.read(spool, .oldest) }
        #expect(old[0].texts == Self.texts(0..<10))
        for index in 1..<SpoolReaders.maxCount {
            #expect(old[index].texts == Self.texts(index * 10 + 3..<index * 10 + 10))
        }
        #expect(spool.waiting.backlog == nil)
        try Self.finish(spool, new + old)
    }

    @Test("A kill repeats what was in flight in both, and nothing else")
    func kill() throws {
        let disk = MemoryFileSystem()
        let options = SpoolOptions.small(segmentBytes: 150)
        let spool = try Spool(disk, options)
        try Self.append(0..<20, to: spool)
        #expect(spool.beginSection())
        try Self.append(20..<40, to: spool)
        for section in SpoolSection.allCases {
            for _ in 0..<3 { spool.settle(try Self.read(spool, section, frames: 3).frames) }
            _ = try Self.read(spool, section, frames: 1)
            spool.settle(try Self.read(spool, section, frames: 2).frames)
        }
        let reopened = try Spool(disk, options)
        let left = Self.texts(9..<10) + Self.texts(12..<20) + Self.texts(29..<30) + Self.texts(32..<40)
        #expect(reopened.statistics.recoveredSpans == left.count)
        let batch = try reopened.readWhole()
        #expect(batch.texts == left, "in order")
        try Self.finish(reopened, [batch])
    }

    @Test("However many batches of the old section wait for their answers, a kill repeats these and nothing else")
    func manyRanges() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try Self.append(0..<60, to: spool)
        #expect(spool.beginSection())
        try Self.append(60..<100, to: spool)
        spool.settle(try Self.read(spool, .newest).frames)
        // Every second one waits for its answer.
        let batches = try (0..<60).map { _ in try Self.read(spool, .oldest, frames: 1) }
        for index in stride(from: 1, to: 60, by: 2) { spool.settle(batches[index].frames) }
        let again = try Spool(disk).readAll()
        #expect(again == stride(from: 0, to: 60, by: 2).map(Self.text))
    }

    @Test(
        "What is corrupt at the end of the old section is counted when it is read to its end, and once",
        arguments: 1...3)
    func corruptEnd(frames: Int) throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try Self.append(0..<6, to: spool)
        #expect(spool.beginSection())
        try Self.append(6..<9, to: spool)
        let name = disk.segmentNames[0]
        let count = disk.files[name]?.count ?? 0
        try disk.open(name).write([UInt8](repeating: 0xAA, count: frames * 42), at: count - frames * 42)
        let new = try Self.read(spool, .newest)
        #expect(spool.statistics.corruptFrames == 0, "what another reader is to read is no gap")
        let old = try Self.read(spool, .oldest)
        #expect(old.texts == Self.texts(0..<6 - frames))
        #expect(try spool.readAll() == [])
        #expect(spool.statistics.corruptFrames == UInt64(frames))
        #expect(spool.waiting.backlog == nil)
        for batch in [new, old] { spool.settle(batch.frames) }
        #expect(spool.statistics.droppedSpans == ["corrupt": UInt64(frames)])
        #expect(spool.statistics.spans == 0 && spool.isBalanced)
    }

    @Test("When the whole old section is evicted, the new one is read on, once")
    func evicted() throws {
        let options = SpoolOptions.small(
            maxBytes: SpoolState.overheadBytes + 1000, segmentBytes: 200, whenFull: .dropOldest)
        let spool = try Spool(MemoryFileSystem(), options)
        try Self.append(0..<10, to: spool)
        let held = try Self.read(spool, .oldest, frames: 1)
        #expect(spool.beginSection())
        try Self.append(10..<12, to: spool)
        let new = try Self.read(spool, .newest, frames: 1)
        #expect(new.texts == Self.texts(10..<11))
        try Self.append(12..<27, to: spool)
        #expect(spool.statistics.droppedSpans["evicted"] ?? 0 >= 10)
        let rest = try Self.read(spool, .oldest)
        #expect(rest.texts.last == Self.text(26) && !rest.texts.contains(Self.text(10)))
        #expect(rest.texts == Self.texts(27 - rest.texts.count..<27), "whatever is left")
        #expect(spool.waiting.backlog == nil)
        try Self.finish(spool, [held, new, rest])
    }

    @Test("What expires is dropped in both, and not taken for corrupt")
    func expired() throws {
        let clock = TestClock()
        let spool = try Spool(MemoryFileSystem(), .small(segmentBytes: 130, maxAgeSeconds: 60), clock)
        try Self.append(0..<5, to: spool)
        clock.advance(seconds: 30)
        try Self.append(5..<6, to: spool)
        #expect(spool.beginSection())
        try Self.append(6..<9, to: spool)
        clock.advance(seconds: 40)
        spool.dropExpired()
        let old = try Self.read(spool, .oldest)
        #expect(old.texts == Self.texts(5..<6))
        clock.advance(seconds: 30)
        try Self.append(9..<10, to: spool)
        #expect(try Self.read(spool, .newest).texts == Self.texts(9..<10))
        #expect(spool.statistics.droppedSpans == ["expired": 8])
        #expect(spool.statistics.corruptFrames == 0 && spool.isBalanced)
    }

    @Test("A file of the old section that can't be read keeps only the old section waiting", arguments: [0, 1, 2])
    func unreadable(bad: Int) throws {
        let disk = MemoryFileSystem()
        // Three frames a file.
        let spool = try Spool(disk, .small(segmentBytes: SegmentHeader.count + 3 * 42))
        try Self.append(0..<9, to: spool)
        #expect(spool.beginSection())
        try Self.append(9..<12, to: spool)
        disk.spoil(disk.segmentNames[bad], from: 0)
        var old: [SpoolBatch] = []
        var new: [SpoolBatch] = []
        var failures = 0
        for _ in 0..<20 {
            do {
                let batch = try Self.read(spool, .oldest, frames: 3)
                if !batch.isEmpty { old.append(batch) }
            } catch {
                failures += 1
            }
            new.append(try Self.read(spool, .newest, frames: 1))
        }
        #expect(failures == SpoolReaders.maxTries, "the other reader's success is no success of this one")
        #expect(old.flatMap(\.texts) == Self.texts(0..<bad * 3) + Self.texts(bad * 3 + 3..<9))
        #expect(new.flatMap(\.texts) == Self.texts(9..<12))
        #expect(spool.statistics.droppedSpans == ["unreadable": 3])
        try Self.finish(spool, old + new)
        // The next start gets at it again.
        disk.spoil(disk.segmentNames[0], from: nil)
        #expect(try Spool(disk).readAll() == Self.texts(bad * 3..<bad * 3 + 3))
    }

    @Test("With sync always, a section is not over before its last frames are on the disk")
    func unpublished() throws {
        let spool = try Spool(MemoryFileSystem(), .small(sync: .always))
        try spool.append("first")
        #expect(spool.syncOnce())
        try spool.append("second")
        #expect(spool.beginSection())
        try spool.append("third")
        let old = try Self.read(spool, .oldest)
        #expect(old.texts == ["first"])
        #expect(try Self.read(spool, .oldest).isEmpty)
        #expect(try Self.read(spool, .newest).isEmpty)
        #expect(spool.waiting.backlog != nil, "the second one is still to be read")
        #expect(spool.syncOnce())
        let new = try Self.read(spool, .newest)
        #expect(new.texts == ["third"])
        let last = try Self.read(spool, .oldest)
        #expect(last.texts == ["second"])
        try Self.finish(spool, [old, new, last])
    }

    @Test("Nothing of the unread is older than the spool says, and it says nothing much older")
    func age() throws {
        let clock = TestClock()
        let spool = try Spool(MemoryFileSystem(), .small(), clock)
        let start = clock.clock.monotonic()
        for index in 0..<10 {
            try spool.append(Self.text(index))
            clock.advance(seconds: 1)
        }
        #expect(spool.unread.oldest == start)
        _ = try Self.read(spool, .newest, frames: 4)
        #expect(spool.unread.oldest == start.advanced(by: .seconds(3)), "as the last one read")
        _ = try Self.read(spool, .newest)
        clock.advance(seconds: 100)
        try spool.append("late")
        #expect(spool.unread.oldest == clock.clock.monotonic())
    }

    @Test("What is left after a read waits since that read, and all of it is gone with the last")
    func waitsSince() throws {
        let clock = TestClock()
        let spool = try Spool(MemoryFileSystem(), .small(), clock)
        let start = clock.clock.monotonic()
        for index in 0..<3 {
            try spool.append(Self.text(index))
            clock.advance(seconds: 1)
        }
        #expect(spool.unread.since == start)
        _ = try Self.read(spool, .newest, frames: 1)
        #expect(spool.unread.since == start.advanced(by: .seconds(3)))
        _ = try Self.read(spool, .newest)
        #expect(spool.unread.since == nil)
    }

    @Test(
        "Files that go while older ones stay are not taken for lost after a power cut",
        arguments: 1...20 as ClosedRange<UInt64>)
    func powerCut(seed: UInt64) throws {
        let disk = PowerLossDisk(seed: seed)
        let options = SpoolOptions.small(segmentBytes: 100, sync: .interval(.nanoseconds(1)))
        let spool = try Spool(disk, options)
        try Self.append(0..<4, to: spool)
        #expect(spool.beginSection())
        try Self.append(4..<12, to: spool)
        #expect(spool.syncOnce())
        spool.settle(try Self.read(spool, .newest, frames: 6).frames)
        #expect(spool.syncOnce())
        disk.cutPower()
        let reopened = try Spool(disk, options)
        let batch = try reopened.readWhole()
        #expect(batch.texts == Self.texts(0..<4) + Self.texts(10..<12))
        try Self.finish(reopened, [batch])
    }
}
