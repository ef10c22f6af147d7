import AsynqRedis
import Attention
import Logging
import Metrics
import Model
import OTLP
import Platform
import TestSupport
import Testing
import Top
import Web

@testable import Collector
@testable import Forwarder
@testable import SpanReceiver
@testable import Spool

/// A collector that was made and not started: what its pages are made of.
@Suite("What the collector tells of itself")
struct CollectorStateTests {
    private let clock = TestClock()
    private let collector: Collector

    init() throws {
        let options = try #require(
            try options(["--redis-url=none", "--tempo-endpoint=none", "--traces-recent-max-bytes=1MiB"]))
        collector = try Collector(options, clock: clock.clock) { label in
            Logger(label: label) { _ in SwiftLogNoOpLogHandler() }
        }
    }

    /// Runs the test, and ends the threads of the collector.
    private func withCollector(_ body: (Collector) throws -> Void) rethrows {
        defer { collector.stop(isStarted: false) }
        try body(collector)
    }

    private func record(_ names: [[UInt8]]) {
        let queues = names.map { QueueSnapshot(name: QueueName($0)) }
        collector.watch.record(
            RedisSnapshot(queues: queues, takenAt: clock.now, partialErrors: []), waits: [:])
    }

    @Test("It is not ready before its listeners are bound")
    func unready() {
        withCollector { #expect($0.unreadyReason() == "listeners are not bound yet") }
    }

    @Test("A queue is found by its name, and by the form of it that people can read")
    func knownQueue() {
        withCollector { collector in
            record([[0xFF], Array("q".utf8)])
            #expect(collector.knownQueue([0xFF]) == QueueName([0xFF]))
            #expect(collector.knownQueue(Array("\\xFF".utf8)) == QueueName([0xFF]))
            #expect(collector.knownQueue(Array("q".utf8)) == QueueName("q"))
            #expect(collector.knownQueue(Array("other".utf8)) == QueueName("other"))
            #expect(collector.queue(named: Array("q".utf8)) != nil)
            #expect(collector.queue(named: Array("other".utf8)) == nil)
        }
    }

    @Test("The overview has what is known: who it is, the last snapshot, the books, and what its memory is used for")
    func overview() {
        withCollector { collector in
            record([Array("q".utf8)])
            let source = SpanSource(transport: .http, encoding: .protobuf)
            collector.counters.recordAccepted(source, spanCount: 5)
            let content = collector.overviewContent
            #expect(content.collector.redis == nil && content.collector.tempo == nil)
            #expect(content.collector.interval == .seconds(5) && content.collector.startedAt == clock.now)
            #expect(content.collector.pid > 0 && !content.collector.host.isEmpty)
            #expect(content.lastKnown?.queues.map(\.name) == [QueueName("q")] && content.rows.count == 1)
            #expect(content.spans?.accepted == 5 && content.spans?.spooled == nil && content.spool == nil)
            #expect(content.forwarder == nil)
            let shares = collector.memory.ledger
            #expect(
                content.memory.map(\.part) == [
                    "process", "bodies", "requests", "streams", "pages", "labels", "pairing", "recent_spans", "history",
                    "failures",
                ])
            #expect(content.memory.map(\.limitBytes) == [nil] + shares.parts.map { shares[$0] })
            #expect(
                content.memory[0].bytes > 1 << 20 && content.memory.contains { $0.part == "history" && $0.bytes > 0 })
            let path = collector.spanPath
            #expect(path.backend == nil && path.spool == nil && !path.isDiskHanging)
        }
    }

    @Test("Where Redis is not read, tasks are not looked for, and retries are answered at once")
    func withoutRedis() {
        withCollector { collector in
            record([Array("q".utf8)])
            let replies = LinesOfText()
            collector.findTask(TaskName(queue: QueueName("q"), id: [1])) { reply in
                if case .unavailable(let reason) = reply { replies.add(reason) }
            }
            collector.readRetries(ofQueue: [UInt8(ascii: "q")]) { replies.add("retries") }
            #expect(replies.all == ["redis.url is none: tasks are not looked for", "retries"])
        }
    }

    @Test("Each document of the web endpoints is there before anything was read, and says what is not")
    func documents() {
        withCollector { collector in
            #expect(collector.unhealthyReason() == nil)
            #expect(collector.forwarderState == "off (tempo.endpoint is none)")
            #expect(collector.spanTotals?.received == 0)
            #expect(collector.errorGroups().isEmpty && collector.newestDeadLetters.isEmpty)
            #expect(collector.deadLetters() == QueueDocuments.deadLetters([]))
            guard case .list(let queues) = collector.queues(), queues == QueueDocuments.queues([]) else {
                Issue.record("a Redis that is not read has no queues")
                return
            }
            let overview = collector.overview(since: nil)
            #expect(overview === collector.overview(since: nil), "two that ask in the same moment get the same one")
            #expect(overview !== collector.overview(since: 5))
            let page = collector.metricsPage(.text)
            var text: [UInt8] = []
            while page.next({ text += $0 }) {}
            #expect(String(decoding: text, as: UTF8.self).contains("\nasynq_collector_build_info{"))
            if case .advice = collector.scale(ofQueue: Array("q".utf8)) { Issue.record("advice without a reading") }
        }
    }

    @Test("The terminal view's own collector answers with the same documents, and names a queue that is not there")
    func topSource() throws {
        try withCollector { collector in
            record([Array("q".utf8), [0xFF]])
            for question in [.overview, .queue("q"), .queue("\\xFF")] as [TopQuestion] {
                guard case .document(let bytes) = try collector.topSource(question) else {
                    Issue.record("\(question)")
                    return
                }
                #expect(bytes.first == UInt8(ascii: "{"))
            }
            #expect(throws: TopFailure("no such queue")) { try collector.topSource(.queue("r")) }
        }
    }

    @Test("A refused question says why: too many at a time, or the reason why Redis can't be read")
    func refusals() {
        withCollector { collector in
            let replies = LinesOfText()
            collector.searchTask(id: [1]) { reply in
                if case .unavailable(let reason) = reply { replies.add(reason) }
            }
            #expect(replies.all == ["redis.url is none: tasks are not looked for"])
        }
    }

    @Test("A trace that is not in memory is absent, and so is one where none are kept")
    func traces() {
        withCollector { collector in
            guard case .absent(let reason) = collector.trace(TraceID(high: 0, low: 1)) else {
                Issue.record("a trace that never came")
                return
            }
            #expect(reason == "no span of this trace is in memory")
        }
    }
}

/// A collector with all its parts, which was made and not started.
@Suite("What a collector that reads Redis, sends and pushes tells of itself", .timeLimit(.minutes(1)))
struct WholeCollectorStateTests {
    private let clock = TestClock()
    private let log = LinesLog()
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    /// Runs the test, and ends the threads of the collector.
    private func withCollector(isStarted: Bool = false, _ body: (Collector) throws -> Void = { _ in }) throws {
        let options = try #require(
            try options([
                "--redis-url=redis://u:secret@redis:6379/2", "--redis-interval=3s", "--spool-max-bytes=64MiB",
                "--tempo-endpoint=http://u:secret@tempo:4318", "--spool-directory=\(directory.path)",
                "--metrics-push-endpoint=http://mimir:4318",
            ]))
        let log = log
        let collector = try Collector(options, clock: clock.clock) { label in Logger(label: label) { _ in log } }
        defer { collector.stop(isStarted: isStarted) }
        try body(collector)
    }

    @Test("It names Redis and the backend without their passwords, and how often it reads")
    func identity() throws {
        try withCollector { collector in
            let identity = collector.overviewContent.collector
            #expect(identity.interval == .seconds(3))
            #expect(identity.redis?.hasSuffix("redis:6379/2") == true && identity.redis?.contains("secret") == false)
            #expect(identity.tempo?.contains("tempo:4318") == true && identity.tempo?.contains("secret") == false)
            #expect(identity.receivesAt.isEmpty)
        }
    }

    @Test("Its spool is empty, its backends are neither up nor down, and all its parts have a share of memory")
    func parts() throws {
        try withCollector { collector in
            let content = collector.overviewContent
            #expect(
                content.spool?.capacityBytes == 64 << 20
                    && content.spool?.bytes == collector.tempo?.spool.statistics.bytes)
            #expect(content.spans?.spooled?.inSpool == 0 && content.spans?.spooled?.forwarded == 0)
            #expect(collector.pushes == Backend(isUp: nil, lastFailure: nil, requests: 0, failedRequests: 0))
            let path = collector.spanPath
            #expect(path.backend == Backend(isUp: nil, lastFailure: nil, requests: 0, failedRequests: 0))
            #expect(!path.isDiskHanging && path.spool?.bytes == content.spool?.bytes)
            let ledger = collector.memory.ledger
            #expect(content.memory.dropFirst().map(\.limitBytes) == ledger.parts.map { ledger[$0] })
            #expect(content.memory.map(\.part).contains("look_ahead") && content.memory.map(\.part).contains("pushes"))
            #expect(collector.unhealthyReason() == nil)
            #expect(collector.unreadyReason() == "listeners are not bound yet")
        }
    }

    @Test("What is asked of Redis before it was read is refused with that reason")
    func inquiries() throws {
        try withCollector { collector in
            let replies = LinesOfText()
            @Sendable func add(_ reply: TaskReply) {
                switch reply {
                case .unavailable(let reason): replies.add(reason)
                case .busy: replies.add("busy")
                default: replies.add("other")
                }
            }
            collector.findTask(TaskName(queue: QueueName("q"), id: [1])) { add($0) }
            collector.searchTask(id: [1]) { add($0) }
            // No such queue was read, so there is nothing to wait for.
            collector.readRetries(ofQueue: [1]) { replies.add("retries") }
            #expect(
                replies.all == [
                    "Redis can't be read: Redis was not read yet", "Redis can't be read: Redis was not read yet",
                    "retries",
                ])
        }
        guard case .busy = TaskReply(.busy) else {
            Issue.record("too many questions")
            return
        }
    }

    @Test("The last line says whether spans wait for the next start; a start that failed has no such line")
    func lastLine() throws {
        try withCollector()
        #expect(!log.all.contains { $0.hasPrefix("stopped") })
        try withCollector(isStarted: true)
        #expect(log.all.last == "stopped")
        try withCollector(isStarted: true) { collector in
            let spool = try #require(collector.tempo?.spool)
            try [UInt8](repeating: 1, count: 10).withUnsafeBytes { try spool.append($0, spanCount: 7) }
        }
        #expect(log.all.last == "stopped; spans wait in the spool for the next start")
    }
}

@Suite("The books of spans")
struct BooksTests {
    @Test("What was received, what waits, what was delivered and dropped: each under its own name")
    func books() throws {
        let counters = ReceiverCounters()
        let spool = try Spool(
            fileSystem: NoDisk(), options: SpoolOptions(maxBytes: 1 << 20, sync: .never), clock: .system)
        var partial = PartialSuccess()
        partial.badIDs = 2
        counters.recordAccepted(SpanSource(transport: .http, encoding: .json), spanCount: 7, refused: partial)
        for count in [3, 4] {
            try [UInt8](repeating: 1, count: 10).withUnsafeBytes { try spool.append($0, spanCount: count) }
        }
        let books = try #require(Books.read(counters, spool))
        let totals = books.totals(duplicates: 9)
        #expect(totals.accepted == 7 && totals.duplicates == 9 && totals.refused == ["bad_id": 2])
        #expect(totals.spooled == SpanTotals.Spooled(forwarded: 0, inSpool: 7, dropped: totals.spooled?.dropped ?? [:]))
        #expect(totals.received == 9)
        let path = books.path(nil)
        #expect(path.refused == ["bad_id": 2] && path.backend == nil)
        #expect(path.spool?.capacityBytes == 1 << 20 && path.spool?.bytes == spool.statistics.bytes)
        #expect(try #require(Books.read(counters, nil)).totals(duplicates: 0).spooled == nil)
    }

    @Test("Of a backend's answers those that begin with 2, and have three digits, have not failed")
    func backend() {
        var statistics = ForwarderStatistics()
        statistics.requests = ["200": 1, "204": 2, "299": 4, "404": 8, "503": 16, "connect": 32, "2": 64, "2000": 128]
        statistics.isBackendUp = false
        statistics.lastFailure = "why"
        let backend = Backend(statistics)
        #expect(backend.requests == 255 && backend.failedRequests == 248)
        #expect(backend.isUp == false && backend.lastFailure == "why")
    }
}

@Suite("The lines of the log")
struct LogLineTests {
    @Test("A line has what its logger says of all lines and what it says itself, which wins", arguments: [true, false])
    func fields(hasOwn: Bool) {
        let lines = LinesOfText()
        var handler = CollectorLogHandler(
            label: "redis", level: CollectorLogHandler.Level(.info), format: .json, clock: TestClock().clock,
            sink: { lines.add($0) })
        handler.metadata = ["a": "1", "b": "2"]
        let logger = Logger(label: "redis") { _ in handler }
        logger.warning("it fails", metadata: hasOwn ? ["b": "3", "c": "x \"y\""] : nil)
        logger.debug("not told")
        #expect(lines.all == [hasOwn ? #"redis: it fails a="1" b="3" c="x \"y\"""# : #"redis: it fails a="1" b="2""#])
    }
}
