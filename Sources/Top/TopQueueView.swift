import Model

/// One queue, opened: all states, waits and rates, charts of the hour, errors, dead letters, retries, slow waits.
struct TopQueueView {
    let lines: [Line]

    private static let chartRows = 4

    init(_ state: TopState, columns: Int, now: WallTime) {
        let name = state.openQueue ?? ""
        let document = state.queueDocument
        guard let queue = document?.queue ?? state.document?.queues.first(where: { $0.name == name }) else {
            lines = [Line(TerminalText.name(name), .bold), Line("This queue is gone.", .warning)]
            return
        }
        var all = [Line(TerminalText.name(name), .bold)]
        if queue.isPaused == true { all[0].add("  paused", .warning) }
        for trouble in Self.troubles(of: name, state) {
            let (mark, style) = TopFrame.mark(trouble.severity)
            let texts = TerminalText.wrapped(TerminalText.escaped(trouble.sentence), to: columns - 3, maxLines: 3)
            all += texts.enumerated().map { Line(($0 == 0 ? mark : "   ") + $1, style) }
        }
        if let failure = state.queueFailure {
            let known =
                document == nil ? "Only what the overview says of the queue is known" : "Its last state is shown"
            all.append(Line("\(known): \(failure)", .warning))
        }
        all += Self.states(queue, columns) + [Self.waits(queue), Self.rates(queue), Line()]
        all += Self.charts(queue, columns, span: TopTable.span(state.document?.historySeconds))
        if let document { all += TopQueueLists(document, columns: columns, now: state.document?.now ?? now).lines }
        lines = all
    }

    /// Returns the troubles that the document of the queue names: they are of the same moment as its numbers. Before there is one,
    /// returns those that the overview names.
    private static func troubles(of name: String, _ state: TopState) -> [TopDocument.Trouble] {
        state.queueDocument?.troubles ?? state.document?.troubles?.filter { $0.queue == name } ?? []
    }

    /// Returns the states as one bar, and their numbers.
    private static func states(_ queue: TopQueue, _ columns: Int) -> [Line] {
        let looks: [(state: TaskState, style: Style, block: String)] = [
            (.active, .good, "█"), (.pending, .info, "█"), (.retry, .warning, "▓"), (.archived, .critical, "█"),
            (.scheduled, .plain, "░"), (.aggregating, .plain, "▒"), (.completed, .dim, "░"),
        ]
        var numbers = Line()
        for look in looks {
            numbers.add("\(look.block) ", look.style)
            numbers.add(Quantity.count(queue.sizes[look.state]), .bold)
            numbers.add(" \(look.state == .archived ? "dead" : look.state.rawValue)  ", .dim)
        }
        var bar = Line()
        let shares = Bars.shares(looks.map { Double(max(0, queue.sizes[$0.state] ?? 0)) }, cells: columns)
        for (look, cells) in zip(looks, shares) { bar.add(String(repeating: look.block, count: cells), look.style) }
        return [numbers, bar]
    }

    private static func waits(_ queue: TopQueue) -> Line {
        var line = Line("wait  ", .dim)
        let quantiles = [("p50", queue.waitP50), ("p95", queue.waitP95), ("p99", queue.waitP99)]
        line.add("oldest ", .dim)
        line.add("\(Quantity.seconds(queue.oldestSeconds))  ")
        for (name, seconds) in quantiles {
            line.add("\(name) ", .dim)
            line.add("\(queue.waitText(seconds))  ")
        }
        if let drain = queue.sizes[.pending] == 0 ? nil : TopTable.drain(queue) {
            line.add("drains ", .dim)
            line.add(drain.text, drain.style)
        }
        return line
    }

    private static func rates(_ queue: TopQueue) -> Line {
        var line = Line("rate  ", .dim)
        let rates = [
            ("in", queue.enqueuedPerSecond), ("done", queue.completedPerSecond), ("failed", queue.failedPerSecond),
        ]
        for (name, rate) in rates {
            line.add("\(name) ", .dim)
            line.add("\(Quantity.rate(rate))/s  ")
        }
        line.add("workers ", .dim)
        line.add("\(Quantity.count(queue.busyWorkers)) of \(Quantity.count(queue.concurrency)) busy")
        // A paused queue keeps none of them busy: they serve other queues too.
        if queue.isPaused == true, queue.sizes[.active] == 0, (queue.busyWorkers ?? 0) > 0 {
            line.add(" with other queues")
        }
        if let consumers = queue.consumers { line.add(" on \(consumers) server\(consumers == 1 ? "" : "s")") }
        if let longest = queue.longestRunningSeconds { line.add(", longest \(Quantity.seconds(longest))") }
        if let orphaned = queue.orphaned, orphaned > 0 { line.add(", \(orphaned) orphaned", .critical) }
        return line
    }

    /// Returns as many charts side by side as fit.
    private static func charts(_ queue: TopQueue, _ columns: Int, span: String) -> [Line] {
        let all: [(title: String, values: [Double?], text: (Double?) -> String, style: Style)] = [
            (
                "pending", queue.history["pending"] ?? [],
                { Quantity.count($0.flatMap { Int64(exactly: $0.rounded()) }) }, .info
            ),
            ("wait p95", queue.history["wait_p95"] ?? [], { Quantity.seconds($0) }, .warning),
            ("done/s", queue.history["completed"] ?? [], { Quantity.rate($0) }, .good),
            ("failed/s", queue.history["failed"] ?? [], { Quantity.rate($0) }, .critical),
        ]
        let shown = all.filter { $0.values.contains { $0 != nil } }.prefix(columns >= 120 ? 4 : 2)
        if shown.isEmpty { return [] }
        let width = (columns - 2 * (shown.count - 1)) / shown.count
        var lines = [Line](repeating: Line(), count: chartRows + 1)
        for (index, chart) in shown.enumerated() {
            let most = chart.text(chart.values.compactMap(\.self).max())
            let gap = index == 0 ? "" : "  "
            lines[0].add(gap)
            lines[0].add("\(chart.title), \(span), up to \(most)", .dim, width: width)
            for (row, text) in Bars.chart(chart.values, cells: width, rows: chartRows).enumerated() {
                lines[row + 1].add(gap)
                lines[row + 1].add(text, chart.style, width: width)
            }
        }
        return lines + [Line()]
    }
}

/// The lists of an opened queue; those without entries are left out.
struct TopQueueLists {
    private(set) var lines: [Line] = []
    private let columns: Int
    private let now: WallTime

    private static let typeWidth = 20

    init(_ document: TopQueueDocument, columns: Int, now: WallTime) {
        self.columns = columns
        self.now = now
        addTaskTypes(document.taskTypes)
        addErrors(document.errors, document.queue)
        addTasks("dead letters", document.deadLetters) { task, now in
            task.at.map { "\(Quantity.seconds(TopFrame.seconds(from: $0, to: now))) ago " } ?? ""
        }
        addTasks("retries due next", document.retriesDue) { task, now in
            task.at.map { "in \(Quantity.seconds(TopFrame.seconds(from: now, to: $0))) " } ?? ""
        }
        addTasks("slowest waits", document.slowestWaits) { task, _ in "\(Quantity.seconds(task.seconds)) " }
        addServers(document.servers)
    }

    private mutating func addTaskTypes(_ types: [TopQueueDocument.TaskType]) {
        if types.isEmpty { return }
        var heading = Line()
        heading.add("TASK TYPE, SINCE THE START", .dim, width: 28)
        for title in ["ATTEMPTS", "FAILED", "WAIT95", "RUN95"] { heading.add(title, .dim, width: 10, .right) }
        lines.append(heading)
        for type in types {
            var line = Line()
            line.add(TerminalText.name(type.name), width: 28)
            line.add(Quantity.count(type.attempts), width: 10, .right)
            line.add(Quantity.count(type.failed), (type.failed ?? 0) > 0 ? .warning : .plain, width: 10, .right)
            line.add(Quantity.seconds(type.waitP95), width: 10, .right)
            line.add(Quantity.seconds(type.runP95), width: 10, .right)
            lines.append(line)
        }
        lines.append(Line())
    }

    private mutating func addErrors(_ errors: [TopQueueDocument.ErrorGroup], _ queue: TopQueue) {
        let unread = Self.unreadLetters(queue)
        if errors.isEmpty && unread == nil { return }
        let areFewer = errors.contains { ($0.attempts ?? 0) < ($0.deadLetters ?? 0) }
        lines.append(Line(areFewer ? "ERRORS: attempts whose span came, dead letters read in Redis" : "ERRORS", .dim))
        for group in errors {
            var line = Line()
            // Where no span came there were attempts all the same.
            let attempts = group.attempts.flatMap { $0 > 0 ? "\(Quantity.count($0))×" : nil }
            line.add(attempts ?? Quantity.unknown, attempts == nil ? .dim : .warning, width: 8, .right)
            line.add(" ")
            line.add(group.taskType.map(TerminalText.name) ?? "", .dim, width: Self.typeWidth)
            line.add(" \(TerminalText.name(group.error))")
            if let dead = group.deadLetters, dead > 0 { line.add("  \(Quantity.count(dead)) dead", .critical) }
            lines.append(line)
        }
        if let unread { lines += TerminalText.wrapped(unread, to: columns, maxLines: 2).map { Line($0, .dim) } }
        lines.append(Line())
    }

    /// Returns why the groups have fewer dead letters than the queue; nil where they have all.
    private static func unreadLetters(_ queue: TopQueue) -> String? {
        guard let unread = queue.unreadDeadLetters, unread > 0, let died = queue.deadLettered else { return nil }
        let read = max(0, died - unread)
        return
            "\(Quantity.count(read)) of \(Quantity.count(died)) dead letter\(died == 1 ? "" : "s") \(read == 1 ? "was" : "were") read; "
            + "the others came too fast, and are in no group of errors."
    }

    private mutating func addTasks(
        _ title: String, _ tasks: [TopQueueDocument.Task], first: (TopQueueDocument.Task, WallTime) -> String
    ) {
        if tasks.isEmpty { return }
        lines.append(Line(title.uppercased(), .dim))
        for task in tasks {
            var line = Line()
            line.add(first(task, now), .plain, width: 12, .right)
            line.add(task.type.map(TerminalText.name) ?? "", .dim, width: Self.typeWidth)
            if let error = task.error { line.add(" \(error)") }
            if let trace = task.traceID { line.add("  trace \(trace)", .dim) }
            lines.append(line)
        }
        lines.append(Line())
    }

    private mutating func addServers(_ servers: [TopServer]) {
        if servers.isEmpty { return }
        let names = servers.map { "\($0.host ?? "?"):\($0.pid.map { String($0) } ?? "?")" }
        lines.append(Line("SERVED BY", .dim))
        lines.append(Line(names.joined(separator: ", ")))
    }
}
