/// A queue: first in, first out. An element that was taken is released at once, and a queue that never empties takes
/// memory for its waiting elements only.
package struct FIFO<Element> {
    /// The elements. The places before `first` are nil: those were taken.
    private var places: [Element?] = []
    private var first = 0

    package init() {}

    package var count: Int { places.count - first }
    package var isEmpty: Bool { count == 0 }

    /// The element that is taken next.
    package var next: Element? { first < places.count ? places[first] : nil }

    package mutating func append(_ element: Element) {
        places.append(element)
    }

    package mutating func popFirst() -> Element? {
        guard first < places.count else { return nil }
        let element = places[first].take()
        first += 1
        // No more elements are moved than places are freed, so each element moves once on average.
        if first * 2 >= places.count {
            places.removeFirst(first)
            first = 0
        }
        return element
    }

    /// Removes the elements for which `isRemoved` is true, and returns them in their order.
    package mutating func removeAll(where isRemoved: (Element) -> Bool) -> [Element] {
        let all = places[first...].compactMap(\.self)
        places = all.filter { !isRemoved($0) }
        first = 0
        return all.filter(isRemoved)
    }
}

extension FIFO: Sendable where Element: Sendable {}
