import Metrics
package import Model

/// The queues that a good scrape of Redis saw, which can be looked up without an allocation.
package struct QueuesInRedis: Sendable {
    private var table = BoundedTextTable(limit: .max)

    package init(_ names: [QueueName] = []) {
        for name in names { _ = name.bytes.withUnsafeBytes { table.number(of: $0) } }
    }

    func contains(_ name: UnsafeRawBufferPointer) -> Bool { table.find(name) != nil }
}

/// Numbers the queues that spans name, from 1 on; those that do not fit have the number 0, which stands for `_other`.
/// The limit holds for those that only spans name: a sender may put ids into names, but what Redis knows exists anyway.
/// A queue that Redis does not know loses its number once its spans have ceased; the next new one gets it.
struct QueueNumbers {
    private struct Use {
        /// The number of queues that have lost the number.
        var generation: UInt32 = 0
        var lastSpan = MonotonicTime(nanoseconds: 0)
    }

    private var table = BoundedTextTable(limit: .max)
    /// The uses by number.
    private var uses = [Use()]
    private var inRedis = QueuesInRedis()
    /// The number of queues that Redis does not know.
    private var outsideRedis = 0
    /// The limit. A smaller one takes no number away.
    var limit: Int
    /// The number of spans whose queue did not fit.
    private(set) var refusals: UInt64 = 0

    init(limit: Int) {
        self.limit = limit
    }

    func text(_ number: Int) -> ForeignText { table.texts[number] }
    func label(_ number: Int) -> LabelText { table.labels[number] }
    /// The number of names that were cut.
    var cuts: UInt64 { table.cuts }
    func isTaken(_ number: Int) -> Bool { table.isTaken(number) }
    func generation(_ number: Int) -> UInt32 { uses[number].generation }
    func find(_ name: QueueName) -> Int? { name.bytes.withUnsafeBytes { table.find($0) } }

    /// Returns the number of a queue that a span names; 0 when it is new and does not fit.
    ///
    /// - Parameter hasSpace: Says whether a new one fits into memory.
    mutating func number(
        of name: UnsafeRawBufferPointer, at now: MonotonicTime, hasSpace: Bool
    ) -> (number: Int, isNew: Bool) {
        if let known = table.find(name) {
            uses[known].lastSpan = now
            return (known, false)
        }
        let isInRedis = inRedis.contains(name)
        let number =
            isInRedis || outsideRedis < limit ? table.number(of: name, hasSpace: hasSpace) : BoundedTextTable.other
        guard number != BoundedTextTable.other else {
            refusals += 1
            return (number, false)
        }
        if number == uses.count { uses.append(Use()) }
        uses[number].lastSpan = now
        if !isInRedis { outsideRedis += 1 }
        return (number, true)
    }

    /// Records what a good scrape saw. Returns the numbers of the queues that lose them: those that Redis does not
    /// know, and that had no span for longer than `idle`.
    mutating func recordQueuesInRedis(_ queues: QueuesInRedis, at now: MonotonicTime, idle: Duration) -> [Int] {
        inRedis = queues
        outsideRedis = 0
        var lost: [Int] = []
        for number in uses.indices.dropFirst() where table.isTaken(number) {
            if table.texts[number].bytes.withUnsafeBytes({ queues.contains($0) }) { continue }
            if now.duration(since: uses[number].lastSpan) > idle {
                uses[number].generation &+= 1
                lost.append(number)
            } else {
                outsideRedis += 1
            }
        }
        table.remove(lost)
        return lost
    }
}
