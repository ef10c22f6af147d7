import Model
import TestSupport
import Testing

@testable import Spool

@Suite("Appending, reading, settling")
struct AppendAndReadTests {
    @Test("What is appended is read back in order, byte for byte")
    func order() throws {
        let spool = try Spool(MemoryFileSystem())
        for index in 0..<100 { try spool.append("payload \(index)") }
        #expect(try spool.readAll() == (0..<100).map { "payload \($0)" })
        #expect(try spool.readBatch(maxBytes: 100, maxSpans: 1).isEmpty)
    }

    @Test("An empty payload is a frame like any other")
    func emptyPayload() throws {
        let spool = try Spool(MemoryFileSystem())
        try spool.append("", spans: 3)
        let batch = try spool.readBatch(maxBytes: 100, maxSpans: 100)
        #expect(batch.texts == [""])
        #expect(batch.spanCount == 3)
        spool.settle(batch.frames)
        #expect(spool.statistics.spans == 0)
    }

    @Test("A batch keeps to its limits of bytes and of spans")
    func limits() throws {
        let spool = try Spool(MemoryFileSystem())
        for _ in 0..<10 { try spool.append("0123456789", spans: 4) }
        #expect(try spool.readBatch(maxBytes: 35, maxSpans: 100).frames.count == 3)
        #expect(try spool.readBatch(maxBytes: 1000, maxSpans: 9).frames.count == 2)
        #expect(try spool.readBatch(maxBytes: 20, maxSpans: 8).frames.count == 2)
        #expect(try spool.readBatch(maxBytes: 1000, maxSpans: 100).frames.count == 3)
    }

    @Test("A frame larger than both limits comes alone")
    func largeFrame() throws {
        let spool = try Spool(MemoryFileSystem())
        try spool.append("small")
        try spool.append([UInt8](repeating: 7, count: 5000), spans: 500)
        try spool.append("next")
        #expect(try spool.readBatch(maxBytes: 100, maxSpans: 10).texts == ["small"])
        #expect(try spool.readBatch(maxBytes: 100, maxSpans: 10).bytes == [UInt8](repeating: 7, count: 5000))
        #expect(try spool.readBatch(maxBytes: 100, maxSpans: 10).texts == ["next"])
    }

    @Test("The largest limits a configuration can name do not overflow, even over bytes that are no frames")
    func hugeLimits() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("lost")
        try spool.append("found")
        var files = disk.files
        for name in disk.segmentNames { files[name]?[SegmentHeader.count + 1] ^= 1 }
        disk.files = files
        let reopened = try Spool(disk)
        for _ in 0..<2 { _ = try reopened.readBatch(maxBytes: .max, maxSpans: .max) }
        #expect(reopened.isBalanced)
    }

    @Test("Frames are deleted only when they are settled, in whatever order the answers come")
    func outOfOrder() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 200))
        for index in 0..<20 { try spool.append("payload \(index) of this test") }
        var batches: [SpoolBatch] = []
        while true {
            let batch = try spool.readBatch(maxBytes: 60, maxSpans: 100)
            if batch.isEmpty { break }
            batches.append(batch)
        }
        let files = disk.segmentNames.count
        #expect(files > 4)
        for batch in batches.dropFirst().reversed() { spool.settle(batch.frames) }
        #expect(disk.segmentNames.count == 2, "the first is not settled, the last is written to")
        #expect(try Spool(MemoryFileSystem(disk.files)).readAll() == batches[0].texts)
        spool.settle(batches[0].frames)
        #expect(disk.segmentNames.count == 1)
        #expect(spool.statistics.deliveredSpans == 20)
        #expect(try Spool(disk).readAll() == [])
    }

    @Test("What is settled is not read again after a restart; what was only read is")
    func restart() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        for index in 0..<6 { try spool.append("\(index)", spans: 2) }
        let first = try spool.readBatch(maxBytes: 2, maxSpans: 100)
        let second = try spool.readBatch(maxBytes: 2, maxSpans: 100)
        spool.settle(second.frames)
        #expect(first.texts == ["0", "1"])
        let reopened = try Spool(disk)
        #expect(reopened.statistics.recoveredSpans == 8)
        #expect(reopened.unread.spans == 8)
        #expect(try reopened.readAll() == ["0", "1", "4", "5"])
    }

    @Test("An append after a restart goes behind what was recovered, and both are read")
    func appendAfterRestart() throws {
        let disk = MemoryFileSystem()
        try Spool(disk).append("before")
        let reopened = try Spool(disk)
        try reopened.append("after")
        #expect(try reopened.readAll() == ["before", "after"])
        #expect(disk.segmentNames.count == 2)
    }

    @Test("Rejected spans of a batch count as dropped, the others as delivered")
    func rejected() throws {
        let spool = try Spool(MemoryFileSystem())
        try spool.append("x", spans: 10)
        let batch = try spool.readWhole()
        #expect(spool.settle(batch.frames, dropping: (spans: 3, reason: "rejected")) == 10)
        #expect(spool.statistics.deliveredSpans == 7)
        #expect(spool.statistics.droppedSpans == ["rejected": 3])
    }

    @Test(
        "More rejected spans than the batch has, or a negative number, do not unbalance the books", arguments: [99, -5])
    func impossibleRejection(spans: Int) throws {
        let spool = try Spool(MemoryFileSystem())
        try spool.append("x", spans: 10)
        spool.settle(try spool.readWhole().frames, dropping: (spans: spans, reason: "rejected"))
        #expect(spool.isBalanced)
        #expect(spool.statistics.spans == 0)
    }

    @Test("A payload that no reader would take back is refused by the append")
    func oversized() throws {
        let spool = try Spool(MemoryFileSystem(), .small(maxBytes: 8 << 30))
        var byte: UInt8 = 0
        withUnsafeBytes(of: &byte) { one in
            // Never touched: the size alone is refused.
            let bytes = UnsafeRawBufferPointer(start: one.baseAddress, count: FrameHeader.maxPayload + 1)
            #expect(throws: SpoolError.self) { try spool.append(bytes, spanCount: 1) }
        }
    }

    @Test("The age of the oldest span is that of the oldest one that is not settled")
    func oldestAge() throws {
        let clock = TestClock()
        let spool = try Spool(MemoryFileSystem(), .small(), clock)
        for index in 0..<3 {
            try spool.append("\(index)")
            clock.advance(seconds: 10)
        }
        let batches = try (0..<3).map { _ in try spool.readBatch(maxBytes: 1, maxSpans: 100) }
        spool.settle(batches[1].frames)
        #expect(spool.statistics.oldestAge == .seconds(30))
        spool.settle(batches[0].frames)
        let age = try #require(spool.statistics.oldestAge)
        #expect((.seconds(10)...Duration.seconds(30)).contains(age), "nothing unsettled is older")
        spool.settle(batches[2].frames)
        #expect(spool.statistics.oldestAge == nil)
    }

    @Test("After close, an append is refused")
    func closed() throws {
        let spool = try Spool(MemoryFileSystem())
        spool.close()
        #expect(throws: SpoolError.self) { try spool.append("late") }
    }
}
