import Glibc
import Model
import Platform
import TestSupport
import Testing

@testable import Spool

/// Files of a user who may write to the spool's directory, and so knows its key.
@Suite("Forged files of a spool")
struct HostileFilesTests {
    private static let key = FrameKey.random()
    private static let limit = FrameHeader.maxSequence

    private static func frame(_ sequence: UInt64, _ text: String = "forged", length: Int? = nil) -> [UInt8] {
        let payload = Array(text.utf8)
        var bytes = payload.withUnsafeBytes {
            FrameHeader.encode(
                sequence: sequence, time: WallTime(seconds: 1_800_000_000), spanCount: 1, payload: $0, key: key)
        }
        if let length {
            bytes.replaceSubrange(4..<8, with: withUnsafeBytes(of: UInt32(length).littleEndian, Array.init))
        }
        return bytes + payload
    }

    private static func segment(_ first: UInt64, _ frames: [UInt8]) -> [String: [UInt8]] {
        let header = SegmentHeader.encode(firstSequence: first, createdAt: WallTime(seconds: 1_800_000_000), key: key)
        return [SegmentHeader.fileName(firstSequence: first): header + frames]
    }

    private static func checkpoint(_ below: UInt64, _ ranges: [ClosedRange<UInt64>] = []) throws -> [String: [UInt8]] {
        let disk = MemoryFileSystem()
        var checkpoint = Checkpoint(try disk.open(Checkpoint.fileName))
        try checkpoint.store(
            SettledFrames(sequences: SettledNumbers(below: below, ranges: ranges), spans: [:]), key: key)
        return disk.files
    }

    private static let sequences: [UInt64] = [
        1 << 32, limit - (1 << 33), limit - 4, limit - 2, limit - 1, limit, limit + 1, limit + 5, limit << 1, 1 << 63,
        .max,
    ]

    @Test(
        "Whatever sequence a file claims, what is acknowledged after it is there after a restart", arguments: sequences)
    func acknowledgedStays(sequence: UInt64) throws {
        let files = [
            try Self.checkpoint(sequence), try Self.checkpoint(1, [5...max(5, sequence)]),
            Self.segment(1, Self.frame(1) + Self.frame(sequence)), Self.segment(sequence, Self.frame(sequence)),
            Self.segment(sequence, []),
        ]
        for files in files {
            let disk = MemoryFileSystem(files)
            let spool = try Spool(disk)
            let forged = try spool.readAll()
            var acknowledged: [String] = []
            for index in 0..<5 {
                do {
                    try spool.append("\(index)")
                    acknowledged.append("\(index)")
                } catch {
                    guard case SpoolError.sequencesUsedUp = error else { throw error }
                }
            }
            #expect(spool.isBalanced)
            #expect(spool.statistics.corruptFrames <= 1 << 32)
            let next = try Spool(disk)
            #expect(try next.readAll() == forged + acknowledged)
        }
    }

    @Test("A spool whose sequences are used up takes spans again once all were sent and it was started anew")
    func beginsAnew() throws {
        let disk = MemoryFileSystem(Self.segment(Self.limit, Self.frame(Self.limit)))
        let spool = try Spool(disk)
        #expect(throws: SpoolError.self) { try spool.append("refused") }
        spool.settle(try spool.readWhole().frames)
        let next = try Spool(disk)
        try next.append("taken")
        #expect(try Spool(disk).readAll() == ["taken"])
        #expect(try Spool(disk).statistics.recoveredSpans == 1)
    }

    @Test("A frame with a sequence that its file has no space for is stepped over, and counted as nothing lost")
    func noSpaceForSequence() throws {
        let spool = try Spool(
            MemoryFileSystem(Self.segment(1, Self.frame(1, "a") + Self.frame(1 << 40) + Self.frame(2, "b"))))
        #expect(try spool.readAll() == ["a", "b"])
        #expect(spool.statistics.corruptFrames == 0)
    }

    @Test("Forged heads of large frames cost a bounded time, and leave what stands before them and comes after")
    func floodOfHeads() throws {
        let head = Array(Self.frame(2, "", length: 4 << 20).prefix(FrameHeader.count))
        let flood = Array(repeating: head, count: (16 << 20) / FrameHeader.count).flatMap { $0 }
        let name = SegmentHeader.fileName(firstSequence: 1)
        let disk = MemoryFileSystem(Self.segment(1, Self.frame(1, "good") + flood))
        let start = Clock.system.monotonic()
        let spool = try Spool(disk, .small(maxBytes: 32 << 20))
        #expect(Clock.system.monotonic().seconds(since: start) < 20, "1 TB is summed up otherwise")
        #expect(spool.statistics.quarantinedSegments == 1)
        guard case .failing(let text, more: 0)? = spool.news else { throw SpoolError.closed }
        #expect(text.contains(name))
        #expect(try spool.readAll() == ["good"])
        try spool.append("after")
        #expect(try spool.readAll() == ["after"])
        #expect(disk.files[name]?.count == 48 + FrameHeader.count + 4 + flood.count, "nothing of it is deleted")
        #expect(try Spool(disk).readAll() == ["good", "after"])
    }

    @Test("Marks without a header behind them cost a bounded time, too")
    func floodOfMarks() throws {
        let mark = withUnsafeBytes(of: Self.key.mark.littleEndian, Array.init)
        let flood = Array(repeating: mark, count: 1 << 20).flatMap { $0 }
        let spool = try Spool(
            MemoryFileSystem(Self.segment(1, Self.frame(1, "good") + flood)), .small(maxBytes: 32 << 20))
        #expect(spool.statistics.quarantinedSegments == 1)
        #expect(try spool.readAll() == ["good"])
    }

    @Test("More gaps than the checkpoint has space for end in quarantine")
    func manyGaps() throws {
        // 64 bytes each, so that the file has space for every second sequence.
        let frames = (0..<3000).flatMap { Self.frame(1 + 2 * $0, String(repeating: "x", count: 32)) }
        let spool = try Spool(MemoryFileSystem(Self.segment(1, frames)))
        #expect(spool.statistics.quarantinedSegments == 1)
        #expect(spool.statistics.recoveredSpans == Checkpoint.maxRanges / 2)
        #expect(spool.isBalanced)
    }

    @Test("A checkpoint full of ranges crashes nothing")
    func fullCheckpoint() throws {
        let ranges = (0..<UInt64(Checkpoint.maxRanges)).map { 10 + 2 * $0...10 + 2 * $0 }
        let disk = MemoryFileSystem(try Self.checkpoint(1, ranges))
        let spool = try Spool(disk)
        try spool.append("x")
        spool.settle(try spool.readWhole().frames)
        #expect(spool.isBalanced)
    }

    @Test("A file that claims a terabyte is read no further than the spool may be large")
    func hugeFile() throws {
        let directory = try TemporaryDirectory()
        let name = SegmentHeader.fileName(firstSequence: 1)
        let fileSystem = try DiskFileSystem(directory: directory.path)
        let file = try fileSystem.open(name)
        try file.write(try #require(Self.segment(1, Self.frame(1, "good"))[name]), at: 0)
        try file.truncate(to: 1 << 40)
        let spool = try Spool(fileSystem)
        #expect(try spool.readAll() == ["good"])
        #expect(spool.statistics.bytes < 1 << 20, "holes take nothing on the disk")
        try spool.append("after")
        #expect(try spool.readAll() == ["after"])
    }
}

@Suite("Links in the directory of a spool")
struct SpoolLinkTests {
    private static let names = ["lock", Checkpoint.fileName, SegmentHeader.fileName(firstSequence: 1)]

    @Test(
        "A link in the place of a file stops the start, and what it leads to stays as it is", arguments: names,
        [true, false])
    func refused(name: String, isSymbolic: Bool) throws {
        let (victims, directory) = (try TemporaryDirectory(), try TemporaryDirectory())
        let victim = victims.path + "/victim"
        try Files.replace(victim, with: Array("precious".utf8))
        let made = isSymbolic ? symlink(victim, directory.path + "/" + name) : link(victim, directory.path + "/" + name)
        try #require(made == 0)
        do {
            let fileSystem = try DiskFileSystem(directory: directory.path)
            let lock = try SpoolDirectoryLock(directory: directory.path)
            _ = try Spool(fileSystem)
            withExtendedLifetime(lock) {}
            Issue.record("started")
        } catch {
            #expect("\(error)".contains(name))
        }
        #expect(try Files.read(victim) == Array("precious".utf8))
    }

    @Test("A file that is replaced whole goes to no link")
    func replaced() throws {
        let directory = try TemporaryDirectory()
        let (victim, path) = (directory.path + "/victim", directory.path + "/file")
        for isSymbolic in [true, false] {
            try Files.replace(victim, with: Array("precious".utf8))
            let temporary = path + Files.temporarySuffix
            try #require((isSymbolic ? symlink(victim, temporary) : link(victim, temporary)) == 0)
            try Files.replace(path, with: [1])
            #expect(try Files.read(victim) == Array("precious".utf8))
            #expect(try Files.read(path) == [1])
        }
    }

    @Test("A link in the place of a directory is none")
    func directories() throws {
        let directory = try TemporaryDirectory()
        try #require(symlink("/tmp", directory.path + "/refused") == 0)
        #expect(throws: SystemError.self) { try Files.requireDirectory(directory.path + "/refused") }
        try Files.requireDirectory(directory.path)
    }

    @Test(
        "A directory is weak where every user may write to it",
        arguments: [(0o750, false), (0o770, false), (0o777, true), (0o1777, true)] as [(UInt32, Bool)])
    func weakness(mode: UInt32, isWeak: Bool) throws {
        let directory = try TemporaryDirectory()
        chmod(directory.path, mode)
        #expect((try DiskFileSystem(directory: directory.path).weakness != nil) == isWeak)
    }
}

@Suite("The segment that is written to, changed by others")
struct ChangedSegmentTests {
    @Test(
        "What is appended after it was cut off, grew or was deleted is read, and is there after a restart",
        arguments: 0..<4)
    func noticed(change: Int) throws {
        let directory = try TemporaryDirectory()
        let spool = try Spool(DiskFileSystem(directory: directory.path))
        for index in 0..<5 { try spool.append("\(index)") }
        spool.settle(try spool.readWhole().frames)
        let path = directory.path + "/" + SegmentHeader.fileName(firstSequence: 1)
        let size = try Files.read(path).count
        switch change {
        case 0: try #require(truncate(path, 0) == 0)
        case 1: try #require(truncate(path, off_t(size - 10)) == 0)
        case 2: try #require(truncate(path, off_t(size + 1000)) == 0)
        default: try #require(unlink(path) == 0)
        }
        try spool.append("after")
        #expect(try spool.readAll() == ["after"])
        #expect(spool.statistics.errors == 1 && spool.news != nil)
        #expect(spool.isBalanced)
        #expect(try Spool(DiskFileSystem(directory: directory.path)).readAll() == ["after"])
    }

    @Test("Unread frames that were cut off are counted as dropped")
    func cutFrames() throws {
        let directory = try TemporaryDirectory()
        let spool = try Spool(DiskFileSystem(directory: directory.path))
        for index in 0..<5 { try spool.append("\(index)", spans: 3) }
        try #require(truncate(directory.path + "/" + SegmentHeader.fileName(firstSequence: 1), 0) == 0)
        try spool.append("after")
        #expect(try spool.readAll() == ["after"])
        #expect(spool.statistics.droppedSpans == ["corrupt": 15])
        #expect(spool.isBalanced)
    }
}
