import Glibc
import Logging
import Model
import NIOEmbedded
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Attention
@testable import Collector
@testable import Forwarder
@testable import MetricsPush

@Suite("The guard of an orderly end", .timeLimit(.minutes(1)))
struct EndGuardTests {
    private let log = LinesLog()
    private let ends = LinesOfText()

    private func makeGuard(after patience: Duration) throws -> EndGuard {
        let (log, ends) = (log, ends)
        return try EndGuard(after: patience, Logger(label: "test") { _ in log }) { ends.add("end") }
    }

    @Test("An end that comes in time dismisses it: the process is not ended")
    func dismissed() throws {
        let begin = Clock.system.monotonic()
        try makeGuard(after: .seconds(20)).dismiss()
        #expect(ends.all.isEmpty && log.all.isEmpty)
        #expect(Clock.system.monotonic().duration(since: begin) < .seconds(20))
    }

    @Test("An end that takes too long is ended, after a line that says so")
    func expired() throws {
        let guardian = try makeGuard(after: .zero)
        while ends.all.isEmpty { poll(nil, 0, 1) }
        guardian.dismiss()
        #expect(ends.all == ["end"] && log.all.count == 1)
        #expect(log.all[0].hasPrefix("the end takes too long, as where a disk does not answer"))
    }
}

@Suite("The signals of the program", .serialized)
struct ProgramSignalTests {
    /// Signals that nothing else in these tests has a use for. Each is sent to the thread of the test alone.
    private static let (one, other) = (Int32(SIGWINCH), Int32(SIGURG))

    private func raise(_ signal: Int32) { pthread_kill(pthread_self(), signal) }

    @Test("They are blocked once they are named, and waited for one after the other; without one the time passes")
    func wait() {
        let signals = ProgramSignals([Self.one, Self.other])
        #expect(signals.wait(timeout: .zero) == nil)
        raise(Self.one)
        #expect(signals.wait(timeout: .zero) == Self.one)
        #expect(signals.wait(timeout: .nanoseconds(1)) == nil)
        raise(Self.other)
        #expect(signals.wait() == Self.other)
    }

    @Test("One that is not named is not taken for another")
    func others() {
        let (signals, rest) = (ProgramSignals([Self.one]), ProgramSignals([Self.other]))
        raise(Self.other)
        #expect(signals.wait(timeout: .zero) == nil)
        #expect(rest.wait(timeout: .zero) == Self.other)
    }

    @Test("The program ends at SIGTERM and SIGINT and reloads at SIGHUP: all three are waited for")
    func defaults() {
        let signals = ProgramSignals()
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            raise(signal)
            #expect(signals.wait(timeout: .zero) == signal)
        }
        #expect(signals.wait(timeout: .zero) == nil)
    }

    @Test(
        "A peer that closes, a limit on files and signals that are sent by habit do not end it; all descriptors are its own"
    )
    func ignored() {
        #expect(Program.main(arguments: ["completion", "no-such-shell"], environment: []) == ExitCode.usage)
        for signal in [SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2] {
            var action = sigaction()
            sigaction(signal, nil, &action)
            let isIgnored = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
            #expect(isIgnored, "signal \(signal)")
        }
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        #expect(limit.rlim_cur == limit.rlim_max)
    }
}

@Suite("What a command line leads to before anything is started")
struct ExitCodeTests {
    @Test(
        "A command line that is wrong is a usage error; help and versions are not",
        arguments: [
            (["version"], 0), (["--version"], 0), (["help"], 0), (["help", "redis.url"], 0), (["run", "--help"], 0),
            (["help", "redis.nothing"], 2), (["completion"], 2), (["completion", "bash"], 0), (["reference", "x"], 2),
            (["no-such-command"], 2), (["run", "--no-such-flag"], 2), (["check-config", "--redis-interval=never"], 2),
            (["check-config", "--redis-url=none", "--tempo-endpoint=none"], 0), (["scrape", "--redis-url=none"], 2),
            (["healthcheck", "--url=ftp://nonsense"], 2), (["healthcheck", "--url=unix:///no/such/socket"], 1),
            (["top", "--json"], 2),
        ] as [([String], Int32)])
    func codes(arguments: [String], code: Int32) {
        #expect(Program.main(arguments: arguments, environment: []) == code)
    }
}

@Suite("The watchdog, which hears of the program while it waits for signals", .serialized)
struct WatchdogTests {
    private static let signal = Int32(SIGWINCH)
    private let listener = NotifiedSocket()
    private let clock = TestClock()
    private let log = LinesLog()
    private let loop = EmbeddedEventLoop()
    private let signals = ProgramSignals([signal])

    private func watchdog(_ interval: Duration?) -> Watchdog {
        let log = log
        let logger = Logger(label: "test") { _ in log }
        var signs = LifeSigns()
        signs.watch(loop, as: "web")
        return Watchdog(
            notifier(ServiceManager(environment: listener.environment)), interval: interval, signs: signs,
            clock: clock.clock, logger: logger)
    }

    private func notifier(_ manager: ServiceManager?) -> ServiceNotifier {
        let log = log
        return ServiceNotifier(manager, clock: clock.clock, logger: Logger(label: "test") { _ in log })
    }

    /// A signal is there already, so that nothing waits.
    private func await(_ watchdog: inout Watchdog) {
        pthread_kill(pthread_self(), Self.signal)
        #expect(watchdog.awaitSignal(signals) == Self.signal)
    }

    @Test("It is told at once, and then four times in an interval, however often signals come")
    func rhythm() {
        var watchdog = watchdog(.seconds(8))
        for expected in [1, 0, 0] {
            self.await(&watchdog)
            #expect(listener.heard == [String](repeating: "WATCHDOG=1", count: expected))
        }
        loop.run()
        clock.advance(milliseconds: 1999)
        self.await(&watchdog)
        #expect(listener.heard.isEmpty)
        clock.advance(milliseconds: 1)
        self.await(&watchdog)
        #expect(listener.heard == ["WATCHDOG=1"] && log.all.isEmpty)
    }

    @Test("A part that does not move is named once, and the silence lasts until it moves")
    func missing() {
        var watchdog = watchdog(.seconds(8))
        self.await(&watchdog)
        #expect(listener.heard.count == 1)
        // The loop has half an interval to answer.
        clock.advance(seconds: 4)
        self.await(&watchdog)
        #expect(listener.heard.count == 1)
        for _ in 0..<3 {
            clock.advance(seconds: 2)
            self.await(&watchdog)
            #expect(listener.heard.isEmpty)
        }
        #expect(log.all == ["a part of the program does not move; the service manager is not told that it is alive"])
        loop.run()
        clock.advance(seconds: 2)
        self.await(&watchdog)
        #expect(listener.heard.count == 1)
    }

    @Test("Where nothing watches nothing is told, and a deadline that has passed is no signal")
    func unwatched() {
        var watchdog = watchdog(nil)
        self.await(&watchdog)
        #expect(listener.heard.isEmpty)
        pthread_kill(pthread_self(), Self.signal)
        #expect(watchdog.awaitSignal(signals, until: clock.clock.monotonic()) == nil)
        #expect(watchdog.awaitSignal(signals, until: clock.clock.monotonic().advanced(by: .seconds(60))) == Self.signal)
    }

    @Test("A service manager that can't be told is worth a line, and one that is not there none")
    func notifier() {
        func send(to manager: ServiceManager?) {
            var notifier = notifier(manager)
            notifier.send(.ready)
        }
        send(to: nil)
        #expect(log.all.isEmpty)
        send(to: ServiceManager(environment: listener.environment))
        #expect(log.all.isEmpty && listener.heard == ["READY=1"])
        send(to: ServiceManager(environment: [("NOTIFY_SOCKET", "/no/such/socket")]))
        #expect(log.all == ["can't notify the service manager"])
    }

    @Test(
        "A state that a full socket does not take is sent each second until it is taken, with one line for the cause",
        arguments: [
            (.ready, "READY=1"), (.reloading(now: MonotonicTime(nanoseconds: 1000)), "RELOADING=1\nMONOTONIC_USEC=1"),
            (.stopping(within: .seconds(1)), "STOPPING=1\nEXTEND_TIMEOUT_USEC=1000000"),
        ] as [(ServiceManager.State, String)])
    func undelivered(state: ServiceManager.State, message: String) {
        var watchdog = watchdog(nil)
        listener.fill()
        watchdog.notifier.send(state)
        for _ in 0..<20 {
            clock.advance(seconds: 1)
            self.await(&watchdog)
        }
        #expect(log.all == ["can't notify the service manager"])
        #expect(listener.heard.allSatisfy { $0 == "x" })
        clock.advance(milliseconds: 999)
        self.await(&watchdog)
        #expect(listener.heard.isEmpty)
        clock.advance(milliseconds: 1)
        self.await(&watchdog)
        #expect(listener.heard == [message] && watchdog.notifier.next == nil)
        #expect(log.all.dropFirst() == ["the service manager is notified again"])
        clock.advance(seconds: 1)
        self.await(&watchdog)
        #expect(listener.heard.isEmpty, "it was taken")
    }

    @Test("Of several states that were not taken the newest is sent, beside the signs of life")
    func newest() {
        var watchdog = watchdog(.seconds(8))
        listener.fill()
        watchdog.notifier.send(.reloading(now: clock.clock.monotonic()))
        watchdog.notifier.send(.ready)
        self.await(&watchdog)
        #expect(listener.heard.allSatisfy { $0 == "x" })
        loop.run()
        clock.advance(seconds: 2)
        self.await(&watchdog)
        #expect(listener.heard == ["READY=1", "WATCHDOG=1"])
    }

    @Test("Signs of life that can't be sent are one line, and are not sent again between two of them")
    func missedSigns() {
        var notifier = notifier(ServiceManager(environment: [("NOTIFY_SOCKET", "/no/such/socket")]))
        for _ in 0..<16 {
            notifier.sendSignOfLife()
            clock.advance(milliseconds: 500)
        }
        #expect(log.all == ["can't notify the service manager"] && notifier.next == nil)
    }
}

@Suite("The forwarder in words")
struct ForwarderWordsTests {
    @Test(
        "It is up once the backend works, retries while it fails, and has sent nothing before",
        arguments: [
            (nil, nil, "nothing sent yet"), (true, nil, "up"), (false, nil, "up"),
            (false, "refused", "retrying: refused"),
            (nil, "refused", "retrying: refused"),
        ] as [(Bool?, String?, String)])
    func words(isUp: Bool?, failure: String?, words: String) {
        var statistics = ForwarderStatistics()
        statistics.isBackendUp = isUp
        statistics.lastFailure = failure
        #expect(statistics.words == words)
    }
}

@Suite("The backend of metrics in what needs attention")
struct PushBackendTests {
    @Test("Pushes are up if the last one succeeded, and unknown before the first request")
    func pushes() {
        let counters = PushCounters()
        let none = Backend(counters.statistics)
        #expect(none.isUp == nil && none.requests == 0 && none.failedRequests == 0 && none.lastFailure == nil)
        counters.recordSuccess(code: "200", seconds: 0.1, rejectedPoints: 0)
        counters.recordCompletePush(at: WallTime(seconds: 1))
        let up = Backend(counters.statistics)
        #expect(up.isUp == true && up.requests == 1 && up.failedRequests == 0 && up.lastFailure == nil)
        counters.recordFailure(code: "503", seconds: 0.1, reason: "503: busy")
        let down = Backend(counters.statistics)
        #expect(down.isUp == false && down.requests == 2 && down.failedRequests == 1)
        #expect(down.lastFailure == "503: busy" && !down.isPartlyUp)
        counters.recordFailedPush(isPartlyAccepted: true)
        #expect(Backend(counters.statistics).isPartlyUp)
    }
}
