import HTTPService
import Model

/// The flags of the demo, and the settings of its collector: defaults of its own below what the user sets.
struct DemoSettings {
    private(set) var duration: Duration?
    private(set) var tasksPerSecond = 25.0
    private(set) var settings: Settings
    private(set) var problems: [ConfigurationProblem]
    private let flags: [Invocation.Flag]
    private let environment: [(name: String, value: String)]
    private var defaults: [DefaultOverride]

    /// - Parameters:
    ///   - logLevel: The level of the log where the user sets none.
    ///   - directory: Takes the sockets and the spool.
    ///   - isFree: Returns true if an address has no listener yet.
    init(
        _ invocation: Invocation, _ environment: [(name: String, value: String)], logLevel: String, directory: String,
        isFree: (ListenAddress) -> Bool
    ) {
        flags = invocation.flags
        self.environment = environment
        defaults = [
            DefaultOverride(\.redis.url, "unix://" + Self.redisSocket(in: directory)),
            DefaultOverride(\.redis.interval, "1s"), DefaultOverride(\.otlp.socket, directory + "/otlp.sock"),
            DefaultOverride(\.otlp.listen, "none"), DefaultOverride(\.spool.directory, directory + "/spool"),
            DefaultOverride(\.log.level, logLevel),
            // Traces are opened from memory, whatever backend gets them.
            DefaultOverride(\.traces.recentMaxBytes, "16MiB"),
        ]
        problems = invocation.problems
        settings = Settings(flags: flags, environment: environment, defaults: defaults)
        let listen = settings.setting(\.metrics.listen)
        if listen.origin == .default && !listen.value.allSatisfy(isFree) {
            add([DefaultOverride(\.metrics.listen, "127.0.0.1:0")])
        }
        readFlags(invocation)
        judge()
    }

    static func redisSocket(in directory: String) -> String { directory + "/redis.sock" }

    /// True if the user names no backend of traces, so that the demo has to have its own.
    var needsBackend: Bool { settings.setting(\.tempo.backend.endpoint).origin == .default }

    /// Takes the demo's own backend of traces. The spool is small enough to show an outage of seconds in it, and what is
    /// in it is soon sent again.
    mutating func useBackend(_ endpoint: String) {
        let spoolBytes = max(8 << 20, Int(tasksPerSecond * 320_000))
        add([
            DefaultOverride(\.tempo.backend.endpoint, endpoint), DefaultOverride(\.tempo.retryMax, "4s"),
            DefaultOverride(\.spool.maxBytes, "\(spoolBytes)"),
        ])
    }

    private mutating func add(_ more: [DefaultOverride]) {
        defaults += more
        settings = Settings(flags: flags, environment: environment, defaults: defaults)
    }

    private mutating func readFlags(_ invocation: Invocation) {
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

    /// Refuses what the demo can't do without.
    private mutating func judge() {
        if settings[\.metrics.listen].isEmpty {
            problems.append(settings.problem(\.metrics.listen, is: "the demo shows its page"))
        }
        if settings.setting(\.redis.url).origin != .default {
            problems.append(settings.problem(\.redis.url, is: "the demo writes tasks, to a Redis of its own only"))
        }
        if settings[\.otlp.socket] == nil {
            problems.append(settings.problem(\.otlp.socket, is: "the demo's workers send to the socket"))
        }
    }
}
