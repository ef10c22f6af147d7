import Testing

@testable import Spool

@Suite("Bytes that go bad while the spool is open")
struct LiveCorruptionTests {
    private static func damage(_ disk: MemoryFileSystem, frame index: Int, payloadCount: Int) throws {
        let node = try #require(disk.segmentNames.first)
        let file = try disk.open(node)
        let offset = SegmentHeader.count + index * (FrameHeader.count + payloadCount) + FrameHeader.count
        let byte = try file.read(1, at: offset)
        try file.write(byte.map { $0 ^ 1 }, at: offset)
    }

    @Test("A frame that no longer checks is dropped as corrupt, the others are delivered", arguments: 0..<6)
    func oneFrame(index: Int) throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        for number in 0..<6 { try spool.append("payload \(number)", spans: 2) }
        try Self.damage(disk, frame: index, payloadCount: 9)
        let batch = try spool.readWhole()
        #expect(batch.texts == (0..<6).filter { $0 != index }.map { "payload \($0)" })
        spool.settle(batch.frames)
        #expect(spool.isBalanced)
        // The next frame behind it tells that one is missing.
        try spool.append("next", spans: 2)
        spool.settle(try spool.readWhole().frames)
        #expect(spool.statistics.deliveredSpans == 12)
        #expect(spool.statistics.droppedSpans == ["corrupt": 2])
        #expect(spool.statistics.corruptFrames == 1)
        #expect(spool.statistics.spans == 0)
        #expect(spool.unread.since == nil)
    }

    @Test("A corrupt large frame at the end of a segment is stepped over")
    func largeFrame() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 4000))
        try spool.append(String(repeating: "x", count: 3900))
        try spool.append("behind")
        try Self.damage(disk, frame: 0, payloadCount: 3900)
        let batch = try spool.readBatch(maxBytes: 10, maxSpans: 10)
        #expect(batch.texts == ["behind"])
        spool.settle(batch.frames)
        #expect(spool.statistics.spans == 0)
        #expect(spool.isBalanced)
    }

    @Test("A file cut short from outside ends the read, not the program")
    func cutShort() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        for number in 0..<6 { try spool.append("payload \(number)") }
        try disk.open(disk.segmentNames[0]).truncate(to: 100)
        #expect(try spool.readAll() == ["payload 0"])
        #expect(try spool.readAll() == [])
    }
}
