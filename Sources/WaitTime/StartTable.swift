private import CLinux

/// Remembers a start under each of the newest keys, up to a number, in flat arrays: nothing is allocated for a key.
///
/// ```
/// entries   16 bytes each, a ring in the order in which the keys were inserted
///           key    64 bits of a seeded hash; 0 = free
///           start  nanoseconds since the epoch
/// slots     4 bytes each: 4 bits for the distance from its home (15: that or more), 4 bits of the key, then where in the
///           ring it lies, plus 1; 0 = free. Open addressing with linear probing; a power of two, at most half full
/// ```
/// Distance and bits of the key tell most others apart, and slots move, without reading entries, which no cache holds.
/// A key that is removed leaves its place in the ring free until the ring comes round to it.
struct StartTable: Sendable {
    private struct Entry {
        var key: UInt64
        var start: UInt64
    }

    /// The bytes of an entry and its two slots.
    private static let bytesPerEntry = 16 + 2 * 4
    private static let firstSlots = 64
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

    /// Fetches the slots of a key, and those of the key that is forgotten if it is inserted after `index` others.
    func prefetch(_ key: UInt64, after index: Int) {
        prefetch(key)
        guard entries.count + index >= capacity else { return }
        let forgotten = (oldest + index) & (capacity - 1)
        if forgotten < entries.count { prefetch(entries[forgotten].key) }
    }

    /// Fetches the slots of a key.
    func prefetch(_ key: UInt64) {
        let home = home(of: key)
        slots.withUnsafeBufferPointer { slots in
            collector_prefetch(slots.baseAddress.map { $0 + home }, MemoryLayout<UInt32>.stride)
        }
    }

    func start(of key: UInt64) -> UInt64? {
        slot(of: key).map { entries[Self.place(slots[$0])].start }
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
            oldest = (oldest + 1) & (capacity - 1)
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
        entries[Self.place(slots[slot])].key = 0
        vacate(slot)
    }

    // MARK: Slots

    private static let farthest: UInt32 = 15
    private static let distanceShift: UInt32 = 28
    private static let placeMask: UInt32 = 0x00FF_FFFF

    private static func place(_ slot: UInt32) -> Int { Int(slot & placeMask) - 1 }

    /// Returns what a slot has above its place, at a distance from the key's home. The bits of the key say nothing of
    /// its home.
    private static func mark(_ key: UInt64, distance: Int) -> UInt32 {
        min(UInt32(distance), farthest) << distanceShift | UInt32(truncatingIfNeeded: key >> 60) << 24
    }

    private func home(of key: UInt64) -> Int { Int(truncatingIfNeeded: key) & (slots.count - 1) }

    private func slot(of key: UInt64) -> Int? {
        let home = home(of: key)
        for distance in 0..<slots.count {
            let slot = (home + distance) & (slots.count - 1)
            let content = slots[slot]
            if content == 0 { return nil }
            let isLikely = content & ~Self.placeMask == Self.mark(key, distance: distance)
            if isLikely && entries[Self.place(content)].key == key { return slot }
        }
        return nil
    }

    private mutating func fill(with place: Int) {
        let key = entries[place].key
        var distance = 0
        while slots[(home(of: key) + distance) & (slots.count - 1)] != 0 { distance += 1 }
        slots[(home(of: key) + distance) & (slots.count - 1)] = Self.mark(key, distance: distance) | UInt32(place + 1)
    }

    /// Frees a slot, and moves up those behind it that are not in their home: each stays reachable from there.
    private mutating func vacate(_ slot: Int) {
        let mask = slots.count - 1
        var free = slot
        var next = (free + 1) & mask
        while slots[next] != 0 {
            let (distance, gap) = (distance(at: next), (next - free) & mask)
            if distance >= gap {
                let nearer = min(UInt32(distance - gap), Self.farthest) << Self.distanceShift
                slots[free] = slots[next] & ~(Self.farthest << Self.distanceShift) | nearer
                free = next
            }
            next = (next + 1) & mask
        }
        slots[free] = 0
    }

    /// Returns how far what a slot holds is from its home.
    private func distance(at slot: Int) -> Int {
        let told = slots[slot] >> Self.distanceShift
        if told < Self.farthest { return Int(told) }
        return (slot - home(of: entries[Self.place(slots[slot])].key)) & (slots.count - 1)
    }

    private mutating func refill(count: Int) {
        slots = [UInt32](repeating: 0, count: count)
        for place in entries.indices where entries[place].key != 0 { fill(with: place) }
    }
}
