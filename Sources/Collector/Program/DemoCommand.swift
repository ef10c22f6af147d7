import AsynqDemo
import AsynqRedis
import Attention
import Glibc
import HTTPService
import Model
import Platform
import Redis
import SpanReceiver
import Text
import Web

/// `demo`: the whole thing on this machine. A redis-server of its own, a producer and workers that use it as Asynq does
/// and report spans, the collector with all its endpoints, and a table in the terminal. Leaves nothing behind.
enum DemoCommand {
    private static let tableInterval = Duration.seconds(3)

    private struct Flags {
        var duration: Duration?
        var tasksPerSecond = 25.0

        private(set) var problems: [ConfigurationProblem] = []

        init(_ invocation: Invocation) {
            if let text = invocation.value(of: "--duration") {
                duration = ValueParsing.duration(text)
                if duration == nil {
                    problems.append(
                        ConfigurationProblem("--duration \(text): allowed is \(ValueForm.duration().kind.allowed)"))
                }
            }
            if let text = invocation.value(of: "--tasks-per-second") {
                tasksPerSecond = Double(text) ?? 0
                if !(0.1...5000).contains(tasksPerSecond) {
                    problems.append(
                        ConfigurationProblem("--tasks-per-second \(text): allowed is a number from 0.1 to 5000"))
                }
            }
        }
    }

    static func run(_ invocation: Invocation, environment: [(name: String, value: String)]) -> Int32 {
        let flags = Flags(invocation)
        let directory: String
        do {
            directory = try temporaryDirectory(environment)
        } catch {
            Program.printError("asynq-collector: \(error)")
            return ExitCode.failure
        }
        defer { Files.removeTree(directory) }
        let redisSocket = directory + "/redis.sock"
        var defaults = [
            DefaultOverride(\.redis.url, "unix://" + redisSocket), DefaultOverride(\.redis.interval, "1s"),
            DefaultOverride(\.otlp.socket, directory + "/otlp.sock"), DefaultOverride(\.otlp.listen, "none"),
            DefaultOverride(\.spool.directory, directory + "/spool"), DefaultOverride(\.log.level, "warning"),
        ]
        var settings = Settings(flags: invocation.flags, environment: environment, defaults: defaults)
        let listen = settings.setting(\.metrics.listen)
        if listen.origin == .default && !listen.value.allSatisfy(isFree) {
            defaults.append(DefaultOverride(\.metrics.listen, "127.0.0.1:0"))
            settings = Settings(flags: invocation.flags, environment: environment, defaults: defaults)
        }
        var problems = invocation.problems + flags.problems
        if settings.setting(\.redis.url).origin != .default {
            problems.append(
                settings.problem(\.redis.url, is: "the demo writes tasks, to a Redis of its own only"))
        }
        if settings[\.otlp.socket] == nil {
            problems.append(settings.problem(\.otlp.socket, is: "the demo's workers send to the socket"))
        }
        guard let options = Program.options(settings, besides: problems) else { return ExitCode.usage }
        do {
            try run(options, flags, directory: directory, redisSocket: redisSocket)
            return ExitCode.ok
        } catch {
            Program.printError("asynq-collector: demo: \(error)")
            return ExitCode.failure
        }
    }

    private static func run(
        _ options: CollectorOptions, _ flags: Flags, directory: String, redisSocket: String
    ) throws {
        let spanSocket = options.otlpListen.lazy.flatMap(\.addresses).compactMap(\.unixPath).first ?? ""
        let signals = ProgramSignals()
        let clock = Clock.system
        let redis = try startRedis(directory: directory, socket: redisSocket, clock: clock)
        defer { redis.terminate() }
        let level = CollectorLogHandler.Level(options.logLevel)
        let collector = try Collector(options, clock: clock, makeLogger: RunCommand.loggerFactory(options, level))
        defer { collector.stop() }
        try collector.start()
        let workload = try DemoWorkload(
            redisSocket: redisSocket, spanSocket: spanSocket, bearerToken: options.receiver.bearerToken,
            tasksPerSecond: flags.tasksPerSecond, clock: clock)
        defer { workload.stop() }
        try workload.start()
        printIntroduction(collector, spanSocket: spanSocket)
        let end = flags.duration.map { clock.monotonic().advanced(by: $0) }
        while true {
            let now = clock.monotonic()
            let pause = min(tableInterval, end?.duration(since: now) ?? tableInterval)
            let signal = signals.wait(timeout: pause)
            printTable(collector, workload)
            if signal != nil { break }
            if let reason = workload.failureReason { throw RedisError(.server, "the workload ended: \(reason)") }
            if let end, clock.monotonic() >= end { break }
        }
        printLine("stopping; nothing is left behind")
    }

    private static func temporaryDirectory(_ environment: [(name: String, value: String)]) throws(SystemError) -> String
    {
        let base = environment.first { $0.name == "TMPDIR" && !$0.value.isEmpty }?.value ?? "/tmp"
        var template = Array((base + "/asynq-demo-XXXXXX").utf8CString)
        if mkdtemp(&template) == nil { throw SystemError("making a temporary directory in", path: base) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A redis-server on a unix socket only, without persistence.
    private static func startRedis(directory: String, socket: String, clock: Clock) throws -> ChildProcess {
        let listening = ["--port", "0", "--unixsocket", socket, "--unixsocketperm", "700"]
        let process = try ChildProcess(
            "redis-server", listening + ["--dir", directory, "--save", "", "--appendonly", "no"])
        let deadline = clock.monotonic().advanced(by: .seconds(10))
        while true {
            do {
                _ = try RedisConnection(
                    RedisEndpoint(address: .unix(path: socket)), clock: clock,
                    deadline: clock.monotonic().advanced(by: .seconds(1)))
                return process
            } catch {
                if clock.monotonic() >= deadline || !process.isRunning {
                    process.terminate()
                    throw error
                }
                usleep(20_000)
            }
        }
    }

    /// Whether nobody listens there yet. Another process may still be faster; then the start fails and says so.
    private static func isFree(_ address: ListenAddress) -> Bool {
        guard case .tcp(_, let port) = address else { return true }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = in_port_t(port).bigEndian
        target.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        return withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) != 0
            }
        }
    }

    // MARK: The terminal

    private static func printIntroduction(_ collector: Collector, spanSocket: String) {
        let web = collector.webAddress
        printLine("asynq-collector \(BuildInfo.version) demo: a redis-server, a producer and three workers of its own")
        printLine("  status page   http://\(web)/")
        printLine("  metrics       http://\(web)/metrics")
        printLine("  spans         \(spanSocket) (OTLP/HTTP)")
        printLine("  forwarder     \(collector.forwarderState)")
        printLine("  end           Ctrl-C")
    }

    private static func printTable(_ collector: Collector, _ workload: DemoWorkload) {
        let header = ["queue", "pending", "active", "sched", "retry", "archived", "oldest", "wait p50", "p95", "p99"]
        let states: [TaskState] = [.pending, .active, .scheduled, .retry, .archived]
        let rows = collector.queries.rows.map { row -> [String] in
            let counts = states.map { row.snapshot?.size[$0].map(String.init) ?? "-" }
            let age = row.snapshot?.latencyNanoseconds.map { humanSeconds(Double($0) / 1e9) } ?? "-"
            let waits = row.wait?.map { humanSeconds($0) } ?? ["-", "-", "-"]
            return [row.name.text + (row.snapshot?.isPaused == true ? " (paused)" : "")] + counts + [age] + waits
        }
        let table = [header] + rows
        let widths = header.indices.map { column in table.map { $0[column].count }.max() ?? 0 }
        printLine("")
        for row in table {
            let cells = zip(row, widths).enumerated().map { index, cell in
                let padding = String(repeating: " ", count: cell.1 - cell.0.count)
                return index == 0 ? cell.0 + padding : padding + cell.0
            }
            printLine(cells.joined(separator: "  "))
        }
        guard let totals = collector.spanTotals else { return printLine("spans: the spool's disk does not answer") }
        let lost = workload.lostSpans > 0 ? ", \(workload.lostSpans) lost by the demo's workers" : ""
        let counts = "\(totals.received) received, \(totals.spooled?.forwarded ?? 0) forwarded\(lost)"
        printLine("spans: \(counts); forwarder \(collector.forwarderState)")
    }

    private static func printLine(_ line: String) {
        print(line)
        fflush(nil)
    }
}
