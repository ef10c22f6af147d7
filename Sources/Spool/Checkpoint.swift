import Model
import Platform

/// The checkpoint file: the settled frames, in slots of which the newest counts. The layout stands in
/// SpoolFormat.swift.
///
/// A slot is never written over the one that counts, so a write that a power cut breaks off leaves that one.
struct Checkpoint {
    static let fileName = "checkpoint"
    /// The places at which a slot may begin. The third is for slots that are too long for the two others.
    static let places = [0, 4096, 131_072]
    /// The most ranges of frames and of spans together. A part from the middle of a frame, waiting or under way, leaves
    /// three: a hole among the frames, and the spans before and behind it. The forwarder holds about 1,120 requests, so
    /// there are always fewer.
    static let maxRanges = 3500
    private static let headCount = 40
    private static let magic: [UInt8] = Array("ASQCHKP3".utf8)

    struct Slot {
        let generation: UInt64
        let settled: SettledFrames
        /// The key of the frames; nil in a slot from before version 2 of the segments.
        let key: FrameKey?
        /// The length of the slot in bytes.
        let count: Int
    }

    /// The time between two syncs, beside the one at the end. A power cut before a sync costs sending again.
    private static let syncPause = Duration.seconds(1)

    let file: any SpoolFile
    private var generation: UInt64 = 0
    /// The range of the slot that counts in the file.
    private var newest = 0..<0
    /// The end of what was written.
    private(set) var fileBytes = 0
    /// True if it was written to since its last sync.
    private var isDirty = false
    private var nextSync = MonotonicTime(nanoseconds: 0)

    init(_ file: any SpoolFile) {
        self.file = file
    }

    /// Returns the newest slot that checks, or nil: then everything on disk counts as unsettled.
    ///
    /// - Throws: `SystemError` of the disk, unless only a slot can't be read: that one counts as lost.
    mutating func load() throws(SystemError) -> Slot? {
        var found: Slot?
        fileBytes = try file.count
        for place in Self.places {
            let bytes: [UInt8]
            do throws(SystemError) {
                bytes = try file.read(Self.headCount + 24 * Self.maxRanges + 4, at: place)
            } catch {
                if error.isOfTheMedium { continue }
                throw error
            }
            let slot = bytes.withUnsafeBytes { Self.decode($0) ?? Self.decodeVersion1($0) }
            guard let slot, slot.generation > found?.generation ?? 0 else { continue }
            found = slot
            newest = place..<place + slot.count
        }
        generation = found?.generation ?? 0
        return found
    }

    /// Writes the next slot.
    ///
    /// - Throws: `SystemError` of the disk. If the slot was not written, the one before still counts, and the next
    ///   write goes to the same place.
    mutating func store(_ settled: SettledFrames, key: FrameKey) throws(SystemError) {
        let bytes = Self.encode(settled, key: key, generation: generation + 1)
        let place = Self.places.first { !($0..<$0 + bytes.count).overlaps(newest) }
        guard let place else { preconditionFailure("a slot is shorter than what lies between the places") }
        try file.write(bytes, at: place)
        let before = newest
        generation += 1
        newest = place..<place + bytes.count
        fileBytes = max(fileBytes, newest.upperBound)
        // A long slot of old would take space, and outlive programs that know only short ones.
        let end = max(before.upperBound, newest.upperBound)
        if fileBytes > Self.places[2] && end <= Self.places[2] {
            try file.truncate(to: end)
            fileBytes = end
        }
        isDirty = true
    }

    /// Returns true if the caller has to sync it now: once in a while, and at the end.
    mutating func takeSync(at now: MonotonicTime, isLast: Bool) -> Bool {
        guard isDirty && (now >= nextSync || isLast) else { return false }
        nextSync = now.advanced(by: Self.syncPause)
        return takeSync()
    }

    mutating func takeSync() -> Bool {
        defer { isDirty = false }
        return isDirty
    }

    private static func encode(_ settled: SettledFrames, key: FrameKey, generation: UInt64) -> [UInt8] {
        let ranges = settled.sequences.ranges.prefix(maxRanges)
        let spans = settled.spans.flatMap { sequence, settled in
            ((settled.below > 0 ? [0...settled.below - 1] : []) + settled.ranges).map { (sequence, $0) }
        }.prefix(maxRanges - ranges.count)
        var bytes = magic
        bytes.append(littleEndian: generation)
        bytes.append(littleEndian: settled.sequences.below)
        bytes.append(littleEndian: key.bits)
        bytes.append(littleEndian: UInt32(ranges.count))
        bytes.append(littleEndian: UInt32(spans.count))
        for range in ranges {
            bytes.append(littleEndian: range.lowerBound)
            bytes.append(littleEndian: range.upperBound)
        }
        for (sequence, range) in spans {
            bytes.append(littleEndian: sequence)
            bytes.append(littleEndian: range.lowerBound)
            bytes.append(littleEndian: range.upperBound)
        }
        bytes.append(littleEndian: bytes.withUnsafeBytes { crc32c($0) })
        return bytes
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer) -> Slot? {
        guard bytes.count >= headCount, bytes.prefix(8).elementsEqual(magic) else { return nil }
        let rangeCount = Int(bytes.littleEndian32(at: 32))
        let spanRangeCount = Int(bytes.littleEndian32(at: 36))
        guard rangeCount + spanRangeCount <= maxRanges else { return nil }
        let spansOffset = headCount + 16 * rangeCount
        let end = spansOffset + 24 * spanRangeCount
        guard end + 4 <= bytes.count,
            bytes.littleEndian32(at: end) == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<end])),
            let head = Head(bytes),
            var settled = SettledFrames(bytes, rangesAt: headCount, count: rangeCount, head.below)
        else { return nil }
        for offset in stride(from: spansOffset, to: end, by: 24) {
            let (first, last) = (bytes.littleEndian64(at: offset + 8), bytes.littleEndian64(at: offset + 16))
            guard first <= last, last <= UInt32.max, bytes.littleEndian64(at: offset) <= FrameHeader.maxSequence
            else { return nil }
            // The number of the frame's spans is unknown here, except that more are left.
            _ = settled.insert(spans: first...last, of: bytes.littleEndian64(at: offset), count: .max)
        }
        return Slot(
            generation: head.generation, settled: settled, key: FrameKey(bits: bytes.littleEndian64(at: 24)),
            count: end + 4)
    }

    /// Reads a slot as programs wrote it before spans were in it: always 512 bytes, and 24 ranges at most.
    private static func decodeVersion1(_ file: UnsafeRawBufferPointer) -> Slot? {
        guard file.count >= 512, file.prefix(8).elementsEqual(Array("ASQCHKPT".utf8)) else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: file[..<512])
        let rangeCount = Int(bytes.littleEndian32(at: 24))
        guard rangeCount <= 24,
            bytes.littleEndian32(at: 508) == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<508])),
            let head = Head(bytes), let settled = SettledFrames(bytes, rangesAt: 32, count: rangeCount, head.below)
        else { return nil }
        return Slot(
            generation: head.generation, settled: settled, key: FrameKey(bits: bytes.littleEndian64(at: 500)),
            count: 512)
    }

    /// The fields that slots of both versions have at the same place.
    private struct Head {
        let generation: UInt64
        let below: UInt64

        init?(_ bytes: UnsafeRawBufferPointer) {
            generation = bytes.littleEndian64(at: 8)
            below = bytes.littleEndian64(at: 16)
            if generation == .max || below < 1 || below > FrameHeader.maxSequence { return nil }
        }
    }
}

extension SettledFrames {
    /// Reads the ranges; returns nil where one of them is invalid.
    fileprivate init?(_ bytes: UnsafeRawBufferPointer, rangesAt start: Int, count: Int, _ below: UInt64) {
        self.init(below: below)
        for offset in stride(from: start, to: start + 16 * count, by: 16) {
            let (first, last) = (bytes.littleEndian64(at: offset), bytes.littleEndian64(at: offset + 8))
            guard first <= last, last <= FrameHeader.maxSequence else { return nil }
            insert(first...last)
        }
    }
}
