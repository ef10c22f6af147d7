import Model
import Platform
import TestSupport
import Testing

@testable import Spool

/// A sender chooses what its payloads hold. Where a frame is damaged, the next one is searched for in its bytes: what
/// lies there must not pass for a frame.
@Suite("Frames inside of payloads")
struct HostilePayloadTests {
    private static let segment = SegmentHeader.fileName(firstSequence: 1)

    /// Frames as a sender would make them up, for every sequence that could come next.
    private static func payload(key: FrameKey) -> [UInt8] {
        (1...6 as ClosedRange<UInt64>).flatMap { sequence in
            let forged = Array("forged \(sequence)".utf8)
            let header = forged.withUnsafeBytes {
                FrameHeader.encode(
                    sequence: sequence, time: WallTime(nanoseconds: 1), spanCount: 1, payload: $0, key: key)
            }
            return header + forged
        }
    }

    /// A spool of "before", the hostile payload and "after", the frame of the payload damaged.
    private static func damagedFiles(key: (FrameKey) -> FrameKey, torn: Bool) throws -> [String: [UInt8]] {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("before")
        let header = try #require(SegmentHeader(of: disk.files[segment] ?? []))
        try spool.append(payload(key: key(try #require(header.key))))
        if !torn { try spool.append("after") }
        var files = disk.files
        let hostile = SegmentHeader.count + FrameHeader.count + "before".utf8.count
        if torn {
            files[segment]?.removeLast(3)
        } else {
            files[segment]?[hostile + 5] ^= 1
        }
        return files
    }

    @Test(
        "A payload of frames of the old format, or under a guessed key, gives none of them when its own is damaged",
        arguments: [FrameKey.version1, FrameKey(mark: 0x314D_5246, seed: 7), .random()], [true, false])
    func damaged(guess: FrameKey, torn: Bool) throws {
        let disk = MemoryFileSystem(try Self.damagedFiles(key: { _ in guess }, torn: torn))
        let spool = try Spool(disk)
        try spool.append("next")
        #expect(try spool.readAll() == (torn ? ["before", "next"] : ["before", "after", "next"]))
        #expect(spool.isBalanced)
    }

    @Test("It is the key that keeps them out: who knew it could forge frames")
    func control() throws {
        let disk = MemoryFileSystem(try Self.damagedFiles(key: { $0 }, torn: true))
        #expect(try Spool(disk).readAll() == ["before"] + (2...5).map { "forged \($0)" })
    }

    @Test("The same while the spool is open: bytes that go bad under the reader")
    func live() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("before")
        try spool.append(Self.payload(key: .version1))
        try spool.append("after")
        var files = disk.files
        files[Self.segment]?[SegmentHeader.count + FrameHeader.count + "before".utf8.count + 5] ^= 1
        try disk.open(Self.segment).write(files[Self.segment] ?? [], at: 0)
        #expect(try spool.readAll() == ["before", "after"])
    }

    @Test("Each spool has a key of its own, keeps it over restarts, and gives it to each segment and the checkpoint")
    func keys() throws {
        var seen: Set<UInt64> = []
        for _ in 0..<20 {
            let disk = MemoryFileSystem()
            for text in ["one", "two"] { try Spool(disk).append(text) }
            let keys = try disk.segmentNames.map { try #require(SegmentHeader(of: disk.files[$0] ?? [])?.key) }
            #expect(keys.count == 2 && keys[0] == keys[1])
            var checkpoint = Checkpoint(try disk.open(Checkpoint.fileName))
            #expect(try checkpoint.load()?.key == keys[0])
            seen.insert(keys[0].bits)
        }
        #expect(seen.count == 20)
    }

    @Test("A segment without its header is read by the key of another one, when the checkpoint is lost too")
    func keyOfAnotherSegment() throws {
        let disk = MemoryFileSystem()
        for text in ["one", "two"] { try Spool(disk).append(text) }
        var files = disk.files
        files[Checkpoint.fileName] = nil
        files[disk.segmentNames[0]]?.replaceSubrange(0..<48, with: [UInt8](repeating: 0, count: 48))
        #expect(try Spool(MemoryFileSystem(files)).readAll() == ["one", "two"])
    }
}

extension SegmentHeader {
    init?(of file: [UInt8]) {
        guard let header = file.withUnsafeBytes({ SegmentHeader($0) }) else { return nil }
        self = header
    }
}
