package import Model

/// The content of the terminal view and the choices of the user: keys and documents in, frames out (`TopFrame`).
package struct TopState: Sendable {
    package enum Effect: Equatable, Sendable {
        case none
        /// Another queue has to be asked for, or none.
        case opened
        case redraw
        case quit
    }

    /// The order of the queues.
    package enum Order: String, CaseIterable, Sendable {
        case trouble, name, pending, retry, dead, oldest, wait, arrivals, failures

        var next: Order {
            let all = Order.allCases
            let index = all.firstIndex(of: self) ?? 0
            return all[(index + 1) % all.count]
        }
    }

    /// A line beside the queues, such as an event of the demo.
    package struct Notice: Sendable, Equatable {
        let time: String
        let text: String

        package init(time: String, text: String) {
            self.time = time
            self.text = text
        }
    }

    package private(set) var document: TopDocument?
    /// The time at which the document came.
    package private(set) var documentAt: WallTime?
    /// The reason why the last question was not answered; nil where it was.
    package private(set) var failure: String?
    package private(set) var queueDocument: TopQueueDocument?
    /// The reason why the document of the opened queue did not come when it was asked for last; nil where it did.
    package private(set) var queueFailure: String?
    package private(set) var rows: [TopQueue] = []
    package private(set) var order = Order.trouble
    package private(set) var filter = ""
    package private(set) var isEditingFilter = false
    package private(set) var showsHelp = false
    /// The name of the queue that is opened.
    package private(set) var openQueue: String?
    /// The queue that the user has moved to.
    private var chosen: String?
    /// The first line that is shown of an opened queue.
    package private(set) var scroll = 0
    /// The lines above all others.
    package var banner: [Line] = []
    /// The notices; the newest is the last.
    package var notices: [Notice] = []
    /// Returns a time as a clock on the wall shows it.
    package var clockText: @Sendable (WallTime) -> String = { time in TopClock.utc(time) }

    package init() {}

    // MARK: What comes from the collector

    /// - Parameter document: The document; nil where it is as it was.
    package mutating func show(_ document: TopDocument?, at time: WallTime) {
        documentAt = time
        failure = nil
        guard let document else { return }
        self.document = document
        arrange()
    }

    /// Records that no document came. The last one stays, with its age.
    package mutating func recordFailure(_ reason: String) {
        failure = reason
    }

    package mutating func show(_ document: TopQueueDocument, of queue: String) {
        if queue == openQueue { (queueDocument, queueFailure) = (document, nil) }
    }

    /// Records that the queue's document did not come. The known one stays.
    package mutating func recordFailure(_ reason: String, of queue: String) {
        if queue == openQueue { queueFailure = reason }
    }

    /// Sorts and filters the queues.
    private mutating func arrange() {
        let wanted = filter.lowercased()
        let all = document?.queues ?? []
        let places = troublePlaces()
        rows =
            all.filter { wanted.isEmpty || $0.name.lowercased().contains(wanted) }
            .sorted { order.precedes($0, $1, places: places) }
    }

    /// Returns the place of the first trouble of each queue.
    private func troublePlaces() -> [String: Int] {
        let named = (document?.troubles ?? []).enumerated().compactMap { index, trouble in
            trouble.queue.map { ($0, index) }
        }
        return Dictionary(named) { first, _ in first }
    }

    // MARK: Keys

    /// - Parameter page: The number of queues that fit on the screen.
    package mutating func handle(_ key: TopKey, page: Int) -> Effect {
        if key == .interrupt { return .quit }
        if key == .redraw { return .redraw }
        if isEditingFilter { return editFilter(key) }
        if showsHelp {
            showsHelp = false
            return key == .character("q") ? .quit : .none
        }
        switch key {
        case .character("q"), .character("Q"): return .quit
        case .character("?"), .character("h"): showsHelp = true
        default: return openQueue == nil ? handleInList(key, page: page) : handleInQueue(key, page: page)
        }
        return .none
    }

    private mutating func handleInList(_ key: TopKey, page: Int) -> Effect {
        switch key {
        case .character("/"), .character("f"): isEditingFilter = true
        case .character("s"):
            order = order.next
            arrange()
        case .escape:
            filter = ""
            arrange()
        case .up, .character("k"): moveSelection(by: -1)
        case .down, .character("j"): moveSelection(by: 1)
        case .pageUp: moveSelection(by: -max(1, page))
        case .pageDown, .character(" "): moveSelection(by: max(1, page))
        case .home: moveSelection(by: -rows.count)
        case .end: moveSelection(by: rows.count)
        case .enter, .right:
            guard let selected else { return .none }
            openQueue = selected
            (queueDocument, queueFailure) = (nil, nil)
            scroll = 0
            return .opened
        default: break
        }
        return .none
    }

    private mutating func handleInQueue(_ key: TopKey, page: Int) -> Effect {
        switch key {
        case .escape, .left, .backspace, .enter:
            openQueue = nil
            (queueDocument, queueFailure) = (nil, nil)
            return .opened
        case .up, .character("k"): scroll -= 1
        case .down, .character("j"): scroll += 1
        case .pageUp: scroll -= max(1, page)
        case .pageDown, .character(" "): scroll += max(1, page)
        case .home: scroll = 0
        default: break
        }
        scroll = max(0, scroll)
        return .none
    }

    private mutating func editFilter(_ key: TopKey) -> Effect {
        switch key {
        case .character(let character): if filter.count < 100 { filter.append(character) }
        case .backspace: if filter.isEmpty { isEditingFilter = false } else { filter.removeLast() }
        case .escape:
            filter = ""
            isEditingFilter = false
        case .enter, .up, .down: isEditingFilter = false
        default: break
        }
        arrange()
        return .none
    }

    private mutating func moveSelection(by count: Int) {
        guard !rows.isEmpty else { return }
        let index = selectedIndex ?? 0
        chosen = rows[min(max(0, index + count), rows.count - 1)].name
    }

    /// The place of the queue that was chosen, wherever the order puts it; the first place where none was, or it is
    /// gone.
    package var selectedIndex: Int? { rows.firstIndex { $0.name == chosen } ?? (rows.isEmpty ? nil : 0) }

    package var selected: String? { selectedIndex.map { rows[$0].name } }

    /// Limits the scrolling of an opened queue, whose lines end at `last`.
    package mutating func limitScroll(to last: Int) {
        scroll = min(scroll, max(0, last))
    }
}

extension TopState.Order {
    /// - Parameter places: The place of each queue in trouble in the list of what needs attention.
    fileprivate func precedes(_ left: TopQueue, _ right: TopQueue, places: [String: Int]) -> Bool {
        switch self {
        case .trouble:
            let severities = (left.severity?.rawValue ?? -1, right.severity?.rawValue ?? -1)
            if severities.0 != severities.1 { return severities.0 > severities.1 }
            let order = (places[left.name] ?? .max, places[right.name] ?? .max)
            if order.0 != order.1 { return order.0 < order.1 }
            return Self.descending(by: \.sizes[.pending], left, right)
        case .name: return left.name < right.name
        case .pending: return Self.descending(by: \.sizes[.pending], left, right)
        case .retry: return Self.descending(by: \.sizes[.retry], left, right)
        case .dead: return Self.descending(by: \.sizes[.archived], left, right)
        case .oldest: return Self.descending(by: \.oldestSeconds, left, right)
        case .wait: return Self.descending(by: \.waitP95, left, right)
        case .arrivals: return Self.descending(by: \.enqueuedPerSecond, left, right)
        case .failures: return Self.descending(by: \.failedPerSecond, left, right)
        }
    }

    /// Returns true if the left value comes first: the largest first, unknown ones last, equal ones by name.
    private static func descending<Value: Comparable>(
        by value: (TopQueue) -> Value?, _ left: TopQueue, _ right: TopQueue
    ) -> Bool {
        switch (value(left), value(right)) {
        case (let first?, let second?) where first != second: first > second
        case (.some, .none): true
        case (.none, .some): false
        default: left.name < right.name
        }
    }
}
