import Logging
import Metrics
import Model
import Platform
import Redis
import Synchronization
import TestSupport
import Testing

@testable import AsynqRedis
@testable import Collector

@Suite("What the thread that reads Redis leaves")
struct RedisMonitorTests {
    private final class Flag: Sendable {
        private let value = Mutex(false)

        var isSet: Bool { value.withLock { $0 } }
        func set() { value.withLock { $0 = true } }
        func clear() { value.withLock { $0 = false } }
    }

    /// Answers as a Redis that has one queue and no task; each key takes 64 bytes.
    private static func answer(_ words: [String]) -> FakeAnswer {
        switch words[0] {
        case "SMEMBERS" where words[1] == "asynq:queues": .send("*1\r\n$1\r\nq\r\n")
        case "LLEN", "ZCARD", "ZCOUNT", "SCARD", "EXISTS": .send(":0\r\n")
        case "MEMORY": .send(":64\r\n")
        case "GET", "INFO": .send("$-1\r\n")
        case "MGET": .send("*2\r\n$-1\r\n$-1\r\n")
        default: .send("*0\r\n")
        }
    }

    private static func waitUntil(_ isTrue: () -> Bool) async throws {
        for _ in 0..<3000 where !isTrue() { try await Task.sleep(nanoseconds: 10_000_000) }
        #expect(isTrue())
    }

    @Test("After a sampling of memory that failed as a whole, no queue has the number of one before")
    func failedSampling() async throws {
        let isBroken = Flag()
        let redis = try FakeRedis { _, words in
            words[0] == "MEMORY" && isBroken.isSet ? .close : Self.answer(words)
        }
        var options = RedisMonitorOptions(
            target: RedisTarget(redis.endpoint), interval: .milliseconds(10), timeout: .seconds(30))
        options.memoryInterval = .milliseconds(10)
        let monitor = try RedisMonitor(
            options, clock: .system, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try monitor.start()
        defer {
            monitor.beginStop()
            monitor.awaitStop(until: .soon)
        }
        func queues() -> [QueueSnapshot] { monitor.current.snapshot?.queues ?? [] }
        try await Self.waitUntil { queues().map(\.memoryBytes) == [6 * 64] }
        isBroken.set()
        try await Self.waitUntil { queues().map(\.memoryBytes) == [nil] }
    }

    private static func makeMonitor(
        _ redis: FakeRedis, _ log: LinesLog = LinesLog(), _ change: (inout RedisMonitorOptions) -> Void = { _ in }
    ) throws -> RedisMonitor {
        var options = RedisMonitorOptions(
            target: RedisTarget(redis.endpoint), interval: .milliseconds(10), timeout: .seconds(30))
        change(&options)
        return try RedisMonitor(options, clock: .system, logger: Logger(label: "test") { _ in log })
    }

    private static func stop(_ monitor: RedisMonitor) {
        monitor.beginStop()
        monitor.awaitStop(until: .soon)
    }

    @Test("A scrape that fails leaves no numbers and its reason, and a good one no reason; each is told once")
    func outage() async throws {
        let (isBroken, log) = (Flag(), LinesLog())
        let redis = try FakeRedis { _, words in
            words[0] == "SMEMBERS" && isBroken.isSet ? .send("-LOADING the data set\r\n") : Self.answer(words)
        }
        isBroken.set()
        let monitor = try Self.makeMonitor(redis, log)
        try monitor.start()
        defer { Self.stop(monitor) }
        try await Self.waitUntil { monitor.current.attempts >= 2 }
        let failed = monitor.current
        #expect(failed.snapshot == nil && failed.lastError?.contains("LOADING") == true && failed.lastSuccess == nil)
        #expect(failed.errors[.loading] ?? 0 >= 2)
        isBroken.clear()
        try await Self.waitUntil { monitor.current.snapshot != nil }
        let good = monitor.current
        #expect(
            good.lastError == nil && good.lastSuccess == good.snapshot?.takenAt && good.lastDurationSeconds ?? 0 > 0)
        #expect(log.all == ["Redis scrape failed", "Redis answers again"])
    }

    /// The reply to TIME of a Redis whose clock is so many seconds ahead.
    private static func time(_ ahead: Int64) -> FakeAnswer {
        let seconds = String(Clock.system.wall().wholeSeconds + ahead)
        return .send("*2\r\n$\(seconds.utf8.count)\r\n\(seconds)\r\n$1\r\n0\r\n")
    }

    @Test("Clocks that agree are worth no line; that they differ is told once, and once that they agree again")
    func clocks() async throws {
        let (isOff, log) = (Flag(), LinesLog())
        let redis = try FakeRedis { _, words in
            words[0] == "TIME" ? Self.time(isOff.isSet ? 3600 : 0) : Self.answer(words)
        }
        let monitor = try Self.makeMonitor(redis, log)
        try monitor.start()
        defer { Self.stop(monitor) }
        try await Self.waitUntil { monitor.current.attempts >= 3 }
        #expect(log.all.isEmpty && monitor.current.snapshot?.clockOffset != nil)
        isOff.set()
        try await Self.waitUntil { !log.all.isEmpty }
        let attempts = monitor.current.attempts
        try await Self.waitUntil { monitor.current.attempts >= attempts + 3 }
        #expect(log.all.count == 1 && log.all[0].hasPrefix("the clocks of Redis and of this machine differ"))
        isOff.clear()
        try await Self.waitUntil { log.all.count > 1 }
        #expect(log.all.last == "the clocks of Redis and of this machine agree again")
    }

    @Test("What one part of the work can't read is counted by its reason, told once, and told when it is over")
    func partialErrors() async throws {
        let (isBroken, log) = (Flag(), LinesLog())
        let redis = try FakeRedis { _, words in
            words[0] == "MEMORY" && isBroken.isSet ? .send("-NOPERM no\r\n") : Self.answer(words)
        }
        isBroken.set()
        let monitor = try Self.makeMonitor(redis, log) { $0.memoryInterval = .milliseconds(10) }
        try monitor.start()
        defer { Self.stop(monitor) }
        try await Self.waitUntil { monitor.current.errors[.permission] ?? 0 >= 2 }
        #expect(monitor.current.lastError == nil && monitor.current.snapshot != nil)
        #expect(log.all == ["a part of the memory sampling failed"])
        isBroken.clear()
        try await Self.waitUntil { log.all.count > 1 }
        #expect(log.all == ["a part of the memory sampling failed", "the memory sampling is complete again"])
    }

    @Test("Who observes is told of every queue, of those that the filter leaves out as well")
    func observers() async throws {
        let redis = try FakeRedis { _, words in Self.answer(words) }
        let monitor = try Self.makeMonitor(redis) { $0.filter = QueueFilter(exclude: "^q$") }
        let told = LinesOfText()
        var observers = RedisObservers()
        observers.queueNames = { names in told.add("names \(names.map(\.text))") }
        observers.snapshot = { snapshot in told.add("queues \(snapshot.queues.count)") }
        monitor.report(to: observers)
        try monitor.start()
        defer { Self.stop(monitor) }
        try await Self.waitUntil { told.all.count >= 2 }
        #expect(Set(told.all) == ["names [\"q\"]", "queues 0"])
    }

    @Test("What people ask is answered by Redis' thread, and refused before the first scrape and after the end")
    func inquiries() async throws {
        let redis = try FakeRedis { _, words in
            words[0] == "HSTRLEN" ? .send(":0\r\n") : Self.answer(words)
        }
        let monitor = try Self.makeMonitor(redis)
        func find() async -> String {
            await withCheckedContinuation { continuation in
                monitor.findTask(TaskName(queue: QueueName("q"), id: [UInt8(ascii: "i")])) { answer in
                    switch answer {
                    case .answer(let task): continuation.resume(returning: task == nil ? "none" : "found")
                    case .refused(let refusal): continuation.resume(returning: "\(refusal)")
                    }
                }
            }
        }
        #expect(await find() == #"unavailable("Redis was not read yet")"#)
        try monitor.start()
        try await Self.waitUntil { monitor.current.snapshot != nil }
        #expect(await find() == "none")
        let retries: [DueRetry]? = await withCheckedContinuation { continuation in
            monitor.dueRetries(of: QueueName("q")) { answer in
                if case .answer(let list) = answer {
                    continuation.resume(returning: list)
                } else {
                    continuation.resume(returning: nil)
                }
            }
        }
        #expect(retries == [] && monitor.knownRetries(of: QueueName("q")) == [])
        Self.stop(monitor)
        #expect(await find() == #"unavailable("the collector is stopping")"#)
    }

    @Test("A task of which only the id is known is looked for in each queue")
    func search() async throws {
        let redis = try FakeRedis { _, words in
            words[0] == "EXISTS" ? .send(words[1].hasSuffix(":t:here") ? ":1\r\n" : ":0\r\n") : Self.answer(words)
        }
        let monitor = try Self.makeMonitor(redis)
        try monitor.start()
        defer { Self.stop(monitor) }
        try await Self.waitUntil { monitor.current.snapshot != nil }
        func search(_ id: String) async -> TaskSearch? {
            await withCheckedContinuation { continuation in
                monitor.searchTask(id: Array(id.utf8)) { answer in
                    if case .answer(let search) = answer {
                        continuation.resume(returning: search)
                    } else {
                        continuation.resume(returning: nil)
                    }
                }
            }
        }
        let here = await search("here")
        #expect(here?.found == [QueueName("q")] && here?.queues == 1 && here?.lookedAt == 1)
        let gone = await search("gone")
        #expect(gone?.found == [] && gone?.lookedAt == 1)
    }

    @Test("The look-ahead tells the wait of a task that was pending and is gone, and is off unless it is asked for")
    func lookAhead() async throws {
        let isGone = Flag()
        let now = Clock.system.wall().nanoseconds
        let redis = try FakeRedis { _, words in
            switch words[0] {
            case "LRANGE" where words[1] == "asynq:{q}:pending" && !isGone.isSet: .send("*1\r\n$1\r\na\r\n")
            case "HMGET" where words[1] == "asynq:{q}:t:a" && words[2] == "pending_since":
                .send(
                    "*\(words.count - 2)\r\n$\(String(now).utf8.count)\r\n\(now)\r\n"
                        + (words.count > 3 ? "$-1\r\n" : ""))
            case "HMGET": .send("*\(words.count - 2)\r\n" + String(repeating: "$-1\r\n", count: words.count - 2))
            case "ZMSCORE": .send("*1\r\n$-1\r\n")
            case "HSTRLEN": .send(":0\r\n")
            default: Self.answer(words)
            }
        }
        let monitor = try Self.makeMonitor(redis) {
            $0.lookAhead = LookAheadOptions(count: 10, interval: .milliseconds(10))
        }
        let told = LinesOfText()
        var observers = RedisObservers()
        observers.waits = { waits in for wait in waits { told.add("\(wait.queue.text) \(wait.seconds >= 0)") } }
        monitor.report(to: observers)
        try monitor.start()
        defer { Self.stop(monitor) }
        try await Self.waitUntil { monitor.seenTasks.count == 1 }
        isGone.set()
        try await Self.waitUntil { !told.all.isEmpty || !monitor.current.lostTasks.isEmpty }
        #expect(told.all == ["q true"] || monitor.current.lostTasks == [.gap: 1], "a slow machine leaves a gap")

        let other = try FakeRedis { _, words in Self.answer(words) }
        let without = try Self.makeMonitor(other)
        try without.start()
        defer { Self.stop(without) }
        try await Self.waitUntil { without.current.attempts >= 3 }
        // The scrape reads fewer.
        #expect(redis.commands.contains(["LRANGE", "asynq:{q}:pending", "-10", "-1"]))
        #expect(!other.commands.contains { $0[0] == "LRANGE" && $0[1] == "asynq:{q}:pending" && $0[2] == "-10" })
    }

    @Test(
        "The page has the families of what was read last, whole or in portions; without a reading, those of the scrape")
    func pages() async throws {
        let redis = try FakeRedis { _, words in Self.answer(words) }
        let monitor = try Self.makeMonitor(redis)
        let views = RedisViews(monitor, maxLabelBytes: 1 << 20, hasAsynqmonNames: false)
        let metrics = RedisMetrics(views: views)
        let waits = SampledWaits(HistogramBounds(ascending: 1), window: .seconds(60), clock: .system)
        let lookAhead = LookAheadMetrics(views: views, waits: waits)
        #expect(series(metrics.metricFamilies(), named: "asynq_redis_up") == ["asynq_redis_up 0"])
        #expect(series(metrics.metricFamilies(), named: "asynq_queue").isEmpty && views.labelBytes == 0)
        #expect(metrics.portions().map { $0.count } == [metrics.metricFamilies().count])
        try monitor.start()
        try await Self.waitUntil { monitor.current.snapshot != nil }
        Self.stop(monitor)
        let whole = series(metrics.metricFamilies())
        #expect(whole.contains("asynq_redis_up 1") && whole.contains(#"asynq_queue_size{queue="q",state="pending"} 0"#))
        #expect(whole.contains { $0.hasPrefix("asynq_redis_scrape_duration_seconds ") })
        #expect(whole.contains { $0.hasPrefix("asynq_redis_last_scrape_timestamp_seconds 1") })
        #expect(series(Array(metrics.portions().joined())).sorted() == whole.sorted())
        #expect(series(Array(lookAhead.portions().joined())).sorted() == series(lookAhead.metricFamilies()).sorted())
        #expect(series(lookAhead.metricFamilies()).contains("asynq_collector_look_ahead_tasks 0"))
        #expect(views.labelBytes > 0 && views.current.view === views.current.view)
    }
}
