import Model

/// The queues of a server that documents name. Every server of a fleet may serve thousands: those of the highest priority stand for
/// them, in the order of their priorities and then of their names.
struct ServerQueues {
    static let maxCount = 100

    let first: [(name: QueueName, priority: Int64?)]
    let total: Int

    init(_ server: ServerSnapshot) {
        let names = Set(server.queues)
        total = names.count
        first = names.lazy.map { (name: $0, priority: server.priorities[$0]) }.first(Self.maxCount) {
            let (left, right) = ($0.priority ?? 0, $1.priority ?? 0)
            return left == right ? $0.name < $1.name : left > right
        }
    }
}

extension Sequence {
    /// Returns the elements that stand first in an order, in that order, without sorting the others.
    fileprivate func first(_ count: Int, by isBefore: (Element, Element) -> Bool) -> [Element] {
        var found: [Element] = []
        for element in self {
            if found.count == count, let last = found.last, !isBefore(element, last) { continue }
            var place = found.count
            while place > 0, isBefore(element, found[place - 1]) { place -= 1 }
            found.insert(element, at: place)
            if found.count > count { found.removeLast() }
        }
        return found
    }
}
