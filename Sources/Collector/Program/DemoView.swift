import AsynqDemo
import Glibc
import HTTPService
import Model
import Platform
import Redis
import Synchronization
import Text
import Top
import WebClient

/// The demo in the terminal: the view of `top` in place, with the addresses above and the story below it. If standard
/// output is not a terminal, it prints the story as lines, and a table now and then.
struct DemoView {
    private static let interval = Duration.seconds(1)
    private static let tableInterval = Duration.seconds(10)
    private static let lineInterval = Duration.milliseconds(500)

    private let environment: [(name: String, value: String)]
    private let canDraw: Bool
    private let signals: ProgramSignals
    /// The lines of the log, which would spoil the picture.
    private let logLines: DemoLogLines?

    /// Makes the view. It must be made before the first thread is started.
    init(_ environment: [(name: String, value: String)]) {
        self.environment = environment
        canDraw = TerminalKind.canDraw(environment)
        signals = canDraw ? ProgramSignals(TopScreen.signals) : ProgramSignals()
        logLines = canDraw && isatty(STDERR_FILENO) != 0 ? DemoLogLines() : nil
    }

    /// The level of the log. The story tells what goes wrong; in the picture there is no space to tell it twice.
    var logLevel: String { logLines == nil ? "warning" : "error" }

    /// Takes the lines of the log; nil where they belong on standard error.
    var logSink: (@Sendable (String) -> Void)? {
        guard let logLines else { return nil }
        return { line in logLines.add(line) }
    }

    /// Shows the demo, and returns when the user or the time ends it.
    ///
    /// - Throws: The reason why the demo's workload has ended by itself, or why the terminal can't be drawn on.
    func show(_ collector: Collector, _ workload: DemoWorkload, until end: MonotonicTime?) throws {
        let page = try WebAddress(ofListeners: [ListenAddress(collector.webAddress)])
        let source = collector.topSource
        if canDraw {
            try draw(page, source: source, workload: workload, until: end)
        } else {
            printIntroduction(page, collector)
            try printLines(source, workload, until: end)
        }
        printLine("stopping; nothing is left behind")
    }

    private func draw(
        _ page: WebAddress, source: @escaping TopSource, workload: DemoWorkload, until end: MonotonicTime?
    ) throws {
        let clock = Clock.system
        let feed = try TopFeed(source, every: Self.interval, clock: clock)
        try feed.start()
        defer { feed.stop() }
        var state = TopState()
        state.clockText = { TopClock.local($0) }
        var screen = TopScreen(feed, state, looks: TerminalKind.looks(environment), clock: clock)
        _ = try screen.run { state in
            let events = workload.takeLines().map { TopState.Notice(time: TopClock.local($0.time), text: $0.text) }
            let logged = logLines?.take().map { TopState.Notice(time: TopClock.local(clock.wall()), text: $0) } ?? []
            state.notices = (state.notices + events + logged).suffix(50)
            state.banner = Self.banner(page, state.document)
            return workload.failureReason == nil && end.map { clock.monotonic() < $0 } ?? true
        }
        try checkFailure(workload)
    }

    /// Returns the addresses of the page, and of one trace.
    static func banner(_ page: WebAddress, _ document: TopDocument?) -> [Line] {
        var first = Line("page   ", .dim)
        first.add("\(page.text)/", .info)
        guard let id = document?.traceID, let link = document?.traceLink else { return [first] }
        var second = Line("trace  ", .dim)
        let parts = link.split(separator: "{trace_id}", omittingEmptySubsequences: false)
        let address = parts.joined(separator: id)
        second.add(link.contains("://") ? address : "\(page.text)/\(address)", .info)
        return [first, second]
    }

    // MARK: Plain lines

    private func printIntroduction(_ page: WebAddress, _ collector: Collector) {
        printLine("asynq-collector \(BuildInfo.version) demo: a redis-server, a producer and three workers of its own")
        printLine("  status page   \(page.text)/")
        printLine("  metrics       \(page.text)/metrics")
        printLine("  forwarder     \(collector.forwarderState)")
        printLine("  end           Ctrl-C")
    }

    private func printLines(_ source: TopSource, _ workload: DemoWorkload, until end: MonotonicTime?) throws {
        let clock = Clock.system
        var nextTable = clock.monotonic().advanced(by: Self.tableInterval)
        while true {
            let now = clock.monotonic()
            let pause = min(Self.lineInterval, end?.duration(since: now) ?? Self.lineInterval)
            let isEnd = signals.wait(timeout: pause) != nil || end.map { clock.monotonic() >= $0 } ?? false
            for line in workload.takeLines() { printLine("\(TopClock.local(line.time)) \(line.text)") }
            if isEnd || clock.monotonic() >= nextTable {
                nextTable = clock.monotonic().advanced(by: Self.tableInterval)
                printTable(source)
                if workload.lostSpans > 0 {
                    printLine("\(humanCount(workload.lostSpans, "span")) lost by the demo's workers")
                }
            }
            try checkFailure(workload)
            if isEnd { return }
        }
    }

    private func printTable(_ source: TopSource) {
        var state = TopState()
        state.clockText = { TopClock.local($0) }
        do throws(TopFailure) {
            state.show(try TopFeed.overview(source), at: Clock.system.wall())
            printLine("\n" + TopCommand.frameText(state, environment))
        } catch {
            printLine(error.reason)
        }
    }

    private func checkFailure(_ workload: DemoWorkload) throws(RedisError) {
        if let reason = workload.failureReason { throw RedisError(.server, "the workload ended: \(reason)") }
    }

    private func printLine(_ line: String) {
        TerminalOutput.write(line + "\n")
    }
}

/// The lines of the log that wait to be shown; older ones are dropped.
final class DemoLogLines: Sendable {
    private static let maxLines = 20
    private let lines = Mutex<[String]>([])

    func add(_ line: String) {
        lines.withLock { $0 = ($0 + [line]).suffix(Self.maxLines) }
    }

    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }
}
