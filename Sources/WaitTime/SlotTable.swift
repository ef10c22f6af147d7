private import CLinux

/// The index of a flat table: finds the place of an entry by the hash of its key, and holds no key itself.
///
/// ```
/// slots   8 bytes each: the upper half of the hash, then where the entry lies, plus 1; 0 = free. Open addressing with
///         linear probing; a power of two, at most half full
/// ```
/// The half of the hash in a slot tells most other keys apart without reading their entries. It also tells the slot's
/// home, so that slots move without reading entries.
struct SlotTable: Sendable {
    private static let firstSlots = 64

    private var slots = [UInt64](repeating: 0, count: firstSlots)
    private(set) var count = 0

    var bytes: Int { slots.count * MemoryLayout<UInt64>.stride }

    /// Returns the bytes that the slots of a number of entries take at most.
    static func bytes(entries: Int) -> Int {
        max(firstSlots, powerOfTwo(2 * entries)) * MemoryLayout<UInt64>.stride
    }

    /// Returns the least power of two that is not below the number.
    static func powerOfTwo(_ number: Int) -> Int {
        number <= 1 ? 1 : 1 << (Int.bitWidth - (number - 1).leadingZeroBitCount)
    }

    /// Returns the place of the entry with this hash that `isIt` confirms.
    @inline(__always)
    func find(_ hash: UInt64, where isIt: (Int) -> Bool) -> Int? {
        let mask = slots.count - 1
        let tag = hash >> 32
        var slot = Int(truncatingIfNeeded: tag) & mask
        while slots[slot] != 0 {
            let entry = Self.entry(slots[slot])
            if slots[slot] >> 32 == tag && isIt(entry) { return entry }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// Fetches the slots of a hash into the CPU's cache, without waiting for them.
    @inline(__always)
    func prefetch(_ hash: UInt64) {
        let home = Int(hash >> 32) & (slots.count - 1)
        slots.withUnsafeBufferPointer { slots in
            collector_prefetch(slots.baseAddress.map { $0 + home }, MemoryLayout<UInt64>.stride)
        }
    }

    /// Adds an entry with a new key.
    @inline(__always)
    mutating func insert(_ entry: Int, hash: UInt64) {
        count += 1
        if count * 2 > slots.count { grow() }
        fill(hash & Self.tagMask | UInt64(UInt32(entry + 1)))
    }

    /// Removes an entry that is there.
    @inline(__always)
    mutating func remove(_ entry: Int, hash: UInt64) {
        guard let slot = slot(of: entry, hash: hash) else { return }
        count -= 1
        vacate(slot)
    }

    /// Records that another entry has the key of one that is there.
    mutating func replace(_ entry: Int, with other: Int, hash: UInt64) {
        guard let slot = slot(of: entry, hash: hash) else { return }
        slots[slot] = hash & Self.tagMask | UInt64(UInt32(other + 1))
    }

    // MARK: Slots

    private static let tagMask: UInt64 = 0xFFFF_FFFF_0000_0000

    private static func entry(_ slot: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: slot)) - 1 }

    private func home(_ slot: UInt64) -> Int { Int(slot >> 32) & (slots.count - 1) }

    private func slot(of entry: Int, hash: UInt64) -> Int? {
        let wanted = hash & Self.tagMask | UInt64(UInt32(entry + 1))
        var slot = home(wanted)
        while slots[slot] != wanted {
            if slots[slot] == 0 { return nil }
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }

    private mutating func fill(_ content: UInt64) {
        var slot = home(content)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = content
    }

    /// Frees a slot, and moves up those behind it that are not in their home: each stays reachable from there.
    private mutating func vacate(_ slot: Int) {
        let mask = slots.count - 1
        var free = slot
        var next = (free + 1) & mask
        while slots[next] != 0 {
            if (next - home(slots[next])) & mask >= (next - free) & mask {
                slots[free] = slots[next]
                free = next
            }
            next = (next + 1) & mask
        }
        slots[free] = 0
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: old.count * 2)
        for content in old where content != 0 { fill(content) }
    }
}
