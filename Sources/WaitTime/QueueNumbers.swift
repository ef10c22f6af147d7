package import Model

/// The queues that a good scrape of Redis saw, to be looked up without an allocation.
package struct QueuesInRedis: Sendable {
    private var table = ForeignTextTable(limit: .max)

    package init(_ names: [QueueName] = []) {
        for name in names { _ = name.bytes.withUnsafeBytes { table.index(of: $0) } }
    }

    func contains(_ name: UnsafeRawBufferPointer) -> Bool { table.find(name) != nil }
}

/// Numbers the queues that spans name. A limit holds for those that only spans name: somebody may put ids into names, but what
/// Redis knows is there anyway. A queue that Redis knew and knows no more loses its number once its spans have ceased; the next
/// new one gets it.
struct QueueNumbers {
    private struct Use {
        /// Counts up with each queue that loses the number.
        var generation: UInt32 = 0
        /// Or was when it was seen last: a queue whose spans go on stays.
        var isInRedis = false
        var lastSpan = MonotonicTime(nanoseconds: 0)
    }

    private var table = ForeignTextTable(limit: .max)
    /// By number.
    private var uses: [Use] = []
    private var inRedis = QueuesInRedis()
    /// Queues that Redis does not know.
    private var outsideRedis = 0
    /// A smaller one takes no number away.
    var limit: Int
    /// Spans whose queue found no room.
    private(set) var refusals: UInt64 = 0

    init(limit: Int) {
        self.limit = limit
    }

    func text(_ number: Int) -> ForeignText { table.texts[number] }
    func isTaken(_ number: Int) -> Bool { table.isTaken(number) }
    func generation(_ number: Int) -> UInt32 { number >= 0 ? uses[number].generation : 0 }
    func find(_ name: QueueName) -> Int? { name.bytes.withUnsafeBytes { table.find($0) } }

    /// The number of a queue that a span names; nil when it is new and there is no room.
    mutating func number(of name: UnsafeRawBufferPointer, at now: MonotonicTime) -> (index: Int, isNew: Bool)? {
        if let known = table.find(name) {
            uses[known].lastSpan = now
            return (known, false)
        }
        let isInRedis = inRedis.contains(name)
        guard isInRedis || outsideRedis < limit, let index = table.index(of: name) else {
            refusals += 1
            return nil
        }
        if index == uses.count { uses.append(Use()) }
        uses[index].isInRedis = isInRedis
        uses[index].lastSpan = now
        if !isInRedis { outsideRedis += 1 }
        return (index, true)
    }

    /// Takes what a good scrape saw. Returns the numbers that queues have lost that were there before, are not now, and had no
    /// span for so long.
    mutating func use(_ queues: QueuesInRedis, at now: MonotonicTime, idleNanoseconds: UInt64) -> [Int] {
        inRedis = queues
        outsideRedis = 0
        var lost: [Int] = []
        for index in uses.indices where table.isTaken(index) {
            if table.texts[index].bytes.withUnsafeBytes({ queues.contains($0) }) {
                uses[index].isInRedis = true
            } else if uses[index].isInRedis && now.nanoseconds(since: uses[index].lastSpan) > idleNanoseconds {
                uses[index].isInRedis = false
                uses[index].generation &+= 1
                lost.append(index)
            } else {
                outsideRedis += 1
            }
        }
        table.remove(lost)
        return lost
    }
}
