import Model

/// Numbers foreign texts in the order in which they first come, up to a bound; what comes after it shares one number.
/// A look-up of a known text allocates nothing.
struct ForeignTextTable {
    /// Open addressing; 0 = free, else the index in `texts` plus one. A power of two, at most half full.
    private var slots = [Int32](repeating: 0, count: 64)
    private(set) var texts: [ForeignText] = []
    /// Numbers of texts that were taken out, for the next new ones.
    private var free: [Int] = []
    /// A smaller one takes no number away.
    var limit: Int
    /// Longer texts find no room either: each one stays in memory and goes on every page.
    static let maxTextBytes = 1024
    /// What stands for the texts without room. A text that reads so gets no number, or its series would come twice.
    static let other = ForeignText("_other")
    /// Texts that found no room, counted each time one comes.
    private(set) var refusals: UInt64 = 0

    init(limit: Int) {
        self.limit = limit
    }

    func isTaken(_ index: Int) -> Bool { index < texts.count && !texts[index].bytes.isEmpty }

    /// The number of a text that has one.
    func find(_ text: UnsafeRawBufferPointer) -> Int? {
        var slot = self.slot(of: text)
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if texts[index].bytes.count == text.count && texts[index].bytes.elementsEqual(text) { return index }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The number of the text; nil when it is new and there is no room.
    mutating func index(of text: UnsafeRawBufferPointer) -> Int? {
        if let known = find(text) { return known }
        let isOther = text.elementsEqual(Self.other.bytes)
        if text.isEmpty || text.count > Self.maxTextBytes || isOther || texts.count - free.count >= limit {
            refusals += 1
            return nil
        }
        let index = free.popLast() ?? texts.count
        if index == texts.count { texts.append(ForeignText(text)) } else { texts[index] = ForeignText(text) }
        fill(with: index)
        if texts.count * 2 > slots.count { refill(count: slots.count * 2) }
        return index
    }

    /// Takes texts out; others may get their numbers. Costs as much as the table is large.
    mutating func remove(_ indexes: [Int]) {
        if indexes.isEmpty { return }
        for index in indexes { texts[index] = ForeignText([]) }
        free += indexes
        refill(count: slots.count)
    }

    /// Seeded per process, so that nobody can choose texts that collide.
    private func slot(of text: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: text)
        return hasher.finalize() & (slots.count - 1)
    }

    private mutating func fill(with index: Int) {
        var slot = texts[index].bytes.withUnsafeBytes { self.slot(of: $0) }
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(index + 1)
    }

    private mutating func refill(count: Int) {
        slots = [Int32](repeating: 0, count: count)
        for index in texts.indices where isTaken(index) { fill(with: index) }
    }
}
