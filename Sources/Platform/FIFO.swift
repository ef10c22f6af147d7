/// First in, first out. What was taken is held no longer, and a line that never empties stays as short as what waits in it.
package struct FIFO<Element> {
    /// Those before `first` were taken: nil.
    private var places: [Element?] = []
    private var first = 0

    package init() {}

    package var count: Int { places.count - first }
    package var isEmpty: Bool { count == 0 }

    package mutating func append(_ element: Element) {
        places.append(element)
    }

    package mutating func popFirst() -> Element? {
        guard first < places.count else { return nil }
        let element = places[first].take()
        first += 1
        // At most as many empty places as others are moved over: each element moves once, on average.
        if first * 2 >= places.count {
            places.removeFirst(first)
            first = 0
        }
        return element
    }

    /// Takes out those that are not to stay, in their order.
    package mutating func removeAll(where isRemoved: (Element) -> Bool) -> [Element] {
        let all = places[first...].compactMap(\.self)
        places = all.filter { !isRemoved($0) }
        first = 0
        return all.filter(isRemoved)
    }
}

extension FIFO: Sendable where Element: Sendable {}
