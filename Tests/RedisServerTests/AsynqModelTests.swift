import Glibc
import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import AsynqRedis
@testable import Redis

/// A Redis whose clock is the model's.
private final class ToldClock: RedisClient {
    private let connection: RedisConnection
    private let now: WallTime

    init(_ connection: RedisConnection, _ now: WallTime) {
        self.connection = connection
        self.now = now
    }

    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        var replies = try connection.roundTrip(pipeline, deadline: deadline)
        let microseconds = now.nanoseconds / 1000
        let time = [microseconds / 1_000_000, microseconds % 1_000_000].map {
            RedisReply.string(Array(String($0).utf8))
        }
        for index in replies.indices where pipeline.bytes(of: index).starts(with: Array("*1\r\n$4\r\nTIME".utf8)) {
            replies[index] = .array([.array(time)])
        }
        return replies
    }
}

/// Plays random steps of Asynq against a real Redis, scrapes it, and compares with the model.
private struct Comparison {
    struct Divergence: Error {}

    private let server: RedisTestServer
    private let redis: RedisConnection
    private let breaking = TestClock()
    private let clock = TestClock()
    private let seed: UInt64
    /// By how much the collector's clock is ahead, and whether Redis tells its own.
    private let aheadSeconds: Int64
    private let isTold: Bool
    private var scraper: QueueScraper
    private var connection: RedisConnection?
    private var isBaseline = true
    private var knownBefore: Set<Int> = []
    private(set) var asynq: ModelledAsynq
    private(set) var scrapes = 0
    private(set) var failedScrapes = 0

    init(seed: UInt64) throws {
        self.seed = seed
        server = try RedisTestServer()
        redis = try server.connect()
        scraper = QueueScraper(filter: .all, clock: clock.clock)
        var random = SeededGenerator(seed: seed)
        // The collector's clock may be wrong, too.
        let ahead = [0, 0, 0, 5, 45, -20, -600].randomElement(using: &random) ?? 0
        isTold = Bool.random(using: &random)
        aheadSeconds = Int64(ahead)
        asynq = ModelledAsynq(random)
        // What is compared with the collector's clock is compared with Redis', where it is told.
        asynq.collectorAheadSeconds = isTold ? 0 : aheadSeconds
    }

    mutating func run(steps: Int) throws {
        asynq.prepare()
        try write()
        // Some runs begin with an Asynq that is at work already.
        let headStart = asynq.number(0...200)
        while asynq.stepCount < headStart { try stepAndWrite() }
        // Rare, so one at least comes for certain.
        var burstAt = headStart + (steps - headStart) / 2
        while asynq.stepCount < steps {
            try compare()
            if asynq.stepCount >= burstAt {
                asynq.burst(ModelledAsynq.fullArchive)
                burstAt = .max
            }
            asynq.step()
            let longest = [0, 5, 30][asynq.number(0...2)]
            for _ in 0..<asynq.number(0...longest) where !asynq.isAtLimit { asynq.step() }
            try write()
        }
        try compare()
    }

    private mutating func stepAndWrite() throws {
        asynq.step()
        try write()
    }

    private mutating func write() throws {
        let commands = asynq.takeCommands()
        if commands.pipeline.count == 0 { return }
        let differences = commands.differences(try redis.roundTrip(commands.pipeline, deadline: .soon))
        if !differences.isEmpty { try fail("the model and Redis disagree before any scrape:", differences) }
    }

    private mutating func compare() throws {
        let ours = asynq.now.advanced(by: .seconds(aheadSeconds))
        let now = asynq.now.advanced(by: .seconds(asynq.collectorAheadSeconds))
        clock.set(ours)
        // A scrape that breaks off anywhere in between must not count anything, nor forget anything.
        breaking.expireDeadlines(afterReadings: asynq.oneIn(isBaseline ? 3 : 10) ? asynq.number(1...12) : .max)
        guard let seen = try scrape() else {
            failedScrapes += 1
            return
        }
        scrapes += 1
        // A queue is known by asynq:queues, or by a server that lives.
        let served = Set(asynq.servers.live(at: now).flatMap(\.queues))
        let known = asynq.queues.indices.filter { asynq.listed.contains($0) || served.contains(asynq.queues[$0].name) }
        for queue in known {
            let isNew = knownBefore.insert(queue).inserted
            asynq.queues[queue].recordScrape(isBaseline: isNew && (isBaseline || !asynq.listed.contains(queue)))
        }
        isBaseline = false
        for queue in asynq.queues.indices where !known.contains(queue) { asynq.queues[queue].recordAbsence() }
        let listed = known.map { asynq.queues[$0] }.sorted { $0.name < $1.name }
        let registered = Set(asynq.listed.map { asynq.queues[$0].name })
        var differences: [String] = []
        func check(_ what: String, _ seen: some Equatable, _ expected: some Equatable, _ isEqual: Bool) {
            if !isEqual { differences.append("\(what): the scrape says \(seen), the model says \(expected)") }
        }
        check("time", seen.takenAt, ours, seen.takenAt == ours)
        check("errors", seen.errorMessages, [String](), seen.errorMessages.isEmpty && seen.partialErrors.isEmpty)
        let names = (seen.queues.map(\.name.text), listed.map(\.name.text))
        check("queues", names.0, names.1, seen.queues.map(\.name) == listed.map(\.name))
        for (seen, model) in zip(seen.queues, listed) {
            var expected = model.snapshot(at: now)
            expected.isRegistered = registered.contains(model.name)
            if seen != expected { differences += Self.differences(seen, expected) }
        }
        let servers = seen.servers?.sorted { $0.id < $1.id }
        let liveServers = asynq.servers.live(at: now).sorted { $0.id < $1.id }
        check("servers", servers, liveServers, servers == liveServers)
        check("scheduler entries", seen.schedulerEntries, [SchedulerEntrySnapshot](), seen.schedulerEntries == [])
        if !differences.isEmpty { try fail("a scrape differs:", differences) }
    }

    /// nil where it broke off.
    private mutating func scrape() throws -> RedisSnapshot? {
        do {
            let open = try connection ?? RedisConnection(server.endpoint, clock: breaking.clock, deadline: .soon)
            connection = open
            let client: any RedisClient = isTold ? ToldClock(open, asynq.now) : open
            return try scraper.scrape(client, deadline: .soon)
        } catch let error as RedisError where error.reason == .timeout {
            connection = nil
            return nil
        }
    }

    /// Field by field.
    private static func differences(_ seen: QueueSnapshot, _ expected: QueueSnapshot) -> [String] {
        var lines: [String] = []
        func check<T: Equatable>(_ field: String, _ path: KeyPath<QueueSnapshot, T>) {
            let (seen, model) = (seen[keyPath: path], expected[keyPath: path])
            if seen != model {
                lines.append("\(expected.name.text).\(field): the scrape says \(seen), the model says \(model)")
            }
        }
        check("name", \.name)
        check("size", \.size)
        check("groups", \.groups)
        check("latency", \.latencyNanoseconds)
        check("paused", \.isPaused)
        check("paused at", \.pausedAt)
        check("processed", \.processed)
        check("failed", \.failed)
        check("orphaned", \.orphaned)
        check("orphaned since", \.orphanedSince)
        check("overdue", \.overdue)
        check("overdue since", \.overdueSince)
        check("dead-lettered", \.deadLettered)
        check("unread dead letters", \.unreadDeadLetters)
        check("registered", \.isRegistered)
        // A field that is new and not listed above.
        return lines.isEmpty ? ["\(expected.name.text): the scrape says \(seen), the model says \(expected)"] : lines
    }

    private func fail(_ what: String, _ differences: [String]) throws {
        let steps = asynq.history.suffix(30).joined(separator: "\n  ")
        Issue.record(
            """
            seed \(seed), step \(asynq.stepCount), scrape \(scrapes) (repeat with ASYNQ_MODEL_SEED=\(seed)): \(what)
              \(differences.prefix(10).joined(separator: "\n  "))
            after
              \(steps)
            """)
        throw Divergence()
    }
}

@Suite("A model of Asynq beside a real Redis")
struct AsynqModelTests {
    /// `ASYNQ_MODEL_SEED` repeats a run, `ASYNQ_MODEL_STEPS` makes it longer.
    private static func setting(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    @Test("Whatever Asynq does, a scrape sees what the model says, every field of every queue")
    func differential() throws {
        let seed = Self.setting("ASYNQ_MODEL_SEED") ?? UInt64.random(in: 0...UInt64.max)
        let steps = Int(Self.setting("ASYNQ_MODEL_STEPS") ?? 3000)
        print("asynq model: seed \(seed)")
        var comparison = try Comparison(seed: seed)
        try comparison.run(steps: steps)
        print(
            "asynq model: seed \(seed), \(comparison.asynq.stepCount) steps, \(comparison.scrapes) scrapes,",
            "\(comparison.failedScrapes) broken off")
        if getenv("ASYNQ_MODEL_COUNTS") != nil {
            for (step, count) in comparison.asynq.counts.sorted(by: { $0.key < $1.key }) { print("  \(count) \(step)") }
        }
    }
}
