import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Spool

/// What is sent again is read again: `read` of an address, some time after the frames were read for the first time.
@Suite("Reading again")
struct RereadingTests {
    private static func text(_ index: Int) -> String { "payload \(index)" + String(repeating: ".", count: index) }

    private static func make(
        _ disk: MemoryFileSystem, _ options: SpoolOptions = .small(segmentBytes: 200), frames: Int = 12,
        _ clock: TestClock = TestClock()
    ) throws -> (spool: Spool, frames: [SpoolFrame]) {
        let spool = try Spool(disk, options, clock)
        for index in 0..<frames { try spool.append(text(index), spans: 2) }
        return (spool, try spool.readWhole().frames)
    }

    @Test("Gives the same payloads, whatever stands between them, and opens no file for good")
    func same() throws {
        let disk = MemoryFileSystem()
        let (spool, frames) = try Self.make(disk)
        #expect(disk.segmentNames.count > 2)
        for indices in [[0], [11], Array(0..<12), [1, 2, 5, 9, 10]] {
            let batch = try spool.read(.frames(indices.map { frames[$0] }))
            #expect(batch.texts == indices.map(Self.text))
            #expect(batch.frames == indices.map { frames[$0] } && batch.spanCount == 2 * indices.count)
        }
        #expect(try spool.read(.spans(0..<1, of: frames[3])).texts == [Self.text(3)], "the whole, to be divided")
        #expect(spool.state.withLock { state in state.segments.count { $0.file != nil } } == 1)
        #expect(spool.isBalanced && spool.statistics.spans == 24)
    }

    @Test("What was settled or evicted meanwhile needs no sending, and is counted once")
    func gone() throws {
        let options = SpoolOptions.small(
            maxBytes: SpoolState.overheadBytes + 900, segmentBytes: 200, whenFull: .dropOldest)
        let (spool, frames) = try Self.make(MemoryFileSystem(), options)
        spool.settle([frames[10]])
        for index in 12..<16 { try spool.append(Self.text(index), spans: 2) }
        let evicted = Int(spool.statistics.droppedSpans["evicted"] ?? 0) / 2
        #expect((1..<10).contains(evicted))
        let batch = try spool.read(.frames(frames))
        #expect(batch.texts == (evicted..<12).filter { $0 != 10 }.map(Self.text))
        #expect(try spool.read(.frames([frames[0], frames[10]])).isEmpty)
        #expect(try spool.read(.spans(0..<1, of: frames[0])).isEmpty)
        #expect(spool.settle(frames) == 2 * batch.frames.count)
        #expect(spool.statistics.spans == 8 && spool.isBalanced)
    }

    @Test("A frame whose bytes went bad is dropped as corrupt, the others are given", arguments: 0..<12)
    func corrupt(index: Int) throws {
        let disk = MemoryFileSystem()
        let (spool, frames) = try Self.make(disk)
        let name = SegmentHeader.fileName(firstSequence: frames[index].segment)
        for offset in [frames[index].offset + 9, frames[index].end - 1] {
            let file = try disk.open(name)
            try file.write(try file.read(1, at: offset).map { $0 ^ 1 }, at: offset)
        }
        #expect(try spool.read(.frames(frames)).texts == (0..<12).filter { $0 != index }.map(Self.text))
        #expect(spool.statistics.droppedSpans == ["corrupt": 2] && spool.statistics.corruptFrames == 1)
        #expect(spool.settle(frames) == 22)
        #expect(spool.statistics.spans == 0 && spool.isBalanced)
    }

    @Test("A file cut short from outside drops what stood there, and nothing else")
    func cutShort() throws {
        let disk = MemoryFileSystem()
        let (spool, frames) = try Self.make(disk, .small())
        try disk.open(disk.segmentNames[0]).truncate(to: frames[4].end - 1)
        #expect(try spool.read(.frames(frames)).texts == (0..<4).map(Self.text))
        #expect(spool.statistics.droppedSpans == ["corrupt": 16] && spool.isBalanced)
    }

    @Test("A want of descriptors is waited out", arguments: [Fault.Operation.open, .read])
    func passing(operation: Fault.Operation) throws {
        let disk = MemoryFileSystem()
        let (spool, frames) = try Self.make(disk)
        disk.inject(Fault(operation: operation, namePrefix: "segment", code: EMFILE, times: 20))
        for _ in 0..<20 { #expect(throws: SpoolError.self) { try spool.read(.frames([frames[0]])) } }
        #expect(try spool.read(.frames(frames)).frames == frames)
        #expect(spool.statistics.errors == 20 && spool.statistics.droppedSpans.isEmpty)
    }

    @Test("A file that the disk does not give back goes into quarantine after some tries, from the bad place on")
    func quarantine() throws {
        let disk = MemoryFileSystem()
        // Two segments: eight frames, all read but the last ones.
        let spool = try Spool(disk, .small(segmentBytes: 250))
        for index in 0..<8 { try spool.append(Self.text(index), spans: 2) }
        let frames = try spool.readBatch(maxBytes: 1 << 20, maxSpans: 6).frames
        #expect(frames.count == 3 && disk.segmentNames.count == 2)
        disk.spoil(disk.segmentNames[0], from: frames[1].offset + 5)
        for _ in 0..<SpoolReaders.maxTries { #expect(throws: SpoolError.self) { try spool.read(.frames(frames)) } }
        let unread = frames[0].segment == frames[2].segment ? Int(spool.statistics.droppedSpans["unreadable"] ?? 0) : 0
        #expect(unread > 0 && spool.statistics.quarantinedSegments == 1 && spool.isBalanced)
        #expect(spool.settle(0..<1, of: frames[2]) == 1, "it was on its way")
        let batch = try spool.read(.frames(frames))
        #expect(batch.frames == [frames[0]], "what stands before the bad place is sent")
        #expect(Int(spool.statistics.droppedSpans["unreadable"] ?? 0) == unread + 3)
        #expect(spool.settle(1..<2, of: frames[2]) == 0, "it is off the books")
        spool.settle(batch.frames)
        spool.settle(try spool.readWhole().frames)
        #expect(spool.statistics.spans == 0 && spool.isBalanced)
        // The next start can read it, and sends what was not settled.
        disk.spoil(disk.segmentNames[0], from: nil)
        let next = try Spool(disk)
        let found = try next.readWhole()
        #expect(found.texts.first == Self.text(1) && !found.texts.contains(Self.text(0)))
        #expect(!found.texts.contains(Self.text(2)), "both halves were delivered")
        next.settle(found.frames)
        #expect(next.isBalanced)
    }

    @Test("A read that succeeds elsewhere in the file does not give the reader hope")
    func otherPlace() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small())
        for index in 0..<6 { try spool.append(Self.text(index), spans: 2) }
        let frames = try spool.readBatch(maxBytes: 1 << 20, maxSpans: 4).frames
        disk.spoil(disk.segmentNames[0], from: frames[1].end + 3)
        var failures = 0
        while spool.statistics.quarantinedSegments == 0 && failures < 20 {
            #expect(throws: SpoolError.self) { try spool.readBatch(maxBytes: 1 << 20, maxSpans: 100) }
            failures += 1
            #expect(try spool.read(.frames(frames)).frames == frames)
        }
        #expect(failures == SpoolReaders.maxTries)
        #expect(spool.statistics.droppedSpans == ["unreadable": 8])
        spool.settle(frames)
        #expect(spool.isBalanced)
    }
}
