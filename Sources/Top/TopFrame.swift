package import Model

/// One picture of the state: lines for a screen of `columns` and `rows`, without a terminal.
///
/// ```
/// banner                  the demo's addresses
/// header                  which collector, how fresh; Redis and traces; totals
/// what needs attention    worst first, wrapped, as many as leave space for the queues
/// queues                  a page of them; or one queue, opened; or the help
/// notices                 the demo's story
/// footer                  keys, order, filter
/// ```
package struct TopFrame {
    package let lines: [Line]
    /// The number of queues, or of lines of an opened queue, that fit.
    package let page: Int
    /// The last position to which an opened queue can be scrolled.
    package let lastScroll: Int

    /// - Parameter rows: The height of the screen; nil for a text of any length, without keys.
    package init(_ state: TopState, columns: Int, rows: Int?, at now: WallTime) {
        let columns = max(20, columns)
        let top = state.banner + Self.header(state, columns: columns, now: now) + [Line()]
        let notices = Self.notices(state, rows: rows)
        let bottom = rows == nil ? [] : notices + [Self.footer(state, columns)]
        let space = rows.map { max(1, $0 - top.count - bottom.count) }
        let body: (lines: [Line], page: Int, lastScroll: Int)
        if state.showsHelp {
            body = (TopHelp.lines(columns: columns), 1, 0)
        } else if state.openQueue != nil {
            body = Self.opened(state, columns: columns, space: space, now: now)
        } else {
            body = Self.list(state, columns, space: space)
        }
        var lines = top + body.lines
        if let rows {
            let height = max(1, rows - bottom.count)
            lines = Array(lines.prefix(height))
            lines += [Line](repeating: Line(), count: height - lines.count) + bottom
            lines = Array(lines.suffix(rows))
        }
        self.lines = lines.map { $0.cut(to: columns) }
        page = body.page
        lastScroll = body.lastScroll
    }

    // MARK: The header

    private static func header(_ state: TopState, columns: Int, now: WallTime) -> [Line] {
        guard let document = state.document else {
            return [Line("asynq-collector", .bold), Line(state.failure ?? "waiting for the first answer", .dim)]
        }
        return [
            identity(document, state, columns: columns, now: now), sources(document, state, columns: columns),
            totals(document.totals, columns),
        ]
    }

    /// Returns the name of the collector, and on the right the age of what follows.
    private static func identity(
        _ document: TopDocument, _ state: TopState, columns: Int, now: WallTime
    ) -> Line {
        let collector = document.collector
        var left = Line("asynq-collector", .bold)
        if let version = collector.version { left.add(" \(version)") }
        if let host = collector.host { left.add(" on \(host)") }
        if let started = collector.startedAt, let made = document.now {
            left.add(", up \(Quantity.seconds(seconds(from: started, to: made)))", .dim)
        }
        let right: Line
        if state.failure != nil {
            let last = state.documentAt.map { ", last data \(state.clockText($0))" } ?? ""
            right = Line("connection lost\(last)", .critical)
        } else {
            let age = state.documentAt.map { seconds(from: $0, to: now) } ?? 0
            right = Line(age < 1 ? "updated now" : "updated \(Quantity.seconds(age.rounded())) ago", .dim)
        }
        var line = left.cut(to: max(0, columns - right.width - 1))
        line.pad(to: columns - right.width)
        line.add(right)
        return line
    }

    /// Returns the state of Redis and of the trace backend. If that is too much for a line, Redis goes without its
    /// address.
    private static func sources(_ document: TopDocument, _ state: TopState, columns: Int) -> Line {
        let traces = traces(document)
        var line = redis(document, state, named: document.collector.redis ?? "Redis")
        if line.width + traces.width > columns { line = redis(document, state, named: "Redis") }
        line.add(traces)
        return line
    }

    private static func redis(_ document: TopDocument, _ state: TopState, named name: String) -> Line {
        let redis = document.redis
        switch redis.state {
        case "off": return Line("Redis is not read", .dim)
        case "stale":
            let since = redis.readAt.map { " since \(state.clockText($0))" } ?? ""
            return Line("\(name) can't be read\(since): \(redis.error ?? "no reason known")", .critical)
        case "unread": return Line("\(name) was not read yet\(redis.error.map { ": \($0)" } ?? "")", .warning)
        default:
            guard let read = redis.readAt, let made = document.now else { return Line(name, .dim) }
            return Line("\(name), read \(Quantity.seconds(seconds(from: read, to: made))) ago", .dim)
        }
    }

    private static func traces(_ document: TopDocument) -> Line {
        guard document.collector.tempo != nil || document.isForwarderUp != nil else { return Line() }
        var line = Line(" · ", .dim)
        switch document.isForwarderUp {
        case true?: line.add("traces are forwarded", .dim)
        case false?: line.add("trace backend down", .critical)
        case nil: line.add("traces: \(document.forwarderState ?? "unknown")", .dim)
        }
        if let spool = document.spool, let bytes = spool.bytes, let capacity = spool.capacityBytes, capacity > 0 {
            let share = max(0, min(1, bytes / capacity))
            let percent = share > 0 && share < 0.01 ? "<1" : String(Int(share * 100))
            let full = spool.fullInSeconds.map { ", full in \(Quantity.seconds($0))" } ?? ""
            line.add(", spool \(percent) % full\(full)", share >= 0.5 ? .warning : .dim)
        }
        return line
    }

    private static func totals(_ totals: TopQueue, _ columns: Int) -> Line {
        var line = Line()
        let states: [TaskState] =
            columns < 100
            ? [.pending, .active, .retry, .archived] : [.pending, .active, .scheduled, .retry, .archived]
        for state in states {
            let number = totals.sizes[state]
            line.add(Quantity.count(number), .bold)
            line.add(" \(state == .archived ? "dead" : state.rawValue)  ", stateStyle(state, number))
        }
        line.add("· in ", .dim)
        line.add("\(Quantity.rate(totals.enqueuedPerSecond))/s")
        line.add("  done ", .dim)
        line.add("\(Quantity.rate(totals.completedPerSecond))/s")
        line.add("  failed ", .dim)
        let failed = totals.failedPerSecond ?? 0
        line.add("\(Quantity.rate(totals.failedPerSecond))/s", failed > 0 ? .warning : .plain)
        return line
    }

    static func stateStyle(_ state: TaskState, _ number: Int64?) -> Style {
        switch state {
        case .archived where (number ?? 0) > 0: .critical
        case .retry where (number ?? 0) > 0: .warning
        default: .dim
        }
    }

    // MARK: The list

    private static func list(
        _ state: TopState, _ columns: Int, space: Int?
    ) -> (lines: [Line], page: Int, lastScroll: Int) {
        // It is a third of the screen, or the lines that the queues do not need.
        let most = space.map { max(1, $0 / 3, $0 - state.rows.count - 2) } ?? .max
        var lines = attention(state.document, columns: columns, most: most) + [Line()]
        let page = space.map { max(1, $0 - lines.count - 1) } ?? state.rows.count
        if state.rows.isEmpty {
            let isEmpty = state.document?.queues.isEmpty ?? true
            lines.append(Line(isEmpty ? "No queues yet." : "No queue's name has \"\(state.filter)\" in it.", .dim))
            return (lines, page, 0)
        }
        let index = state.selectedIndex ?? 0
        let first = max(0, min(index / max(1, page) * page, state.rows.count - page))
        let table = TopTable(state.rows, columns: columns, historySeconds: state.document?.historySeconds)
        lines.append(table.heading(state.order))
        for (offset, queue) in state.rows[first..<min(first + page, state.rows.count)].enumerated() {
            var line = table.line(queue)
            if space != nil && first + offset == index {
                line.pad(to: columns)
                line.isSelected = true
            }
            lines.append(line)
        }
        return (lines, page, 0)
    }

    /// Returns at most `most` lines of what needs attention, the worst first. Where there is no space for all, what concerns
    /// everything stays.
    static func attention(_ document: TopDocument?, columns: Int, most: Int) -> [Line] {
        guard let troubles = document?.troubles else { return [] }
        let count = document?.troubleCount ?? 0
        if count == 0 {
            return document.map { calm($0, columns: columns, most: most) } ?? []
        }
        let texts = troubles.map { sentence($0, columns: columns) }
        if count == troubles.count, texts.joined().count <= most { return Array(texts.joined()) }
        let others = troubles.indices.dropFirst()
        let byImportance =
            troubles.indices.prefix(1) + others.filter { troubles[$0].isGlobal }
            + others.filter { !troubles[$0].isGlobal }
        var shown: Set<Int> = []
        // A line stays free for the number of the others.
        var free = most - 1
        for index in byImportance {
            if texts[index].count > free && !shown.isEmpty { break }
            shown.insert(index)
            free -= texts[index].count
        }
        return shown.sorted().flatMap { texts[$0] } + (shown.count < count ? [more(count - shown.count)] : [])
    }

    /// Returns the lines that say that nothing is wrong, as far as that is known.
    private static func calm(_ document: TopDocument, columns: Int, most: Int) -> [Line] {
        if document.redis.state == "unread" { return [Line("Nothing is known yet.", .dim)] }
        let looked = document.lookedAt.map { TerminalText.escaped($0) }
        let (text, style): (String, Style) =
            document.hasLookedLongEnough
            ? ("✓ Nothing needs attention." + (looked.map { " Looked at: \($0)." } ?? ""), .good)
            : (
                "Nothing needs attention so far; some conditions take a minute to tell."
                    + (looked.map { " Looking at: \($0)." } ?? ""), .plain
            )
        return TerminalText.wrapped(text, to: columns, maxLines: min(most, 3)).map { Line($0, style) }
    }

    private static func more(_ count: Int) -> Line {
        Line("   and \(Quantity.count(Int64(count))) more", .dim)
    }

    private static func sentence(_ trouble: TopDocument.Trouble, columns: Int) -> [Line] {
        let (mark, style) = mark(trouble.severity)
        let texts = TerminalText.wrapped(TerminalText.escaped(trouble.sentence), to: columns - 3, maxLines: 2)
        return texts.enumerated().map { index, text in
            var line = Line(index == 0 ? mark : "   ", style)
            line.add(text, trouble.severity == .info || !trouble.isFiring ? .plain : style)
            return line
        }
    }

    /// Returns the mark of a severity, in three cells.
    static func mark(_ severity: TopDocument.Severity?) -> (text: String, style: Style) {
        switch severity {
        case .critical: ("!! ", .critical)
        case .warning: (" ! ", .warning)
        case .info: (" · ", .info)
        case nil: ("   ", .plain)
        }
    }

    // MARK: An opened queue

    private static func opened(
        _ state: TopState, columns: Int, space: Int?, now: WallTime
    ) -> (lines: [Line], page: Int, lastScroll: Int) {
        let lines = TopQueueView(state, columns: columns, now: now).lines
        guard let space else { return (lines, lines.count, 0) }
        let last = max(0, lines.count - space)
        return (Array(lines.dropFirst(min(state.scroll, last)).prefix(space)), space, last)
    }

    // MARK: The bottom

    private static func notices(_ state: TopState, rows: Int?) -> [Line] {
        guard let rows, !state.notices.isEmpty else { return [] }
        let shown = state.notices.suffix(max(2, min(10, (rows - 12) / 4)))
        let lines = shown.enumerated().map { index, notice in
            var line = Line("\(notice.time) ", .dim)
            line.add(notice.text, index == shown.count - 1 ? .bold : .plain)
            return line
        }
        return [Line()] + lines
    }

    private static func footer(_ state: TopState, _ columns: Int) -> Line {
        var left = Line()
        if state.isEditingFilter {
            left.add("filter: ", .bold)
            left.add("\(state.filter)_")
            left.add("  enter keeps it, esc ends it", .dim)
        } else if state.openQueue != nil {
            left.add("esc back  ↑↓ scroll  ? help  q quit", .dim)
        } else {
            left.add("q quit  ? help  / filter  s sort  ↑↓ enter open", .dim)
        }
        var right = Line()
        if state.openQueue == nil && !state.showsHelp {
            let count = state.document?.queues.count ?? 0
            let shown = state.rows.count == count ? "" : "\(Quantity.count(Int64(state.rows.count))) of "
            right.add(
                "\(shown)\(Quantity.count(Int64(count))) queue\(count == 1 ? "" : "s") by \(state.order.rawValue)", .dim
            )
        }
        var line = left.cut(to: columns)
        if line.width + 2 + right.width <= columns {
            line.pad(to: columns - right.width)
            line.add(right)
        }
        return line
    }

    static func seconds(from earlier: WallTime, to later: WallTime) -> Double {
        max(0, Double(later.nanoseconds(since: earlier)) / 1e9)
    }
}
