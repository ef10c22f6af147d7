import Model

/// The table of queues: as many columns as fit, the name as wide as it may be.
struct TopTable {
    private struct Column {
        let title: String
        let width: Int
        /// The width below which a screen does without the column.
        let leastColumns: Int
        /// The order that sorts by it.
        var order: TopState.Order?
        var alignment = Line.Alignment.right
        let cell: (TopQueue) -> (text: String, style: Style)
    }

    private let columns: [Column]
    private let nameWidth: Int

    private static let markWidth = 3
    private static let nameWidths = 10...40

    init(_ queues: [TopQueue], columns screen: Int, historySeconds: Double?) {
        let largest = queues.compactMap { $0.sizes[.pending] }.max() ?? 0
        let shown = Self.columns(largestPending: largest).filter { $0.leastColumns <= screen }
        let taken = Self.markWidth + shown.reduce(0) { $0 + $1.width + 1 }
        let longest = queues.map { TerminalText.width(TerminalText.name($0.name)) }.max() ?? 0
        let wanted = max(5, min(longest, Self.nameWidths.upperBound))
        nameWidth = max(Self.nameWidths.lowerBound, min(wanted, screen - taken))
        let rest = screen - taken - nameWidth - 1
        // The rest of the width shows the hour.
        columns = shown + (rest >= 16 ? [Self.sparkline(width: min(rest, 60), historySeconds)] : [])
    }

    func heading(_ order: TopState.Order) -> Line {
        var line = Line(String(repeating: " ", count: Self.markWidth))
        line.add("QUEUE", order == .name ? .bold : .dim, width: nameWidth)
        for column in columns {
            line.add(" ")
            let isOrder = column.order == order
            line.add(column.title, isOrder ? .bold : .dim, width: column.width, column.alignment)
        }
        return line
    }

    func line(_ queue: TopQueue) -> Line {
        let (mark, style) = TopFrame.mark(queue.severity)
        var line = Line(mark, style)
        line.add(TerminalText.name(queue.name), style, width: nameWidth)
        for column in columns {
            line.add(" ")
            let cell = column.cell(queue)
            line.add(cell.text, cell.style, width: column.width, column.alignment)
        }
        return line
    }

    private static func columns(largestPending: Int64) -> [Column] {
        [
            Column(title: "PENDING", width: 7, leastColumns: 0, order: .pending) { queue in
                (Quantity.count(queue.sizes[.pending]), .plain)
            },
            Column(title: "", width: 10, leastColumns: 96, alignment: .left) { queue in
                let share = Double(queue.sizes[.pending] ?? 0) / Double(max(1, largestPending))
                return (Bars.horizontal(share, cells: 10), queue.isPaused == true ? .warning : .info)
            },
            Column(title: "RUN", width: 5, leastColumns: 0) { (Quantity.count($0.sizes[.active]), .plain) },
            Column(title: "SLOTS", width: 5, leastColumns: 120) { (Quantity.count($0.concurrency), .plain) },
            Column(title: "LATER", width: 6, leastColumns: 128) { (Quantity.count($0.sizes[.scheduled]), .plain) },
            Column(title: "RETRY", width: 6, leastColumns: 0, order: .retry) { count($0, .retry) },
            Column(title: "DEAD", width: 6, leastColumns: 0, order: .dead) { count($0, .archived) },
            Column(title: "OLDEST", width: 7, leastColumns: 0, order: .oldest) { queue in
                (queue.sizes[.pending] == 0 ? Quantity.unknown : Quantity.seconds(queue.oldestSeconds), .plain)
            },
            Column(title: "p50", width: 7, leastColumns: 140) { ($0.waitText($0.waitP50), .plain) },
            Column(title: "WAIT95", width: 7, leastColumns: 0, order: .wait) { ($0.waitText($0.waitP95), .plain) },
            Column(title: "p99", width: 7, leastColumns: 148) { ($0.waitText($0.waitP99), .plain) },
            Column(title: "IN/s", width: 5, leastColumns: 72, order: .arrivals) { queue in
                (Quantity.rate(queue.enqueuedPerSecond), .plain)
            },
            Column(title: "DONE/s", width: 6, leastColumns: 72) { (Quantity.rate($0.completedPerSecond), .plain) },
            Column(title: "FAIL/s", width: 6, leastColumns: 104, order: .failures) { queue in
                (Quantity.rate(queue.failedPerSecond), (queue.failedPerSecond ?? 0) > 0 ? .warning : .plain)
            },
            Column(title: "DRAINS", width: 7, leastColumns: 80) { drain($0) },
        ]
    }

    private static func count(_ queue: TopQueue, _ state: TaskState) -> (text: String, style: Style) {
        let number = queue.sizes[state]
        return (Quantity.count(number), number == 0 || number == nil ? .plain : TopFrame.stateStyle(state, number))
    }

    /// Returns the time until the queue is empty.
    static func drain(_ queue: TopQueue) -> (text: String, style: Style) {
        if queue.isPaused == true { return ("paused", .warning) }
        if queue.sizes[.pending] == 0 { return (Quantity.unknown, .plain) }
        return switch queue.drains {
        case .yes: (Quantity.seconds(queue.drainSeconds), .plain)
        case .no: ("never", .warning)
        case .steady: ("steady", .plain)
        case .unknown: (Quantity.unknown, .plain)
        }
    }

    /// Returns the heading `LAST HOUR`, or less where the collector has not run so long.
    static func span(_ historySeconds: Double?) -> String {
        guard let historySeconds, historySeconds < 3500 else { return "last hour" }
        return "last \(Quantity.seconds(historySeconds))"
    }

    private static func sparkline(width: Int, _ historySeconds: Double?) -> Column {
        Column(title: "PENDING, \(span(historySeconds))", width: width, leastColumns: 0, alignment: .left) { queue in
            (Bars.sparkline(queue.history["pending"] ?? [], cells: width), .info)
        }
    }
}
