import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Spool

@Suite("Recovery")
struct RecoveryTests {
    /// A small spool in one segment: eight frames, the first two settled.
    private static func makeFiles() throws -> (files: [String: [UInt8]], payloads: [String]) {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        let payloads = (0..<8).map { "payload \($0) " + String(repeating: "abc", count: $0) }
        for payload in payloads { try spool.append(payload, spans: 2) }
        spool.settle(try spool.readBatch(maxBytes: 25, maxSpans: 4).frames)
        return (disk.files, payloads)
    }

    private static let segment = SegmentHeader.fileName(firstSequence: 1)

    @Test("A segment cut off at any byte gives every frame before the cut, in order")
    func truncation() throws {
        let (files, payloads) = try Self.makeFiles()
        let whole = try #require(files[Self.segment])
        var ends: [Int] = []
        var end = SegmentHeader.count
        for payload in payloads {
            end += FrameHeader.count + payload.utf8.count
            ends.append(end)
        }
        for cut in 0...whole.count {
            var damaged = files
            damaged[Self.segment] = Array(whole[..<cut])
            let disk = MemoryFileSystem(damaged)
            let spool = try Spool(disk)
            let expected = zip(payloads, ends).dropFirst(2).filter { $0.1 <= cut }.map(\.0)
            try spool.append("next")
            #expect(try spool.readAll() == expected + ["next"], "cut at \(cut)")
            #expect(spool.isBalanced)
            #expect(spool.statistics.corruptFrames == 0, "a cut-off tail is no corruption")
            #expect(try Spool(disk).readAll() == expected + ["next"], "cut at \(cut)")
        }
    }

    @Test("Any byte of a segment changed: no crash, no wrong payload, at most the frame that was hit is lost")
    func corruption() throws {
        let (files, payloads) = try Self.makeFiles()
        let whole = try #require(files[Self.segment])
        for index in whole.indices {
            for mask: UInt8 in [0x01, 0x80, 0xFF] {
                var damaged = files
                damaged[Self.segment]?[index] ^= mask
                let spool = try Spool(MemoryFileSystem(damaged))
                try spool.append("next")
                let texts = try spool.readAll()
                let lost = Set(payloads.dropFirst(2)).subtracting(texts)
                #expect(lost.count <= 1, "byte \(index) mask \(mask)")
                #expect(texts == payloads.dropFirst(2).filter { !lost.contains($0) } + ["next"])
                #expect(index >= SegmentHeader.count || lost.isEmpty)
                #expect(spool.isBalanced)
            }
        }
    }

    @Test("Any byte of the checkpoint changed costs re-sending at most")
    func corruptCheckpoint() throws {
        let (files, payloads) = try Self.makeFiles()
        let whole = try #require(files[Checkpoint.fileName])
        for index in whole.indices {
            var damaged = files
            damaged[Checkpoint.fileName]?[index] ^= 0x10
            let spool = try Spool(MemoryFileSystem(damaged))
            let texts = try spool.readAll()
            #expect(texts == payloads || texts == Array(payloads.dropFirst(2)), "byte \(index)")
            #expect(spool.isBalanced)
        }
    }

    @Test("Either slot of the checkpoint may be lost; the other one counts")
    func checkpointSlots() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        for index in 0..<6 { try spool.append("\(index)") }
        let batches = try (0..<3).map { _ in try spool.readBatch(maxBytes: 1, maxSpans: 1) }
        for batch in batches { spool.settle(batch.frames) }
        let files = disk.files
        var remaining: [Int] = []
        for place in Checkpoint.places.prefix(2) {
            var damaged = files
            damaged[Checkpoint.fileName]?.replaceSubrange(place..<place + 44, with: [UInt8](repeating: 0, count: 44))
            remaining.append(try Spool(MemoryFileSystem(damaged)).readAll().count)
        }
        #expect(remaining.sorted() == [3, 4])
        var without = files
        without[Checkpoint.fileName] = nil
        #expect(try Spool(MemoryFileSystem(without)).readAll().count == 6)
        without[Checkpoint.fileName] = []
        #expect(try Spool(MemoryFileSystem(without)).readAll().count == 6)
    }

    @Test("Frames of a segment without its header are read")
    func missingHeader() throws {
        let (files, payloads) = try Self.makeFiles()
        var damaged = files
        damaged[Self.segment]?.replaceSubrange(0..<48, with: [UInt8](repeating: 0, count: 48))
        #expect(try Spool(MemoryFileSystem(damaged)).readAll() == Array(payloads.dropFirst(2)))
    }

    @Test("Empty, cut-off and garbage segment files are cleared away, and appends go on")
    func uselessSegments() throws {
        let garbage = (0..<500).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let frameMagic = Array(repeating: Array("FRM1".utf8), count: 200).flatMap { $0 }
        for bytes in [[], [UInt8](repeating: 0, count: 39), Array(garbage[..<40]), garbage, frameMagic] {
            let disk = MemoryFileSystem([SegmentHeader.fileName(firstSequence: 7): bytes])
            let spool = try Spool(disk)
            #expect(spool.statistics.recoveredSpans == 0)
            try spool.append("x")
            #expect(try spool.readAll() == ["x"])
            #expect(try Spool(disk).readAll() == ["x"])
        }
    }

    @Test("A segment of another format version stops the start; nothing of it is deleted")
    func otherVersion() throws {
        var header = SegmentHeader.encode(firstSequence: 7, createdAt: WallTime(nanoseconds: 1), key: .random())
        header[8] = 3
        header.replaceSubrange(44..<48, with: header[..<44].withUnsafeBytes { crc32c($0) }.littleEndianBytes)
        let name = SegmentHeader.fileName(firstSequence: 7)
        let disk = MemoryFileSystem([name: header + [1, 2, 3]])
        #expect(throws: SpoolError.self) { try Spool(disk) }
        #expect(disk.files[name]?.count == header.count + 3)
    }

    @Test("A frame given up at the end of the last segment does not make settled sequences be used again")
    func settledBehindTheEnd() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        for index in 0..<3 { try spool.append("\(index)") }
        let batches = try (0..<3).map { _ in try spool.readBatch(maxBytes: 1, maxSpans: 1) }
        for batch in batches[1...] { spool.settle(batch.frames) }
        var files = disk.files
        // The first frame is damaged, the settled ones behind it never reached the disk.
        files[Self.segment] = files[Self.segment].map { Array($0.prefix(SegmentHeader.count + FrameHeader.count + 1)) }
        files[Self.segment]?[SegmentHeader.count + FrameHeader.count] ^= 1
        let left = MemoryFileSystem(files)
        let reopened = try Spool(left)
        try reopened.append("next")
        #expect(try reopened.readAll() == ["next"])
        #expect(try Spool(left).readAll() == ["next"])
    }

    @Test("What a probe left behind is deleted")
    func leftProbe() throws {
        let disk = MemoryFileSystem([Spool.probeName: [UInt8](repeating: 0, count: 70_000)])
        _ = try Spool(disk)
        #expect(disk.files[Spool.probeName] == nil)
    }

    @Test("Other names in the directory are left alone, whatever they look like")
    func foreignFiles() throws {
        let names = [
            "lock", "notes.txt", "segment-.log", "segment-00000000000000zz.log", "segment-0000000000000001.log.bak",
            "segment-+000000000000001.log", "segment-000000000000000A.log", "segment-0000000000000000.log",
            "segment-ffffffffffffffff.log", "segment-00000000000000001.log", "SEGMENT-0000000000000001.log",
        ]
        let files = Dictionary(uniqueKeysWithValues: names.map { ($0, Array("foreign".utf8)) })
        let disk = MemoryFileSystem(files)
        let spool = try Spool(disk)
        for index in 0..<20 { try spool.append("\(index)") }
        spool.settle(try spool.readWhole().frames)
        #expect(spool.statistics.deliveredSpans == 20)
        for name in names { #expect(disk.files[name] == Array("foreign".utf8), "\(name)") }
    }

    @Test("A segment under a name it was not written for does no harm", arguments: [1, 3, 5, 9, 1 << 62])
    func renamed(name: UInt64) throws {
        let (files, payloads) = try Self.makeFiles()
        var moved = files
        moved[Self.segment] = nil
        moved[SegmentHeader.fileName(firstSequence: name)] = files[Self.segment]
        let spool = try Spool(MemoryFileSystem(moved))
        let texts = try spool.readAll()
        #expect(texts == Array(payloads.suffix(texts.count)))
        #expect(spool.isBalanced)
    }

    @Test("A copy of a segment is not sent twice, and does not unbalance the books")
    func copiedSegment() throws {
        let (files, payloads) = try Self.makeFiles()
        var copied = files
        copied[SegmentHeader.fileName(firstSequence: 4)] = files[Self.segment]
        let spool = try Spool(MemoryFileSystem(copied))
        #expect(spool.statistics.recoveredSpans == 12)
        let batch = try spool.readWhole()
        #expect(batch.texts == Array(payloads.dropFirst(2)))
        spool.settle(batch.frames)
        #expect(spool.statistics.deliveredSpans == 12)
        #expect(spool.statistics.spans == 0)
        #expect(spool.isBalanced)
    }

    @Test("Frames and checkpoints with impossible numbers, rightly checksummed, crash nothing")
    func impossibleNumbers() throws {
        let sequences: [UInt64] = [0, 1, .max, .max - 1, 1 << 63, 1 << 62, (1 << 62) + 1]
        let key = FrameKey.random()
        for sequence in sequences {
            var bytes = SegmentHeader.encode(firstSequence: 1, createdAt: WallTime(nanoseconds: .min), key: key)
            let payload: [UInt8] = [1, 2, 3]
            bytes += payload.withUnsafeBytes {
                FrameHeader.encode(
                    sequence: sequence, time: WallTime(nanoseconds: .max), spanCount: Int(UInt32.max), payload: $0,
                    key: key)
            }
            bytes += payload
            let disk = MemoryFileSystem([Self.segment: bytes])
            var checkpoint = Checkpoint(try disk.open(Checkpoint.fileName))
            let settled = SettledFrames(
                sequences: SettledNumbers(below: sequence, ranges: [sequence...sequence]),
                spans: [sequence: SettledNumbers(below: 1, ranges: [5...1 << 40, .max - 1 ... .max])])
            try checkpoint.store(settled, key: key)
            for files in [
                disk.files, [Self.segment: bytes], [Checkpoint.fileName: disk.files[Checkpoint.fileName] ?? []],
            ] {
                let spool = try Spool(MemoryFileSystem(files))
                if sequence < 1 << 62 { try spool.append("x") }
                let batch = try spool.readWhole()
                spool.settle(batch.frames)
                #expect(spool.isBalanced)
            }
        }
    }

    @Test("A missing segment in the middle is a gap that nothing waits for")
    func missingSegment() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 150))
        for index in 0..<12 { try spool.append("payload number \(index)") }
        var files = disk.files
        let names = disk.segmentNames
        #expect(names.count > 3)
        files[names[1]] = nil
        let left = MemoryFileSystem(files)
        let reopened = try Spool(left)
        let batch = try reopened.readWhole()
        #expect(batch.texts.first == "payload number 0" && batch.texts.last == "payload number 11")
        reopened.settle(batch.frames)
        #expect(reopened.statistics.spans == 0)
        #expect(reopened.statistics.corruptFrames > 0)
        #expect(try Spool(left).readAll() == [])
    }

    @Test("A wholly corrupt segment, or the corrupt end of one, is counted")
    func corruptSegment() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 150))
        for index in 0..<12 { try spool.append("payload number \(index)") }
        let names = disk.segmentNames
        for (name, start) in [(names[0], 40), (names[1], 40), (names[0], 120), (names[1], 120)] {
            var files = disk.files
            let count = files[name]?.count ?? 0
            files[name]?.replaceSubrange(start..<count, with: [UInt8](repeating: 0xAA, count: count - start))
            let reopened = try Spool(MemoryFileSystem(files))
            let batch = try reopened.readWhole()
            #expect(Int(reopened.statistics.corruptFrames) + batch.frames.count == 12, "\(name) from \(start)")
            reopened.settle(batch.frames)
            #expect(reopened.isBalanced)
            #expect(reopened.statistics.spans == 0)
        }
    }

    @Test("Files of random bytes never hang or crash a reader", arguments: 1...40 as ClosedRange<UInt64>)
    func randomBytes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var files: [String: [UInt8]] = [:]
        for _ in 0..<4 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...60, using: &random) {
                switch Int.random(in: 0...3, using: &random) {
                case 0: bytes += Array("FRM1".utf8)
                case 1: bytes += (0..<8).map { _ in UInt8.random(in: 0...255, using: &random) }
                case 2: bytes += [UInt8](repeating: 0, count: Int.random(in: 0...20, using: &random))
                default:
                    let payload = [UInt8](repeating: 5, count: Int.random(in: 0...40, using: &random))
                    let sequence = UInt64.random(in: 0...30, using: &random)
                    bytes += payload.withUnsafeBytes {
                        FrameHeader.encode(
                            sequence: sequence, time: WallTime(nanoseconds: 5), spanCount: 2, payload: $0,
                            key: .version1)
                    }
                    bytes += payload
                }
            }
            files[SegmentHeader.fileName(firstSequence: UInt64.random(in: 0...30, using: &random))] = bytes
        }
        let disk = MemoryFileSystem(files)
        let spool = try Spool(disk)
        #expect(spool.isBalanced)
        try spool.append("mine", spans: 3)
        var batches: [SpoolBatch] = []
        while true {
            let batch = try spool.readBatch(maxBytes: 50, maxSpans: 5)
            if batch.isEmpty { break }
            batches.append(batch)
        }
        #expect(batches.last?.texts.last == "mine", "seed \(seed)")
        for batch in batches.shuffled(using: &random) {
            spool.settle(batch.frames)
            #expect(spool.isBalanced, "seed \(seed)")
        }
        #expect(spool.statistics.spans == 0, "seed \(seed)")
        #expect(try Spool(disk).readAll() == [])
    }
}

extension UInt32 {
    fileprivate var littleEndianBytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) } }

    @Test(
        "What was settled among frames that wait does not come again after a kill, however many holes there are",
        arguments: [60, 600, 3000])
    func manyGaps(frames: Int) throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 1 << 20))
        for index in 1...frames { try spool.append("\(index)") }
        for (count, frame) in try spool.readWhole().frames.enumerated() where frame.sequence % 2 == 0 {
            spool.settle([frame])
            if count % 50 != 1 { continue }
            let again = try Spool(MemoryFileSystem(disk.files)).readAll().compactMap { Int($0) }
            let settled = Int(frame.sequence)
            #expect(again == (1...frames).filter { $0 % 2 == 1 || $0 > settled })
        }
        #expect(spool.statistics.bytes >= disk.totalBytes)
    }

    @Test("Segments that were read before their first sync are closed after it")
    func closedAfterTheSync() throws {
        let disk = MemoryFileSystem()
        for index in 0..<6 { try Spool(disk).append("\(index)") }
        let spool = try Spool(disk, .small(sync: .interval(.nanoseconds(1))))
        #expect(try spool.readAll() == (0..<6).map(String.init))
        #expect(spool.syncOnce())
        let open = spool.state.withLock { state in state.segments.dropLast().count { $0.file != nil } }
        #expect(open == 0)
    }
}
