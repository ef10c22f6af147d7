/// Remembers a start under each of the last so many keys, in flat arrays: nothing is allocated for a key.
///
/// ```
/// entries   16 bytes each, a ring in the order in which the keys were inserted
///           key    64 bits of a seeded hash; 0 = free
///           start  nanoseconds since the epoch
/// slots     4 bytes each: 8 bits of the key, then where in the ring it lies, plus 1; 0 = free. Open addressing with linear
///           probing; a power of two, at most half full
/// ```
/// The bits of the key tell most others apart without reading their entries, which no cache holds. A key that is
/// removed leaves its place in the ring free until the ring comes round to it.
struct StartTable: Sendable {
    private struct Entry {
        var key: UInt64
        var start: UInt64
    }

    /// The bytes of an entry and its two slots.
    private static let bytesPerEntry = 16 + 2 * 4
    private static let firstSlots = 64
    private static let tagMask: UInt32 = 0xFF00_0000
    private static let maxEntries = 1 << 23

    private var entries: [Entry] = []
    private var slots = [UInt32](repeating: 0, count: firstSlots)
    private let capacity: Int
    /// The place where the ring is overwritten next, once it is full.
    private var oldest = 0
    /// The number of keys that were forgotten for lack of space.
    private(set) var evicted: UInt64 = 0

    /// Makes a table whose number of entries is the greatest power of two that fits into the bytes, so that the arrays
    /// grow to just that.
    init(bytes: Int) {
        let most = min(max(1, bytes / Self.bytesPerEntry), Self.maxEntries)
        capacity = 1 << (Int.bitWidth - 1 - most.leadingZeroBitCount)
    }

    var bytes: TableBytes {
        TableBytes(
            used: entries.capacity * MemoryLayout<Entry>.stride + slots.count * MemoryLayout<UInt32>.stride,
            limit: max(capacity * Self.bytesPerEntry, Self.firstSlots * MemoryLayout<UInt32>.stride))
    }

    func start(of key: UInt64) -> UInt64? {
        slot(of: key).map { entries[place(slots[$0])].start }
    }

    /// Adds a new key; the oldest one is forgotten when the table is full.
    mutating func insert(_ key: UInt64, start: UInt64) {
        let place: Int
        if entries.count < capacity {
            place = entries.count
            entries.append(Entry(key: key, start: start))
            if entries.count * 2 > slots.count { return refill(count: slots.count * 2) }
        } else {
            place = oldest
            oldest = (oldest + 1) % capacity
            if let slot = entries[place].key == 0 ? nil : slot(of: entries[place].key) {
                vacate(slot)
                evicted += 1
            }
            entries[place] = Entry(key: key, start: start)
        }
        fill(with: place)
    }

    mutating func remove(_ key: UInt64) {
        guard let slot = slot(of: key) else { return }
        entries[place(slots[slot])].key = 0
        vacate(slot)
    }

    // MARK: Slots

    /// Returns the tag of a key, from bits that say nothing of its home.
    private func tag(_ key: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: key >> 32) & Self.tagMask }

    private func place(_ slot: UInt32) -> Int { Int(slot & ~Self.tagMask) - 1 }

    private func home(of key: UInt64) -> Int { Int(truncatingIfNeeded: key) & (slots.count - 1) }

    private func slot(of key: UInt64) -> Int? {
        var slot = home(of: key)
        let tag = tag(key)
        while slots[slot] != 0 {
            if slots[slot] & Self.tagMask == tag && entries[place(slots[slot])].key == key { return slot }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private mutating func fill(with place: Int) {
        var slot = home(of: entries[place].key)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = tag(entries[place].key) | UInt32(place + 1)
    }

    /// Frees a slot, and moves up those behind it that are not in their home: each stays reachable from there.
    private mutating func vacate(_ slot: Int) {
        let mask = slots.count - 1
        var free = slot
        var next = (free + 1) & mask
        while slots[next] != 0 {
            let home = home(of: entries[place(slots[next])].key)
            if (next - home) & mask >= (next - free) & mask {
                slots[free] = slots[next]
                free = next
            }
            next = (next + 1) & mask
        }
        slots[free] = 0
    }

    private mutating func refill(count: Int) {
        slots = [UInt32](repeating: 0, count: count)
        for place in entries.indices where entries[place].key != 0 { fill(with: place) }
    }
}
