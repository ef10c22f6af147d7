/// Remembers the last `capacity` keys, in the order in which they came.
struct RecentKeys<Key: Hashable & Sendable>: Sendable {
    private var known: Set<Key> = []
    private var ring: [Key] = []
    private var oldest = 0
    private let capacity: Int

    init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
    }

    /// True if the key was not among the remembered ones.
    mutating func insert(_ key: Key) -> Bool {
        guard known.insert(key).inserted else { return false }
        if ring.count < capacity {
            ring.append(key)
        } else {
            known.remove(ring[oldest])
            ring[oldest] = key
            oldest = (oldest + 1) % capacity
        }
        return true
    }
}
