import Model
import Platform

// The spool on disk, format version 2. All numbers are little-endian.
//
// A spool is a directory:
//
//     lock                          the owner's pid in decimal; held by flock(2) while the owner lives
//     checkpoint                    which frames, and which spans of others, are settled: sent, rejected or dropped
//     segment-<16 hex digits>.log   frames; the digits are the sequence of the first one
//     segment-….log.new             a copy that is not finished, of a segment whose sync failed
//
// A segment is a header and frames, back to back. Frames are written to the last segment only, at its end.
//
//     segment header, 48 bytes                     frame header, 32 bytes, then the payload
//     offset size                                  offset size
//       0    8   magic "ASQSPOOL"                     0    4   the key's lower half
//       8    4   version = 2                          4    4   payload length
//      12    4   header length = 48                   8    8   sequence
//      16    8   sequence of the first frame         16    8   time of the append, Unix ns
//      24    8   time of creation, Unix ns           24    4   spans in the payload
//      32    8   key                                 28    4   CRC-32C of bytes 0..<28 and the payload, going on from
//      40    4   reserved = 0                                  the key's upper half
//      44    4   CRC-32C of bytes 0..<44
//
// Sequences start at 1 and grow by one with each frame, across segments and restarts.
//
// The key is 64 random bits, made with the spool and never told. A sender chooses what payloads hold, and where a frame
// is damaged, its payload is searched for the next frame: with a fixed magic and checksum, a payload could hold bytes
// that pass for frames. Without the key each attempt passes with a chance of one in 2^64. All segments of a spool have
// the same key, and the checkpoint has a copy. A segment whose header is damaged can then still be read.
//
// Version 1 has a segment header of 40 bytes (no key, its CRC at 36), frames that begin with "FRM1", and checksums that
// go on from 0. Such segments are read, and new ones are written as version 2.
//
// A reader trusts a frame whose CRC is right. A frame that is cut off at the end of the last segment was never
// acknowledged with `sync always`, and is truncated. All other bytes that don't check are stepped over, up to the next
// that do, and counted. A frame whose sequence is not above that of the frame before it is a stray copy, and is stepped
// over too. So is one with a sequence that the file is too short for: before a frame there is one of at least 32 bytes
// for each sequence since the file's first.
//
// A user who may write to the directory can read the key and forge all of this. A forged file may add spans or settle
// some. It must not keep a start busy, make later frames unreadable, or lead out of the directory by a link. A start
// spends no more on bytes that are not frames than the spool may be large (ScanBudget), and links are not followed.
//
// The checkpoint is a file of slots, which begin at 0, 4096 or 131072. The one with the right CRC and the highest generation
// counts; the next one is written where it does not touch that one. A lost checkpoint costs re-sending, never a span.
//
//     offset size
//       0    8   magic "ASQCHKP3"
//       8    8   generation
//      16    8   every sequence below this one is settled
//      24    8   the key
//      32    4   number r of ranges of frames
//      36    4   number s of ranges of spans
//      40  16*r  settled frames above the mark: first sequence, last sequence (both included)
//       …  24*s  settled spans of frames that are not settled: sequence, first span, last span (both included, from 0)
//       …    4   CRC-32C of all bytes before
//
// Programs before this version wrote two slots of 512 bytes, at 0 and 4096, in turn. They are read, and replaced by the next
// settlement:
//
//     offset size
//       0    8   magic "ASQCHKPT"
//       8    8   generation
//      16    8   every sequence below this one is settled
//      24    4   number of ranges that follow, at most 24
//      28    4   reserved = 0
//      32   16*n settled ranges above it: first, last (both included)
//     500    8   the key; 0 in a checkpoint from before version 2 of the segments
//     508    4   CRC-32C of bytes 0..<508

/// The mark and seed that tell the frames of a segment from any other bytes.
struct FrameKey: Equatable {
    /// The first four bytes of each frame.
    let mark: UInt32
    let seed: UInt32

    /// The key of all frames of version 1.
    static let version1 = FrameKey(mark: 0x314D_5246, seed: 0)  // "FRM1"

    init(mark: UInt32, seed: UInt32) {
        self.mark = mark
        self.seed = seed
    }

    /// Makes a key; returns nil for zeros. These are what an unwritten disk holds, and must not look like a frame.
    init?(bits: UInt64) {
        mark = UInt32(truncatingIfNeeded: bits)
        seed = UInt32(truncatingIfNeeded: bits >> 32)
        if mark == 0 || self == .version1 { return nil }
    }

    var bits: UInt64 { UInt64(seed) << 32 | UInt64(mark) }

    static func random() -> FrameKey {
        FrameKey(mark: UInt32.random(in: 1...UInt32.max), seed: UInt32.random(in: 1...UInt32.max))
    }
}

struct SegmentHeader {
    /// The length as written; a header of version 1 is 8 bytes shorter.
    static let count = 48
    static let magic: [UInt8] = Array("ASQSPOOL".utf8)
    static let version: UInt32 = 2
    /// The end of the name of a segment's copy that is being made.
    static let copySuffix = ".new"

    let version: UInt32
    /// The place where the first frame begins.
    let count: Int
    /// The key; nil for a version that this program does not know.
    let key: FrameKey?

    static func encode(firstSequence: UInt64, createdAt: WallTime, key: FrameKey) -> [UInt8] {
        var bytes = magic
        bytes.append(littleEndian: version)
        bytes.append(littleEndian: UInt32(count))
        bytes.append(littleEndian: firstSequence)
        bytes.append(littleEndian: UInt64(bitPattern: createdAt.nanoseconds))
        bytes.append(littleEndian: key.bits)
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: bytes.withUnsafeBytes { crc32c($0) })
        return bytes
    }

    /// Reads a header; returns nil for broken bytes, as after a torn first write.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 16, bytes.prefix(8).elementsEqual(Self.magic) else { return nil }
        count = Int(bytes.littleEndian32(at: 12))
        // The upper bound is the longest that a later version could want.
        guard (40...4096).contains(count), count <= bytes.count else { return nil }
        let sum = crc32c(UnsafeRawBufferPointer(rebasing: bytes[0..<count - 4]))
        guard bytes.littleEndian32(at: count - 4) == sum else { return nil }
        version = bytes.littleEndian32(at: 8)
        switch (version, count) {
        case (1, 40): key = .version1
        case (Self.version, Self.count): key = FrameKey(bits: bytes.littleEndian64(at: 32))
        default: key = nil
        }
    }

    static func fileName(firstSequence: UInt64) -> String {
        let hex = String(firstSequence, radix: 16)
        return "segment-" + String(repeating: "0", count: 16 - hex.count) + hex + ".log"
    }

    static func firstSequence(ofFileName name: String) -> UInt64? {
        guard name.hasPrefix("segment-"), name.hasSuffix(".log"), name.utf8.count == 28,
            let sequence = UInt64(name.dropFirst(8).dropLast(4), radix: 16),
            (1...FrameHeader.maxSequence).contains(sequence)
        else { return nil }
        // A name with capitals or a sign reads as the same number, but belongs to another file.
        return fileName(firstSequence: sequence) == name ? sequence : nil
    }
}

struct FrameHeader: Equatable {
    static let count = 32
    /// The longest payload, larger than any body that a receiver takes. A longer length is a sign of corruption.
    static let maxPayload = 1 << 30
    /// The largest sequence. A file name, a frame or a checkpoint with a higher one is corrupt or forged. Frames are
    /// appended only below it, because the next start would not read others.
    static let maxSequence: UInt64 = 1 << 61

    let payloadCount: Int
    let sequence: UInt64
    let time: WallTime
    let spanCount: Int
    let checksum: UInt32

    var frameCount: Int { Self.count + payloadCount }

    static func encode(
        sequence: UInt64, time: WallTime, spanCount: Int, payload: UnsafeRawBufferPointer, key: FrameKey
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { bytes, initializedCount in
            let head = UnsafeMutableRawBufferPointer(bytes)
            head.storeBytes(of: key.mark.littleEndian, toByteOffset: 0, as: UInt32.self)
            head.storeBytes(of: UInt32(payload.count).littleEndian, toByteOffset: 4, as: UInt32.self)
            head.storeBytes(of: sequence.littleEndian, toByteOffset: 8, as: UInt64.self)
            head.storeBytes(of: time.nanoseconds.littleEndian, toByteOffset: 16, as: Int64.self)
            head.storeBytes(of: UInt32(spanCount).littleEndian, toByteOffset: 24, as: UInt32.self)
            let checked = UnsafeRawBufferPointer(rebasing: head[..<28])
            let sum = crc32c(payload, continuing: crc32c(checked, continuing: key.seed))
            head.storeBytes(of: sum.littleEndian, toByteOffset: 28, as: UInt32.self)
            initializedCount = count
        }
    }

    /// Reads the header at `offset`, if the bytes there could be one; its checksum is not checked yet.
    init?(_ bytes: UnsafeRawBufferPointer, at offset: Int, key: FrameKey) {
        guard offset + Self.count <= bytes.count, bytes.littleEndian32(at: offset) == key.mark else { return nil }
        payloadCount = Int(bytes.littleEndian32(at: offset + 4))
        guard payloadCount <= Self.maxPayload else { return nil }
        sequence = bytes.littleEndian64(at: offset + 8)
        time = WallTime(nanoseconds: Int64(bitPattern: bytes.littleEndian64(at: offset + 16)))
        spanCount = Int(bytes.littleEndian32(at: offset + 24))
        checksum = bytes.littleEndian32(at: offset + 28)
    }

    /// Returns true if the frame at `offset` lies whole in the bytes and its checksum is right.
    func checks(_ bytes: UnsafeRawBufferPointer, at offset: Int, key: FrameKey) -> Bool {
        guard offset + frameCount <= bytes.count else { return false }
        let head = crc32c(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + 28]), continuing: key.seed)
        let payload = UnsafeRawBufferPointer(rebasing: bytes[offset + Self.count..<offset + frameCount])
        return crc32c(payload, continuing: head) == checksum
    }
}

extension [UInt8] {
    mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { self += $0 }
    }
}

extension UnsafeRawBufferPointer {
    func littleEndian32(at offset: Int) -> UInt32 {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    func littleEndian64(at offset: Int) -> UInt64 {
        UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
