/// An item of a `Slab`, which can link to another one there.
protocol SlabItem: Sendable {
    /// The next free place, while this one is free.
    var nextFree: UInt32 { get set }
}

/// Items in one array that stay where they are; a place that has become free is the next one to be used.
struct Slab<Item: SlabItem>: Sendable {
    /// The number that stands for no place.
    static var none: UInt32 { .max }

    private let maxCount: Int
    private var items: [Item] = []
    private var firstFree = none
    private(set) var count = 0

    /// Makes a slab that grows to `maxCount` items; the owner adds no more.
    init(maxCount: Int) {
        precondition(maxCount < Int(UInt32.max))
        self.maxCount = maxCount
    }

    var bytes: TableBytes {
        // The allocator rounds up.
        TableBytes(
            used: items.capacity * MemoryLayout<Item>.stride, limit: maxCount * MemoryLayout<Item>.stride + 8192)
    }

    subscript(place: UInt32) -> Item {
        get { items[Int(place)] }
        _modify { yield &items[Int(place)] }
    }

    mutating func insert(_ item: Item) -> UInt32 {
        count += 1
        let place = firstFree
        if place != Self.none {
            firstFree = items[Int(place)].nextFree
            items[Int(place)] = item
            return place
        }
        precondition(items.count < maxCount)
        if items.count == items.capacity { items.reserveCapacity(min(max(16, 2 * items.count), maxCount)) }
        items.append(item)
        return UInt32(items.count - 1)
    }

    mutating func remove(_ place: UInt32) {
        items[Int(place)].nextFree = firstFree
        firstFree = place
        count -= 1
    }
}
