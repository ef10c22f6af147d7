import Glibc
import Logging
import Model
import Platform
import TestSupport
import Testing

@testable import Collector

@Suite("How a running collector answers signals", .serialized)
struct RunSignalTests {
    private let listener = NotifiedSocket()
    private let clock = TestClock()
    private let log = LinesLog()
    private let signals = ProgramSignals()

    private var logger: Logger {
        let log = log
        return Logger(label: "test") { _ in log }
    }

    private func watchdog() -> Watchdog {
        let notifier = ServiceNotifier(
            ServiceManager(environment: listener.environment), clock: clock.clock, logger: logger)
        return Watchdog(notifier, interval: nil, signs: LifeSigns(), clock: clock.clock, logger: logger)
    }

    /// A signal for the thread of the test alone. Those that wait are taken in the order of their numbers.
    private func raise(_ signal: Int32) { pthread_kill(pthread_self(), signal) }

    private func awaitEnd(_ reload: () -> Void) -> Int32 {
        var watchdog = watchdog()
        return RunCommand.awaitEnd(signals, watchdog: &watchdog, reload: reload)
    }

    private func linger(_ time: Duration) {
        var watchdog = watchdog()
        RunCommand.linger(time, after: SIGTERM, signals: signals, watchdog: &watchdog, logger: logger)
    }

    @Test("SIGTERM and SIGINT end it", arguments: [SIGTERM, SIGINT])
    func end(signal: Int32) {
        raise(signal)
        var reloads = 0
        #expect(awaitEnd { reloads += 1 } == signal)
        #expect(reloads == 0 && listener.heard.isEmpty)
    }

    @Test("SIGHUP reloads between two messages to the service manager, as often as it comes, and does not end it")
    func reload() {
        raise(SIGHUP)
        var heard: [[String]] = []
        let signal = awaitEnd {
            heard.append(listener.heard)
            raise(heard.count < 2 ? SIGHUP : SIGTERM)
        }
        #expect(signal == SIGTERM && heard.count == 2)
        #expect(heard[0].count == 1 && heard[0][0].hasPrefix("RELOADING=1\n"))
        #expect(heard[1].count == 2 && heard[1][0] == "READY=1" && heard[1][1].hasPrefix("RELOADING=1\n"))
        #expect(listener.heard == ["READY=1"])
    }

    @Test("Without shutdown.linger it stops at once")
    func noLinger() {
        raise(SIGINT)
        linger(.zero)
        #expect(log.all == ["stopping"])
        #expect(signals.wait(timeout: .zero) == SIGINT, "no signal was waited for")
    }

    @Test("While it lingers a second signal ends it, but SIGHUP does not")
    func linger() {
        raise(SIGHUP)
        raise(SIGTERM)
        linger(.seconds(3600))
        #expect(log.all == ["stopping after shutdown.linger; spans are still taken"])
        #expect(signals.wait(timeout: .zero) == nil)
    }

    @Test("It lingers no longer than it is told to")
    func lingered() {
        clock.advance(seconds: 60)
        linger(.seconds(59))
        #expect(log.all == ["stopping after shutdown.linger; spans are still taken"])
    }
}

@Suite("A start that fails")
struct FailedStartTests {
    @Test("A spool that can't be opened is a failure of the program, not of its usage")
    func spool() {
        let arguments = [
            "run", "--spool-directory=/dev/null/spool", "--tempo-endpoint=http://127.0.0.1:1", "--redis-url=none",
            "--otlp-listen=none", "--otlp-socket=none", "--metrics-listen=none", "--log-level=error",
        ]
        #expect(Program.main(arguments: arguments, environment: []) == ExitCode.failure)
    }
}
