import Glibc
import Model
import Testing

@testable import Platform

@Suite("What the program finds around it")
struct SurroundingsTests {
    @Test(
        "What is left of the descriptors is for connections: all without a limit, some however few there are",
        arguments: [
            (nil, 1 << 20), (1_048_576, 1_048_512), (1024, 960), (256, 192), (255, 207), (65, 17), (64, 16), (63, 16),
            (0, 16),
        ] as [(Int?, Int)])
    func descriptors(limit: Int?, connections: Int) {
        #expect(Descriptors.forConnections(of: limit) == connections)
    }

    @Test(
        "COLUMNS is as wide as it says; what is no width counts as absent",
        arguments: [("120", 120), ("1", 1), ("0", 80), ("-5", 80), ("wide", 80), ("", 80)])
    func columns(text: String, columns: Int) {
        #expect(TerminalWidth.columns(of: -1, environment: [(name: "COLUMNS", value: text)]) == columns)
    }

    @Test("Without COLUMNS a text is as wide as the terminal, and 80 where that does not say")
    func terminal() {
        let descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        defer { close(descriptor) }
        #expect(TerminalWidth.columns(of: descriptor, environment: []) == 80)
        var size = winsize(ws_row: 40, ws_col: 133, ws_xpixel: 0, ws_ypixel: 0)
        #expect(ioctl(descriptor, UInt(TIOCSWINSZ), &size) == 0)
        #expect(TerminalWidth.columns(of: descriptor, environment: [(name: "LINES", value: "7")]) == 133)
        #expect(TerminalWidth.columns(of: descriptor, environment: [(name: "COLUMNS", value: "90")]) == 90)
        #expect(TerminalWidth.columns(of: -1, environment: []) == 80)
    }

    @Test("The program's arguments are those of the process")
    func arguments() {
        #expect(ProgramArguments.all == CommandLine.arguments)
    }

    @Test("An error says what was tried, on what, and the system's reason")
    func errors() {
        #expect(SystemError("reading", path: "/x", code: ENOENT).description == "reading /x: No such file or directory")
        #expect(SystemError("eventfd", code: EMFILE).description == "eventfd: Too many open files")
    }

    @Test("A program that is not there can't be started")
    func noProgram() {
        #expect(throws: SystemError("starting", path: "no-such-program-here", code: ENOENT)) {
            try ChildProcess("no-such-program-here", [])
        }
    }

    @Test(
        "A moment has its date, its time and three digits of the second, before 1970 as well",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1_795_267_431_042_999_999, "2026-11-21T13:23:51.042Z"),
            (1_000_000, "1970-01-01T00:00:00.001Z"), (999_999, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"), (-1_000_000_000, "1969-12-31T23:59:59.000Z"),
            (951_782_400_100_000_000, "2000-02-29T00:00:00.100Z"),
        ] as [(Int64, String)])
    func times(nanoseconds: Int64, text: String) {
        #expect(WallTime(nanoseconds: nanoseconds).rfc3339 == text)
    }
}

@Suite("What a service manager is told")
struct ServiceManagerTests {
    private static func interval(_ variables: (name: String, value: String)...) -> Duration? {
        ServiceManager(environment: [("NOTIFY_SOCKET", "/run/notify")] + variables, processID: 7)?.watchdogInterval
    }

    @Test(
        "It is there where NOTIFY_SOCKET names a socket: a path or an abstract one, of at most 107 bytes",
        arguments: [
            ("/run/notify", true), ("@notify", true), ("notify", false), ("", false),
            ("/" + String(repeating: "x", count: 106), true), ("/" + String(repeating: "x", count: 107), false),
        ])
    func socket(path: String, isThere: Bool) {
        #expect((ServiceManager(environment: [("NOTIFY_SOCKET", path)], processID: 7) != nil) == isThere)
        #expect(ServiceManager(environment: [], processID: 7) == nil)
    }

    @Test("It watches where WATCHDOG_USEC is a time, and WATCHDOG_PID is absent or ours")
    func watchdog() {
        #expect(Self.interval(("WATCHDOG_USEC", "30000000")) == .seconds(30))
        #expect(Self.interval(("WATCHDOG_USEC", "1")) == .microseconds(1))
        for value in ["0", "-1", "soon", ""] { #expect(Self.interval(("WATCHDOG_USEC", value)) == nil) }
        #expect(Self.interval() == nil)
        #expect(Self.interval(("WATCHDOG_USEC", "5000000"), ("WATCHDOG_PID", "7")) == .seconds(5))
        #expect(Self.interval(("WATCHDOG_USEC", "5000000"), ("WATCHDOG_PID", "8")) == nil)
        #expect(Self.interval(("WATCHDOG_USEC", "9223372036854775807")) == .seconds(Int64(Int32.max)))
    }

    @Test("Each state is one message, with times in microseconds; a socket that is not there is an error")
    func messages() throws {
        let path = "@asynq-collector-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        #expect(UnixAddress.with(path) { bind(descriptor, $0, $1) } == 0)
        let manager = try #require(ServiceManager(environment: [("NOTIFY_SOCKET", path)]))
        let states: [(ServiceManager.State, String)] = [
            (.ready, "READY=1"),
            (.reloading(now: MonotonicTime(nanoseconds: 5_000_001_999)), "RELOADING=1\nMONOTONIC_USEC=5000001"),
            (.stopping(within: .milliseconds(1500)), "STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000"),
            (.watchdog, "WATCHDOG=1"),
        ]
        for (state, message) in states {
            try manager.send(state)
            var buffer = [UInt8](repeating: 0, count: 200)
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            #expect(String(decoding: buffer.prefix(max(0, count)), as: UTF8.self) == message)
        }
        let absent = try #require(ServiceManager(environment: [("NOTIFY_SOCKET", path + "-absent")]))
        #expect(throws: SystemError.self) { try absent.send(.ready) }
        let begin = Clock.system.monotonic()
        #expect(throws: SystemError("telling the service manager", path: path, code: EAGAIN)) {
            while true { try manager.send(.watchdog) }
        }
        #expect(Clock.system.monotonic().duration(since: begin) < .seconds(1), "a full socket is not waited for")
    }
}
