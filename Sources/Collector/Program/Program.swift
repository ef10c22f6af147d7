import Glibc
import Platform
import SpanReceiver
import Text

/// The exit codes of every subcommand.
package enum ExitCode {
    package static let ok: Int32 = 0
    package static let failure: Int32 = 1
    package static let usage: Int32 = 2
}

/// The program without its process: arguments and environment in, exit code out.
package enum Program {
    package static func main(arguments: [String], environment: [(name: String, value: String)]) -> Int32 {
        // A peer that closes its socket must not end the program.
        signal(SIGPIPE, SIG_IGN)
        // A limit on the size of files must not end it either: the write fails, and the sender is told to retry.
        signal(SIGXFSZ, SIG_IGN)
        // These are sent by habit, to other programs' log rotation for example, and mean nothing here.
        for signal in [SIGUSR1, SIGUSR2] { Glibc.signal(signal, SIG_IGN) }
        raiseDescriptorLimit()
        Allocator.keepFreedMemory()
        let invocation = Invocation(arguments)
        switch invocation.command {
        case .help: return help(about: invocation.argument, environment)
        case .version:
            print("asynq-collector \(BuildInfo.version)")
            return ExitCode.ok
        case .completion: return printText(invocation, of: Shell.self, \.completionScript)
        case .reference: return printText(invocation, of: ReferencePart.self, \.text)
        case .demo: return DemoCommand.run(invocation, environment: environment)
        case .top: return TopCommand.run(invocation, environment: environment)
        case .healthcheck: return HealthcheckCommand.run(invocation, environment: environment)
        case .run, .scrape, .checkConfig: break
        }
        if invocation.command == .run { EarlySignals.handle() }
        let settings = Settings(flags: invocation.flags, environment: environment)
        guard let options = options(settings, besides: invocation.problems) else { return ExitCode.usage }
        switch invocation.command {
        case .scrape: return ScrapeCommand.run(options)
        case .checkConfig:
            print(EffectiveConfiguration.yaml(settings), terminator: "")
            if options.receiver.bodyLimit.bytes < settings[\.otlp.maxBody] {
                let most = humanBytes(options.receiver.bodyLimit.bytes)
                print("# This memory.limit lowers otlp.max-body to \(most).")
            }
            return ExitCode.ok
        default:
            let serviceManager = ServiceManager(environment: environment)
            return RunCommand.run(options, settings, serviceManager) {
                Settings(flags: invocation.flags, environment: environment)
            }
        }
    }

    private static func help(about topic: String?, _ environment: [(name: String, value: String)]) -> Int32 {
        let help = Help(width: TerminalWidth.columns(environment: environment))
        guard let topic else {
            print(help.overview, terminator: "")
            return ExitCode.ok
        }
        guard let text = help.text(about: topic) else {
            let nearest = nearestName(to: topic, among: Help.topics) ?? "run"
            printError("asynq-collector: unknown command or key \(topic); did you mean \(nearest)?")
            return ExitCode.usage
        }
        print(text, terminator: "")
        return ExitCode.ok
    }

    /// Prints the text that the argument of a command names.
    private static func printText<Named: RawRepresentable<String>>(
        _ invocation: Invocation, of type: Named.Type, _ text: (Named) -> String
    ) -> Int32 {
        guard invocation.problems.isEmpty, let named = invocation.argument.flatMap(Named.init(rawValue:)) else {
            printProblems(invocation.problems)
            return ExitCode.usage
        }
        print(text(named), terminator: "")
        return ExitCode.ok
    }

    private static func printProblems(_ problems: [ConfigurationProblem]) {
        for problem in problems { printError("asynq-collector: \(problem)") }
    }

    /// Returns the options of the settings. If there are problems, `problems` included, it prints all of them and
    /// returns nil.
    static func options(_ settings: Settings, besides problems: [ConfigurationProblem]) -> CollectorOptions? {
        var problems = problems
        do throws(ConfigurationProblems) {
            let options = try CollectorOptions(settings)
            if problems.isEmpty { return options }
        } catch {
            problems += error.list
        }
        printProblems(problems)
        return nil
    }

    /// Raises the soft limit of descriptors, which is often 1024: each connection takes one.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }

    static func printError(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// The signals that come before `ProgramSignals` blocks them: while the configuration is read, which may take long.
enum EarlySignals {
    /// Has SIGTERM and SIGINT end the program with a line, and SIGHUP do nothing: what it asks for is under way.
    static func handle() {
        for end in [SIGTERM, SIGINT] {
            signal(end) { _ in
                let line: StaticString = "asynq-collector: ended by a signal before the start\n"
                _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
                _exit(ExitCode.ok)
            }
        }
        signal(SIGHUP) { _ in }
    }
}

/// The signals that end or reload the program, blocked in every thread and waited for by the main one.
struct ProgramSignals {
    private var set = sigset_t()

    /// Blocks the signals. It must be made before the first thread is started.
    init(_ signals: [Int32] = [SIGTERM, SIGINT, SIGHUP]) {
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for the next signal; returns nil when the time is over.
    func wait(timeout: Duration? = nil) -> Int32? {
        var set = set
        while true {
            let signal: Int32
            if let (seconds, attoseconds) = timeout?.components {
                var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
                signal = sigtimedwait(&set, nil, &time)
            } else {
                signal = sigwaitinfo(&set, nil)
            }
            if signal > 0 { return signal }
            if errno == EAGAIN { return nil }
        }
    }
}
