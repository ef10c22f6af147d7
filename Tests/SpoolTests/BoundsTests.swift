import Model
import Synchronization
import TestSupport
import Testing

@testable import Spool

@Suite("Bounds: bytes and age")
struct BoundsTests {
    private static let payload = String(repeating: "x", count: 1000)

    @Test("A full spool refuses, and takes again when something was settled")
    func refuse() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(maxBytes: 20_000, segmentBytes: 2500))
        var appended = 0
        while true {
            do {
                try spool.append(Self.payload)
                appended += 1
            } catch {
                break
            }
        }
        #expect(appended > 8)
        #expect(disk.totalBytes <= 20_000)
        let batch = try spool.readBatch(maxBytes: 4000, maxSpans: 100)
        spool.settle(batch.frames)
        try spool.append(Self.payload)
        #expect(spool.isBalanced)
    }

    @Test("A frame may take the last byte of the space, and is refused where one is missing")
    func lastByte() throws {
        func spool(_ maxBytes: Int = 1 << 20) throws -> Spool {
            let spool = try Spool(MemoryFileSystem(), .small(maxBytes: maxBytes, segmentBytes: 2500))
            try spool.append(Self.payload)
            return spool
        }
        let taken = try spool().state.withLock { $0.bytesOnDisk }
        // Space is asked for a segment of its own.
        let needed = SegmentHeader.count + FrameHeader.count + Self.payload.utf8.count
        let exact = try spool(taken + needed)
        try exact.append(Self.payload)
        #expect(try exact.readAll().count == 2)
        let short = try spool(taken + needed - 1)
        #expect(throws: SpoolError.self) { try short.append(Self.payload) }
        #expect(try short.readAll().count == 1)
    }

    @Test("A refusal for want of space is no failure of the disk")
    func refusalIsNoFailure() throws {
        let spool = try Spool(MemoryFileSystem(), .small(maxBytes: 12_000, segmentBytes: 2500))
        for _ in 0..<10 { try? spool.append(Self.payload) }
        #expect(spool.statistics.errors == 0)
        #expect(spool.statistics.lastFailure == nil)
    }

    @Test("A large segment in which everything is settled does not block the next append for ever")
    func settledLastSegment() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(maxBytes: 20_000, segmentBytes: 2500))
        try spool.append(String(repeating: "x", count: 9000))
        spool.settle(try spool.readWhole().frames)
        try spool.append(String(repeating: "y", count: 9000))
        #expect(try spool.readAll() == [String(repeating: "y", count: 9000)])
        #expect(disk.totalBytes <= 20_000)
    }

    @Test("Drop-oldest makes space, counts what it dropped and keeps the newest")
    func dropOldest() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(maxBytes: 20_000, segmentBytes: 2500, whenFull: .dropOldest))
        for index in 0..<100 {
            try spool.append("\(index) " + Self.payload, spans: 3)
            #expect(disk.totalBytes <= 20_000)
            #expect(spool.isBalanced)
        }
        let kept = try spool.readWhole()
        #expect(kept.texts.last?.hasPrefix("99 ") == true)
        #expect(kept.spanCount == spool.statistics.spans)
        #expect(spool.statistics.droppedSpans == ["evicted": UInt64(300 - kept.spanCount)])
        #expect(spool.statistics.corruptFrames == 0, "what was evicted on purpose is not corrupt")
    }

    @Test("A batch in flight whose segment was dropped is settled without being counted again")
    func evictedInFlight() throws {
        let spool = try Spool(
            MemoryFileSystem(), .small(maxBytes: 20_000, segmentBytes: 2500, whenFull: .dropOldest))
        try spool.append("in flight", spans: 5)
        let batch = try spool.readWhole()
        for _ in 0..<40 { try spool.append(Self.payload) }
        #expect(spool.settle(batch.frames) == 0)
        #expect(spool.statistics.deliveredSpans == 0)
        #expect(spool.isBalanced)
    }

    @Test("A frame larger than the whole spool is refused as such, and drops nothing")
    func frameTooLarge() throws {
        let spool = try Spool(MemoryFileSystem(), .small(maxBytes: 20_000, whenFull: .dropOldest))
        try spool.append("kept")
        do {
            try spool.append([UInt8](repeating: 0, count: 20_000))
            Issue.record("accepted")
        } catch {
            guard case SpoolError.frameTooLarge = error else {
                Issue.record("\(error)")
                return
            }
        }
        #expect(spool.statistics.spans == 1)
    }

    @Test(
        "The largest frame has the whole spool but for its bookkeeping; with one byte more it is too large, not the spool full",
        arguments: [SpoolWhenFull.refuse, .dropOldest])
    func largestFrame(whenFull: SpoolWhenFull) throws {
        func failure(_ bytes: Int) throws -> SpoolError? {
            let spool = try Spool(MemoryFileSystem(), .small(maxBytes: 20_000, whenFull: whenFull))
            do {
                try spool.append([UInt8](repeating: 0, count: bytes))
                return nil
            } catch let error as SpoolError {
                return error
            }
        }
        let largest = 20_000 - SpoolState.overheadBytes - SegmentHeader.count - FrameHeader.count
        #expect(try failure(largest) == nil)
        for bytes in [largest + 1, 20_000 - SegmentHeader.count - FrameHeader.count, 20_000] {
            guard case .frameTooLarge(let frame, let capacity)? = try failure(bytes) else {
                Issue.record("\(bytes) bytes: another error, or none")
                continue
            }
            #expect(frame == bytes + FrameHeader.count && capacity == 20_000)
        }
    }

    @Test("A segment is filled to its last byte, and one that would grow over that is closed")
    func fullSegment() throws {
        let frame = FrameHeader.count + 100
        for (missing, segments) in [(0, 1), (1, 2), (-1, 1)] {
            let disk = MemoryFileSystem()
            let bytes = SegmentHeader.count + 3 * frame - missing
            let spool = try Spool(disk, .small(segmentBytes: bytes))
            for _ in 0..<3 { try spool.append([UInt8](repeating: 0, count: 100)) }
            #expect(disk.segmentNames.count == segments, "\(missing) bytes are missing")
        }
    }

    @Test("Frames older than max-age are dropped by whole segments, settled ones without being counted")
    func expiry() throws {
        let clock = TestClock()
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 2500, maxAgeSeconds: 60), clock)
        for _ in 0..<4 { try spool.append(Self.payload, spans: 2) }
        spool.settle(try spool.readBatch(maxBytes: 1000, maxSpans: 100).frames)
        clock.advance(seconds: 61)
        try spool.append("young", spans: 2)
        spool.dropExpired()
        #expect(spool.statistics.droppedSpans == ["expired": 6] || spool.statistics.droppedSpans == ["expired": 2])
        #expect(spool.isBalanced)
        #expect(try spool.readAll().last == "young")
        clock.advance(seconds: 61)
        spool.dropExpired()
        #expect(spool.statistics.spans == 0)
        #expect(spool.statistics.droppedSpans == ["expired": 8])
        #expect(try Spool(disk).statistics.recoveredSpans == 0)
    }

    @Test("A frame older than max-age is not sent, though it lies in a segment with young ones")
    func exactExpiry() throws {
        let clock = TestClock()
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(maxAgeSeconds: 60), clock)
        for index in 0..<6 {
            try spool.append("\(index)", spans: 2)
            clock.advance(seconds: 20)
        }
        let batch = try spool.readBatch(maxBytes: 100, maxSpans: 100)
        #expect(batch.texts == ["3", "4", "5"], "the fourth is exactly as old as it may be")
        #expect(spool.statistics.droppedSpans == ["expired": 6])
        #expect(spool.statistics.spans == 6)
        #expect(spool.isBalanced)
        #expect(try Spool(disk).readAll() == ["3", "4", "5"], "what was dropped stays dropped")
        spool.settle(batch.frames)
        #expect(spool.isBalanced)
    }

    @Test("When all that waits has expired, a read finds nothing, and the segments go")
    func allExpired() throws {
        let clock = TestClock()
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 200, maxAgeSeconds: 60), clock)
        for index in 0..<20 { try spool.append("payload number \(index)", spans: 2) }
        clock.advance(seconds: 61)
        #expect(try spool.readBatch(maxBytes: 50, maxSpans: 10).isEmpty)
        #expect(spool.unread.since == nil && spool.unread.spans == 0)
        #expect(spool.statistics.droppedSpans == ["expired": 40])
        #expect(disk.segmentNames.count == 1)
        try spool.append("young")
        #expect(try spool.readAll() == ["young"])
    }

    @Test("A batch that waits to be sent again loses what has become too old")
    func expiredInFlight() throws {
        let clock = TestClock()
        let spool = try Spool(MemoryFileSystem(), .small(maxAgeSeconds: 60), clock)
        for index in 0..<4 {
            try spool.append("\(index)", spans: 2)
            clock.advance(seconds: 20)
        }
        let batch = try spool.readWhole()
        #expect(batch.texts == ["1", "2", "3"])
        clock.advance(seconds: 20)
        let young = try spool.read(.frames(batch.frames))
        #expect(young.texts == ["2", "3"] && young.spanCount == 4)
        #expect(spool.statistics.droppedSpans == ["expired": 4])
        #expect(spool.isBalanced)
        #expect(spool.settle(young.frames) == 4)
        #expect(spool.statistics.spans == 0)
        #expect(spool.isBalanced)
    }

    @Test("A clock that was set back expires nothing")
    func clockSetBack() throws {
        let clock = TestClock()
        let spool = try Spool(MemoryFileSystem(), .small(maxAgeSeconds: 60), clock)
        try spool.append("x")
        clock.set(WallTime(seconds: clock.now.wholeSeconds - 100_000))
        spool.dropExpired()
        #expect(spool.statistics.spans == 1)
    }

    @Test("An append works after everything was dropped by age, and after a restart")
    func appendAfterExpiry() throws {
        let clock = TestClock()
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(maxAgeSeconds: 60), clock)
        try spool.append("old")
        clock.advance(seconds: 100)
        spool.dropExpired()
        try spool.append("new")
        #expect(try spool.readAll() == ["new"])
        #expect(try Spool(disk).readAll() == ["new"])
    }
}
