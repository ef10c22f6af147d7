import Platform

/// Which sequences are settled: all below a mark, and some ranges above it, because batches in flight are answered in
/// any order.
struct SettledSequences: Equatable {
    /// Every sequence below this one is settled.
    private(set) var below: UInt64
    /// Ascending, disjoint, not adjacent, all above `below`.
    private(set) var ranges: [ClosedRange<UInt64>] = []

    func contains(_ sequence: UInt64) -> Bool {
        sequence < below || ranges.contains { $0.contains(sequence) }
    }

    /// How many sequences of the range are not settled. By interval arithmetic: the range may be of any length.
    func countUnsettled(in range: ClosedRange<UInt64>) -> UInt64 {
        guard range.upperBound >= below else { return 0 }
        let open = max(range.lowerBound, below)...range.upperBound
        var count = open.upperBound - open.lowerBound + 1
        for settled in ranges where settled.overlaps(open) {
            let overlap = settled.clamped(to: open)
            count -= overlap.upperBound - overlap.lowerBound + 1
        }
        return count
    }

    /// So many ranges at most, in any order: those that have to be there, and of the others the longest.
    func ranges(atMost count: Int, first mustBeThere: (ClosedRange<UInt64>) -> Bool) -> [ClosedRange<UInt64>] {
        if ranges.count <= count { return ranges }
        let marked = ranges.map { (range: $0, length: $0.upperBound - $0.lowerBound, comesFirst: mustBeThere($0)) }
        let sorted = marked.sorted { ($0.comesFirst ? 1 : 0, $0.length) > ($1.comesFirst ? 1 : 0, $1.length) }
        return sorted.prefix(count).map(\.range)
    }

    mutating func insert(_ settled: ClosedRange<UInt64>) {
        if settled.upperBound < below { return }
        var merged = max(settled.lowerBound, below)...settled.upperBound
        var kept: [ClosedRange<UInt64>] = []
        for range in ranges {
            let touches = range.lowerBound <= merged.upperBound + 1 && merged.lowerBound <= range.upperBound + 1
            if touches {
                merged = min(range.lowerBound, merged.lowerBound)...max(range.upperBound, merged.upperBound)
            } else {
                kept.append(range)
            }
        }
        if merged.lowerBound <= below {
            below = merged.upperBound + 1
        } else {
            kept.append(merged)
            kept.sort { $0.lowerBound < $1.lowerBound }
        }
        ranges = kept
    }
}

/// The checkpoint file: two slots written in turn, so that a write that power cuts short leaves the other one. The
/// layout stands in SpoolFormat.swift.
struct Checkpoint {
    static let fileName = "checkpoint"
    static let slotCount = 512
    static let slotOffsets = [0, 4096]
    static let maxRanges = 24
    private static let keyOffset = 500
    private static let magic: [UInt8] = Array("ASQCHKPT".utf8)

    struct Slot {
        let generation: UInt64
        let settled: SettledSequences
        /// nil in one from before version 2.
        let key: FrameKey?
    }

    private(set) var generation: UInt64 = 0

    /// The newest slot that checks, or nil: then everything on disk counts as unsettled.
    mutating func load(from file: any SpoolFile) throws(SystemError) -> Slot? {
        var newest: Slot?
        for offset in Self.slotOffsets {
            let bytes: [UInt8]
            do throws(SystemError) {
                bytes = try file.read(Self.slotCount, at: offset)
            } catch {
                // As good as lost.
                if error.isOfTheMedium { continue }
                throw error
            }
            guard let slot = Self.decode(bytes), slot.generation > newest?.generation ?? 0 else { continue }
            newest = slot
        }
        generation = newest?.generation ?? 0
        return newest
    }

    /// Writes the next slot. Of more than 24 ranges the shortest are left out: those frames are sent again at worst. But
    /// those whose files are gone (`isPartlyGone`) would pass for lost.
    mutating func store(
        _ settled: SettledSequences, key: FrameKey, to file: any SpoolFile,
        isPartlyGone: (ClosedRange<UInt64>) -> Bool = { _ in false }
    ) throws(SystemError) {
        let next = generation + 1
        var bytes = Self.magic
        bytes.append(littleEndian: next)
        bytes.append(littleEndian: settled.below)
        let ranges = settled.ranges(atMost: Self.maxRanges, first: isPartlyGone)
        bytes.append(littleEndian: UInt32(ranges.count))
        bytes.append(littleEndian: UInt32(0))
        for range in ranges {
            bytes.append(littleEndian: range.lowerBound)
            bytes.append(littleEndian: range.upperBound)
        }
        bytes += [UInt8](repeating: 0, count: Self.keyOffset - bytes.count)
        bytes.append(littleEndian: key.bits)
        bytes.append(littleEndian: bytes.withUnsafeBytes { crc32c($0) })
        // A write that fails is tried again in the same slot: the other one is the last that is known to be good.
        try file.write(bytes, at: Self.slotOffsets[Int(next % 2)])
        generation = next
    }

    private static func decode(_ slot: [UInt8]) -> Slot? {
        slot.withUnsafeBytes { bytes in
            guard bytes.count == slotCount, bytes.prefix(8).elementsEqual(magic) else { return nil }
            let body = UnsafeRawBufferPointer(rebasing: bytes[0..<slotCount - 4])
            guard bytes.littleEndian32(at: slotCount - 4) == crc32c(body) else { return nil }
            let count = Int(bytes.littleEndian32(at: 24))
            let generation = bytes.littleEndian64(at: 8)
            let below = bytes.littleEndian64(at: 16)
            guard count <= maxRanges, generation < .max, below <= FrameHeader.maxSequence else { return nil }
            var settled = SettledSequences(below: below)
            for index in 0..<count {
                let first = bytes.littleEndian64(at: 32 + 16 * index)
                let last = bytes.littleEndian64(at: 40 + 16 * index)
                guard first <= last, last <= FrameHeader.maxSequence else { return nil }
                settled.insert(first...last)
            }
            return Slot(
                generation: generation, settled: settled, key: FrameKey(bits: bytes.littleEndian64(at: keyOffset)))
        }
    }
}
