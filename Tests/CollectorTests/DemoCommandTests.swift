import HTTPService
import Model
import Testing
import WebClient

@testable import Collector
@testable import Top

@Suite("The settings of the demo")
struct DemoSettingsTests {
    private func demo(
        _ arguments: [String] = [], environment: [Pair] = [], isFree: (ListenAddress) -> Bool = { _ in true }
    ) -> DemoSettings {
        DemoSettings(
            Invocation(["demo"] + arguments), environment, logLevel: "warning", directory: "/d", isFree: isFree)
    }

    @Test("Without flags it has 25 tasks per second until it is ended, and everything in its directory")
    func defaults() throws {
        var demo = demo()
        #expect(demo.duration == nil && demo.tasksPerSecond == 25 && demo.problems.isEmpty && demo.needsBackend)
        demo.useBackend("http://127.0.0.1:4711")
        let settings = demo.settings
        #expect(
            ["redis.url", "redis.interval", "otlp.socket", "otlp.listen", "spool.directory"].map(settings.text)
                == ["unix:///d/redis.sock", "1s", "/d/otlp.sock", "none", "/d/spool"])
        #expect(
            ["log.level", "traces.recent-max-bytes", "tempo.endpoint", "spool.max-bytes"]
                .map(settings.text) == ["warning", "16MiB", "http://127.0.0.1:4711", "8388608"])
        #expect(settings[\.tempo.retryMax] == .seconds(4))
        #expect(settings.origin("metrics.listen") == "default" && DemoSettings.redisSocket(in: "/d") == "/d/redis.sock")
        #expect(settings.text("metrics.listen") == KeyTable.key(named: "metrics.listen")?.defaultText)
        let options = try CollectorOptions(settings)
        #expect(options.redis != nil && options.forwarder != nil)
    }

    @Test(
        "Its flags are durations and rates within bounds",
        arguments: [
            (["--duration", "90s"], Duration.seconds(90), 25, []), (["--tasks-per-second", "0.1"], nil, 0.1, []),
            (["--tasks-per-second", "5000"], nil, 5000, []),
            (["--tasks-per-second=5001"], nil, 5001, ["--tasks-per-second 5001: allowed is a number from 0.1 to 5000"]),
            (["--tasks-per-second=0.09"], nil, 0.09, ["--tasks-per-second 0.09: allowed is a number from 0.1 to 5000"]),
            (["--tasks-per-second=some"], nil, 0, ["--tasks-per-second some: allowed is a number from 0.1 to 5000"]),
            (["--tasks-per-second=nan"], nil, nil, ["--tasks-per-second nan: allowed is a number from 0.1 to 5000"]),
        ] as [([String], Duration?, Double?, [String])])
    func flags(arguments: [String], duration: Duration?, rate: Double?, problems: [String]) {
        let demo = demo(arguments)
        #expect(demo.duration == duration && demo.problems.map(\.description) == problems)
        if let rate { #expect(demo.tasksPerSecond == rate) }
    }

    @Test("A duration that is none is a problem, and unknown flags are")
    func problems() {
        let wrong = demo(["--duration", "soon"])
        #expect(wrong.duration == nil && wrong.problems.count == 1)
        #expect(wrong.problems.first?.description.hasPrefix("--duration soon: allowed is ") == true)
        #expect(demo(["--no-such-flag"]).problems.count == 1)
    }

    @Test("The spool of its own backend holds some seconds of its spans, and 8 MiB at least")
    func spool() {
        for (rate, bytes) in [("25", 8 << 20), ("26.2144", 8 << 20), ("27", 8_640_000), ("1000", 320_000_000)] {
            var demo = demo(["--tasks-per-second", rate])
            demo.useBackend("http://127.0.0.1:4711")
            #expect(demo.settings[\.spool.maxBytes] == bytes, "\(rate) tasks per second")
        }
    }

    @Test("What the user sets stays, and a backend of traces of the user's needs none of the demo's")
    func overridden() {
        let demo = demo(
            ["--tempo-endpoint", "http://tempo:4318", "--log-level", "debug"],
            environment: [("ASYNQ_COLLECTOR_SPOOL_DIRECTORY", "/elsewhere")])
        #expect(!demo.needsBackend && demo.problems.isEmpty)
        #expect(demo.settings.text("spool.directory") == "/elsewhere" && demo.settings.text("log.level") == "debug")
        #expect(demo.settings.text("traces.recent-max-bytes") == "16MiB")
        #expect(demo.settings.text("tempo.endpoint") == "http://tempo:4318")
    }

    @Test("A port that is taken is one of the system's choice, unless the user named it")
    func takenPort() {
        let taken = demo(isFree: { _ in false })
        #expect(taken.settings.text("metrics.listen") == "127.0.0.1:0" && taken.problems.isEmpty)
        #expect(taken.settings.text("redis.interval") == "1s")
        let named = demo(["--metrics-listen", "127.0.0.1:9464"], isFree: { _ in false })
        #expect(named.settings.text("metrics.listen") == "127.0.0.1:9464")
    }

    @Test(
        "What the demo can't do without can't be taken from it",
        arguments: [
            ("--metrics-listen=none", "the demo shows its page"),
            ("--redis-url=redis://production:6379", "the demo writes tasks, to a Redis of its own only"),
            ("--otlp-socket=none", "the demo's workers send to the socket"),
        ])
    func refused(flag: String, reason: String) {
        let problems = demo([flag]).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains(reason))
    }
}

@Suite("The view of the demo")
struct DemoViewTests {
    private func document(_ members: String) throws -> TopDocument {
        try #require(try TopFeed.overview { _ throws(TopFailure) in .document(Array("{\(members)}".utf8)) })
    }

    private static let letters = #""dead_letters":[{"queue":"q","trace_id":"0af7651916cd43dd8448eb211c80319c"}]"#

    @Test("The banner has the page, and a trace where one is known: on the page, or where its link leads")
    func banner() throws {
        let page = try WebAddress("http://127.0.0.1:9464")
        #expect(DemoView.banner(page, nil).map(\.text) == ["page   http://127.0.0.1:9464/"])
        #expect(DemoView.banner(page, try document("")).count == 1)
        let own = try document(#""queues":[],"links":{"trace":"trace/{trace_id}"},\#(Self.letters)"#)
        #expect(
            DemoView.banner(page, own).map(\.text) == [
                "page   http://127.0.0.1:9464/",
                "trace  http://127.0.0.1:9464/trace/0af7651916cd43dd8448eb211c80319c",
            ])
        let other = try document(#""queues":[],"links":{"trace":"http://grafana/t/{trace_id}?x=1"},\#(Self.letters)"#)
        #expect(
            DemoView.banner(page, other).last?.text
                == "trace  http://grafana/t/0af7651916cd43dd8448eb211c80319c?x=1")
        #expect(DemoView.banner(page, try document(#""queues":[],\#(Self.letters)"#)).count == 1)
    }

    @Test("The last 20 lines of the log wait to be shown, once")
    func logLines() {
        let lines = DemoLogLines()
        #expect(lines.take().isEmpty)
        for number in 1...21 { lines.add("\(number)") }
        #expect(lines.take() == (2...21).map { "\($0)" })
        #expect(lines.take().isEmpty)
    }

    @Test("Without a terminal the log is on standard error, with warnings")
    func plain() {
        let view = DemoView([("TERM", "dumb")])
        #expect(view.logLevel == "warning" && view.logSink == nil)
    }
}
