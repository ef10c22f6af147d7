import Testing

@testable import Spool

/// Every bit of every file of a small spool, one at a time, before a start and under a running reader.
///
/// What a flipped bit may cost: in a frame, that frame; in a segment's header, nothing, because the checkpoint has the key
/// and the name has the sequence; in the checkpoint, nothing but sending again what was settled since its other slot was
/// written.
@Suite("Every single bit")
struct BitFlipTests {
    private struct Sample {
        var files: [String: [UInt8]] = [:]
        /// Not settled, in order.
        var held: [String] = []
        /// What sending again may bring.
        var settled: [String] = []
        /// Where each frame lies.
        var frames: [(file: String, range: Range<Int>, text: String)] = []
    }

    /// Two segments of four frames; the first and the sixth are settled, one after the other.
    private static func sample() throws -> Sample {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 250))
        var sample = Sample()
        let texts = (0..<8).map { "payload \($0)" + String(repeating: "x", count: $0) }
        for text in texts {
            try spool.append(text, spans: 2)
            let name = try #require(disk.segmentNames.last)
            let end = disk.files[name]?.count ?? 0
            sample.frames.append((name, end - FrameHeader.count - text.utf8.count..<end, text))
        }
        let batches = try texts.map { _ in try spool.readBatch(maxBytes: 1, maxSpans: 1) }
        for index in [0, 5] { spool.settle(batches[index].frames) }
        #expect(disk.segmentNames.count == 2)
        sample.files = disk.files
        sample.settled = [texts[0], texts[5]]
        sample.held = texts.filter { !sample.settled.contains($0) }
        return sample
    }

    private static func flip(_ files: [String: [UInt8]], _ name: String, bit: Int) -> [String: [UInt8]] {
        var damaged = files
        damaged[name]?[bit / 8] ^= 1 << UInt8(bit % 8)
        return damaged
    }

    @Test("Before a start: at most the frame that was hit is lost, nothing else is read, the books balance")
    func beforeStart() throws {
        let sample = try Self.sample()
        var lostFrames = 0
        for (name, bytes) in sample.files {
            // Between the checkpoint's slots lies nothing.
            let gap = 512 * 8..<Checkpoint.places[1] * 8
            for bit in 0..<bytes.count * 8 where name != Checkpoint.fileName || !gap.contains(bit) {
                let disk = MemoryFileSystem(Self.flip(sample.files, name, bit: bit))
                let spool = try Spool(disk)
                try spool.append("next", spans: 2)
                let batch = try spool.readWhole()
                let hit = sample.frames.first { $0.file == name && $0.range.contains(bit / 8) }?.text
                let mustHave = sample.held.filter { $0 != hit } + ["next"]
                let mayHave = sample.held + (name == Checkpoint.fileName ? sample.settled : []) + ["next"]
                let texts = batch.texts
                let isSound = mustHave.allSatisfy(texts.contains) && texts.allSatisfy(mayHave.contains)
                #expect(isSound && Set(texts).count == texts.count, "\(name), bit \(bit): \(texts)")
                if let hit, sample.held.contains(hit), !texts.contains(hit) { lostFrames += 1 }
                spool.settle(batch.frames)
                #expect(spool.isBalanced && spool.statistics.spans == 0, "\(name), bit \(bit)")
                #expect(try Spool(disk).statistics.recoveredSpans == 0, "\(name), bit \(bit)")
            }
        }
        let heldBytes = sample.frames.filter { sample.held.contains($0.text) }.reduce(0) { $0 + $1.range.count }
        #expect(lostFrames == heldBytes * 8, "no flip in a frame goes unseen")
    }

    @Test("Under a running reader: the same")
    func underReader() throws {
        let sample = try Self.sample()
        for (name, bytes) in sample.files where name != Checkpoint.fileName {
            for bit in 0..<bytes.count * 8 {
                let disk = MemoryFileSystem(sample.files)
                let spool = try Spool(disk)
                let damaged = Self.flip(sample.files, name, bit: bit)
                try disk.open(name).write(damaged[name] ?? [], at: 0)
                try spool.append("next", spans: 2)
                let batch = try spool.readWhole()
                let hit = sample.frames.first { $0.file == name && $0.range.contains(bit / 8) }?.text
                #expect(batch.texts == sample.held.filter { $0 != hit } + ["next"], "\(name), bit \(bit)")
                spool.settle(batch.frames)
                #expect(spool.isBalanced && spool.statistics.spans == 0, "\(name), bit \(bit)")
            }
        }
    }

    @Test("Under two running readers: the same, whoever gets to the damage")
    func underTwoReaders() throws {
        let sample = try Self.sample()
        // Two segments of this life, read beside the two of the life before.
        let own = (0..<6).map { "of this life, \($0)" }
        for newestFirst in [true, false] {
            let clean = MemoryFileSystem(sample.files)
            _ = try Self.appendBeside(clean, own)
            for (name, bytes) in clean.files where name != Checkpoint.fileName {
                for bit in 0..<bytes.count * 8 where bit % 3 == 0 {
                    let disk = MemoryFileSystem(sample.files)
                    let (spool, frames) = try Self.appendBeside(disk, own)
                    let damaged = Self.flip(disk.files, name, bit: bit)
                    try disk.open(name).write(damaged[name] ?? [], at: 0)
                    try spool.append("next", spans: 2)
                    let ends: [SpoolSection] = newestFirst ? [.newest, .oldest] : [.oldest, .newest]
                    let batches = try ends.map { try spool.readBatch(from: $0, maxBytes: 1 << 20, maxSpans: 1000) }
                    let rest = try spool.readWhole()
                    let hit = (sample.frames + frames).first { $0.file == name && $0.range.contains(bit / 8) }?.text
                    let expected = (sample.held + own).filter { $0 != hit } + ["next"]
                    let texts = (batches + [rest]).flatMap(\.texts)
                    #expect(
                        Set(texts) == Set(expected) && texts.count == expected.count, "\(name), bit \(bit): \(texts)")
                    for batch in batches + [rest] { spool.settle(batch.frames) }
                    #expect(spool.isBalanced && spool.statistics.spans == 0, "\(name), bit \(bit)")
                    #expect(
                        spool.statistics.corruptFrames == (expected.count < sample.held.count + own.count + 1 ? 1 : 0))
                }
            }
        }
    }

    /// Opens the spool and appends in a new section.
    private static func appendBeside(
        _ disk: MemoryFileSystem, _ texts: [String]
    ) throws -> (Spool, [(file: String, range: Range<Int>, text: String)]) {
        let spool = try Spool(disk, .small(segmentBytes: 250))
        #expect(spool.beginSection())
        var frames: [(file: String, range: Range<Int>, text: String)] = []
        for text in texts {
            try spool.append(text, spans: 2)
            let name = try #require(disk.segmentNames.last)
            let end = disk.files[name]?.count ?? 0
            frames.append((name, end - text.utf8.count - FrameHeader.count..<end, text))
        }
        return (spool, frames)
    }

    @Test(
        "Both slots of the checkpoint gone, and a bit of a segment's header: that segment's frames are lost, and only they"
    )
    func headerWithoutCheckpoint() throws {
        let sample = try Self.sample()
        let names = sample.files.keys.filter { $0 != Checkpoint.fileName }.sorted()
        for (index, name) in names.enumerated() {
            for bit in 0..<SegmentHeader.count * 8 {
                var files = Self.flip(sample.files, name, bit: bit)
                files[Checkpoint.fileName] = nil
                // The other segment has the same key in its header.
                #expect(try Spool(MemoryFileSystem(files)).readAll().count == 8, "\(name), bit \(bit)")
                files[names[1 - index]] = nil
                let spool = try Spool(MemoryFileSystem(files))
                #expect(try spool.readAll() == [], "the last copy of the key is gone")
                #expect(spool.isBalanced)
            }
        }
    }
}
