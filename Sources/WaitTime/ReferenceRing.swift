private import CLinux
import Model

/// An entry of a `ReferenceRing`: something that is known of a span.
protocol ReferenceEntry: Sendable {
    var reference: SpanReference { get }
}

/// A flat table of spans in the order in which they came: look-up, expiry and the bound of its bytes in one.
///
/// ```
/// entries   a ring, a power of two; the oldest one leaves first, and none leaves in the middle
/// slots     where a span's entry lies (`SlotTable`)
/// ```
/// The ring grows to the power of two that holds `capacity` entries, and not beyond.
struct ReferenceRing<Entry: ReferenceEntry>: Sendable {
    private static var firstEntries: Int { 16 }

    let capacity: Int
    private let maxEntries: Int
    private let hash = KeyedHash()
    private var slots = SlotTable()
    private var entries: [Entry] = []
    /// The number of entries that the ring has space for.
    private var size = 0
    /// The number of entries that have left. Its low bits are the place of the oldest in the ring.
    private var oldestNumber = 0
    private(set) var count = 0

    init(capacity: Int) {
        precondition(capacity > 0 && capacity <= 1 << 30)
        self.capacity = capacity
        maxEntries = SlotTable.powerOfTwo(capacity)
    }

    var bytes: TableBytes {
        TableBytes(
            used: entries.capacity * MemoryLayout<Entry>.stride + slots.bytes,
            // The allocator rounds up.
            limit: maxEntries * MemoryLayout<Entry>.stride + 8192 + SlotTable.bytes(entries: maxEntries))
    }

    /// True if as many entries are there as fit.
    var isFull: Bool { count == maxEntries }

    var oldest: Entry? { count == 0 ? nil : entries[place(0)] }

    private func place(_ index: Int) -> Int { (oldestNumber &+ index) & (size - 1) }

    /// Returns the place of the span's entry in the ring, until the next change.
    func find(_ reference: SpanReference) -> Int? {
        slots.find(hash(reference)) { entries[$0].reference == reference }
    }

    /// Fetches what tells whether a span is there.
    func prefetch(_ reference: SpanReference) { slots.prefetch(hash(reference)) }

    /// Fetches the entry of a span, if it seems to be there.
    func prefetchEntry(of reference: SpanReference) {
        guard let place = slots.find(hash(reference), where: { _ in true }) else { return }
        entries.withUnsafeBufferPointer { entries in
            collector_prefetch(entries.baseAddress.map { $0 + place }, MemoryLayout<Entry>.stride)
        }
    }

    /// Fetches what has to be changed when one of the oldest leaves.
    func prefetchRemoval(ofOldest index: Int) {
        if index < count { slots.prefetch(hash(entries[place(index)].reference)) }
    }

    subscript(place: Int) -> Entry {
        get { entries[place] }
        _modify { yield &entries[place] }
    }

    /// Adds an entry unless its span is there. Returns true if it did. The ring must have space.
    mutating func insert(_ entry: Entry) -> Bool {
        let hash = hash(entry.reference)
        if slots.find(hash, where: { entries[$0].reference == entry.reference }) != nil { return false }
        if count == size { grow() }
        let place = place(count)
        if place == entries.count { entries.append(entry) } else { entries[place] = entry }
        count += 1
        slots.insert(place, hash: hash)
        return true
    }

    mutating func removeOldest() {
        precondition(count > 0)
        let place = place(0)
        slots.remove(place, hash: hash(entries[place].reference))
        oldestNumber &+= 1
        count -= 1
    }

    /// Makes the ring twice as large, with the oldest entry first.
    private mutating func grow() {
        precondition(size < maxEntries, "a ring that is full takes no entry")
        let larger = max(size * 2, min(Self.firstEntries, maxEntries))
        var moved: [Entry] = []
        moved.reserveCapacity(larger)
        slots = SlotTable()
        for index in 0..<count {
            let entry = entries[place(index)]
            slots.insert(index, hash: hash(entry.reference))
            moved.append(entry)
        }
        entries = moved
        size = larger
        oldestNumber = 0
    }
}

/// Remembers the last `capacity` spans, in the order in which they came.
struct RecentReferences: Sendable {
    private struct Entry: ReferenceEntry {
        let reference: SpanReference
    }

    private var ring: ReferenceRing<Entry>

    init(capacity: Int) {
        ring = ReferenceRing(capacity: capacity)
    }

    var bytes: TableBytes { ring.bytes }

    /// Fetches what tells whether a span is remembered, and what one more changes, if `index` others come before.
    func prefetch(_ reference: SpanReference, after index: Int) {
        ring.prefetch(reference)
        if ring.count + index >= ring.capacity { ring.prefetchRemoval(ofOldest: ring.count + index - ring.capacity) }
    }

    /// Returns true if the span was not among the remembered ones.
    mutating func insert(_ reference: SpanReference) -> Bool {
        if ring.count < ring.capacity { return ring.insert(Entry(reference: reference)) }
        // It may be the oldest itself, which keeps its place.
        if ring.find(reference) != nil { return false }
        ring.removeOldest()
        return ring.insert(Entry(reference: reference))
    }
}
