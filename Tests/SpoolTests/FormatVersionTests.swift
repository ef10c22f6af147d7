import Glibc
import Platform
import Testing

@testable import Spool

/// Tests/Fixtures/spool-version-1 was written by the last program that wrote version 1, killed twice: frames 1 to 4 and
/// 5 to 6, two spans each, the first one settled.
@Suite("A spool of format version 1")
struct FormatVersionTests {
    private static let folder =
        #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined()
        + "/Fixtures/spool-version-1"
    private static let first = SegmentHeader.fileName(firstSequence: 1)
    private static let second = SegmentHeader.fileName(firstSequence: 5)

    private static func files() throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in [Checkpoint.fileName, first, second] { files[name] = try Files.read(folder + "/" + name) }
        return files
    }

    @Test("Is read whole; what is appended goes into segments of version 2 beside it, over restarts")
    func read() throws {
        let disk = MemoryFileSystem(try Self.files())
        let spool = try Spool(disk)
        #expect(spool.statistics.recoveredSpans == 10)
        try spool.append("new", spans: 2)
        for opened in [spool, try Spool(disk)] {
            let batch = try opened.readWhole()
            #expect(batch.frames.map(\.sequence) == Array(2...7))
            #expect(batch.frames.dropLast().allSatisfy { $0.payloadBytes > 170 })
            #expect(batch.texts.last == "new")
        }
        let versions = disk.segmentNames.map { SegmentHeader(of: disk.files[$0] ?? [])?.version }
        #expect(versions == [1, 1, 2])
        let last = try Spool(disk)
        last.settle(try last.readWhole().frames)
        #expect(last.statistics.deliveredSpans == 12)
        #expect(try Spool(disk).statistics.recoveredSpans == 0)
    }

    @Test("A torn tail and a damaged frame cost what they cost there")
    func damaged() throws {
        var files = try Self.files()
        files[Self.first]?[40 + 2 * 206 + 100] ^= 1
        files[Self.second]?.removeLast()
        let spool = try Spool(MemoryFileSystem(files))
        #expect(try spool.readWhole().frames.map(\.sequence) == [2, 4, 5])
        #expect(spool.statistics.corruptFrames == 1)
        #expect(spool.isBalanced)
    }

    @Test("A segment without its header is read, as long as nothing of version 2 was written")
    func missingHeader() throws {
        var files = try Self.files()
        files[Self.first]?.replaceSubrange(0..<40, with: [UInt8](repeating: 0, count: 40))
        #expect(try Spool(MemoryFileSystem(files)).readWhole().frames.map(\.sequence) == Array(2...6))
    }
}

/// Tests/Fixtures/spool-checkpoint-1 was written by the last program whose checkpoint had slots of 512 bytes, and ended
/// cleanly while requests 2, 4 and 6, of two spans each, waited to be sent again. So did three spans of the ten of request 11,
/// which that program wrote as a request of its own.
@Suite("A checkpoint from before there were spans in it")
struct CheckpointVersionTests {
    private static let folder =
        #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined()
        + "/Fixtures/spool-checkpoint-1"

    private static func files() throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in [Checkpoint.fileName, SegmentHeader.fileName(firstSequence: 1)] {
            files[name] = try Files.read(folder + "/" + name)
        }
        return files
    }

    @Test(
        "What it says is settled is not sent again, and the next settlement replaces one of its slots, then the other")
    func read() throws {
        let disk = MemoryFileSystem(try Self.files())
        let spool = try Spool(disk)
        #expect(spool.statistics.recoveredSpans == 9)
        let frames = try spool.readWhole().frames
        #expect(frames.map(\.sequence) == [2, 4, 6, 12] && frames.map(\.spanCount) == [2, 2, 2, 3])
        for settled in 1...3 {
            spool.settle([frames[settled - 1]])
            let next = try Spool(MemoryFileSystem(disk.files))
            #expect(try next.readWhole().frames == Array(frames.dropFirst(settled)))
        }
        spool.settle([frames[3]])
        #expect(spool.isBalanced && spool.statistics.spans == 0)
        #expect(try Spool(disk).statistics.recoveredSpans == 0)
    }

    @Test("A first write that is torn leaves the old slots", arguments: [0, 1, 60, 75])
    func torn(kept: Int) throws {
        let disk = MemoryFileSystem(try Self.files())
        let spool = try Spool(disk)
        let frames = try spool.readWhole().frames
        disk.inject(Fault(operation: .write, namePrefix: Checkpoint.fileName, keptBytes: kept))
        spool.settle([frames[0]])
        #expect(try Spool(disk).readWhole().frames == frames)
    }

    @Test("A slot that was too long for the first places does not outlive the short ones that follow")
    func longSlot() throws {
        let disk = MemoryFileSystem()
        var checkpoint = Checkpoint(try disk.open(Checkpoint.fileName))
        let key = FrameKey.random()
        func settled(holes: UInt64, below: UInt64) -> SettledFrames {
            let ranges = (0..<holes).map { below + 2 * $0 + 1...below + 2 * $0 + 1 }
            return SettledFrames(sequences: SettledNumbers(below: below, ranges: ranges))
        }
        for holes in [UInt64(3499), 3499, 1, 1] {
            try checkpoint.store(settled(holes: holes, below: 10), key: key)
            #expect(checkpoint.fileBytes == disk.files[Checkpoint.fileName]?.count)
        }
        #expect(checkpoint.fileBytes < 8192, "and takes no space any more")
        var next = Checkpoint(try disk.open(Checkpoint.fileName))
        #expect(try next.load()?.settled == settled(holes: 1, below: 10))
    }

    @Test("Of a file that is cut between two short slots, the newest that is whole counts", arguments: 1...6)
    func shortAfterLong(stores: Int) throws {
        let disk = MemoryFileSystem()
        var checkpoint = Checkpoint(try disk.open(Checkpoint.fileName))
        let key = FrameKey.random()
        let long = (0..<UInt64(1000)).map { 2 * $0 + 101...2 * $0 + 101 }
        try checkpoint.store(SettledFrames(sequences: SettledNumbers(below: 1, ranges: long)), key: key)
        for below in 2..<UInt64(stores + 2) {
            try checkpoint.store(SettledFrames(below: below), key: key)
            var next = Checkpoint(try disk.open(Checkpoint.fileName))
            #expect(try next.load()?.settled == SettledFrames(below: below))
        }
    }
}
