import AsynqDemo
import AsynqRedis
import Glibc
import HTTPService
import Model
import Platform
import Redis
import SpanReceiver

/// `demo`: the whole thing on this machine. It runs a redis-server of its own, a producer and workers that use it as
/// Asynq does and report spans, the collector with all its endpoints, and the view of `top` in the terminal. It leaves
/// nothing behind.
enum DemoCommand {
    static func run(_ invocation: Invocation, environment: [(name: String, value: String)]) -> Int32 {
        let view = DemoView(environment)
        let directory: String
        do {
            directory = try temporaryDirectory(environment)
        } catch {
            Program.printError("asynq-collector: \(error)")
            return ExitCode.failure
        }
        defer { Files.removeTree(directory) }
        var demo = DemoSettings(
            invocation, environment, logLevel: view.logLevel, directory: directory, isFree: isFree)
        do {
            let backend = demo.needsBackend ? try DemoTraceBackend() : nil
            defer { backend?.stop() }
            if let backend { demo.useBackend(backend.endpoint) }
            guard let options = Program.options(demo.settings, besides: demo.problems) else { return ExitCode.usage }
            try run(options, demo, backend: backend, view: view, directory: directory)
            return ExitCode.ok
        } catch {
            Program.printError("asynq-collector: demo: \(error)")
            return ExitCode.failure
        }
    }

    private static func run(
        _ options: CollectorOptions, _ demo: DemoSettings, backend: DemoTraceBackend?, view: DemoView,
        directory: String
    ) throws {
        let spanSocket = options.otlpListen.lazy.flatMap(\.addresses).compactMap(\.unixPath).first ?? ""
        let redisSocket = DemoSettings.redisSocket(in: directory)
        let clock = Clock.system
        let redis = try startRedis(directory: directory, socket: redisSocket, clock: clock)
        defer { redis.terminate() }
        let level = CollectorLogHandler.Level(options.logLevel)
        let collector = try Collector(
            options, clock: clock, makeLogger: RunCommand.loggerFactory(options, level, sink: view.logSink))
        defer { collector.stop() }
        try collector.start()
        let workload = try DemoWorkload(
            redisSocket: redisSocket, spanSocket: spanSocket, bearerToken: options.receiver.bearerToken,
            tasksPerSecond: demo.tasksPerSecond, setBackend: backend?.setUp,
            clock: clock)
        defer { workload.stop() }
        try workload.start()
        try view.show(collector, workload, until: demo.duration.map { clock.monotonic().advanced(by: $0) })
    }

    private static func temporaryDirectory(_ environment: [(name: String, value: String)]) throws(SystemError) -> String
    {
        let base = environment.first { $0.name == "TMPDIR" && !$0.value.isEmpty }?.value ?? "/tmp"
        var template = Array((base + "/asynq-demo-XXXXXX").utf8CString)
        if mkdtemp(&template) == nil { throw SystemError("making a temporary directory in", path: base) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Starts a redis-server on a unix socket only, without persistence.
    /// - Throws: The reason why it does not answer.
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

    /// Returns true if the address has no listener yet. Another process may still be faster; then the start fails and
    /// says so.
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
}
