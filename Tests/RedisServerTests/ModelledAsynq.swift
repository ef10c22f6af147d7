import Glibc
import Model
import Redis
import TestSupport
import Testing

@testable import AsynqRedis

/// Commands of one batch, and what Redis has to answer: a model that has gone astray is found here, before a scraper is
/// blamed for it.
struct CheckedCommands {
    private(set) var pipeline = RedisPipeline()
    private var expected: [(index: Int, reply: RedisReply, command: String)] = []

    mutating func add(_ command: StaticString, _ arguments: [UInt8]..., gives reply: RedisReply? = nil) {
        add(command, list: arguments, gives: reply)
    }

    mutating func add(_ command: StaticString, list arguments: [[UInt8]], gives reply: RedisReply? = nil) {
        let index = pipeline.count
        pipeline.add(command, list: arguments)
        guard let reply else { return }
        let words = arguments.prefix(4).map { String(decoding: $0, as: UTF8.self) }
        expected.append((index, reply, "\(command) \(words.joined(separator: " "))"))
    }

    /// What differs, one line each.
    func differences(_ replies: [RedisReply]) -> [String] {
        let errors = replies.compactMap(\.errorText).map { "Redis: \($0)" }
        return errors
            + expected.compactMap { index, reply, command in
                replies[index] == reply ? nil : "\(command) gave \(replies[index]), the model expects \(reply)"
            }
    }
}

/// Asynq's programs, played by one hand: each step changes the model and writes to Redis what Asynq's scripts would. Keys
/// whose time is over are deleted by a step, because Redis' own clock is not the one of the test.
struct ModelledAsynq {
    static let nanoseconds: Int64 = 1_000_000_000

    /// A process that enqueues. Since 0.25 each remembers which queues it has added to `asynq:queues`.
    struct Client {
        let remembersQueues: Bool
        var known: Set<Int> = []
    }

    var random: SeededGenerator
    var now = WallTime(nanoseconds: 1_700_000_000 * nanoseconds)
    var queues: [ModelQueue]
    /// Indexes of the queues in `asynq:queues`.
    var listed: Set<Int> = []
    var clients = [Client(remembersQueues: false), Client(remembersQueues: true), Client(remembersQueues: true)]
    var servers = ModelledServers()
    /// By how much the collector's clock is ahead of the true time.
    var collectorAheadSeconds: Int64 = 0
    /// One worker's clock is a day ahead. Not both: by the one clock the collector tells that the other is wrong.
    var hasWrongClock: Bool { collectorAheadSeconds <= 5 }
    var commands = CheckedCommands()
    /// The steps of late, for the message of a failure.
    private(set) var history: [String] = []
    private(set) var stepCount = 0
    /// The last step went to a moment at which something ends: time for a look.
    private(set) var isAtLimit = false
    private(set) var counts: [String: Int] = [:]
    /// When tasks died last, by whichever clock.
    private var deaths: [TaskID: WallTime] = [:]
    private(set) var lastDeath: (queue: Int, id: TaskID)?

    /// Names that trip up code that builds keys by hand, splits at a colon, or compares text as Unicode does.
    static let names = [
        "default", "emails:eu-west", "a}b", "quote\"'\\", "line\nbreak\r\n", "ünï→😀", "caf\u{E9}", "cafe\u{301}",
        "x}:t:y",
        " *[blank]? ", "a:b}:pending", "mails",
    ].map { QueueName($0) }
    /// The queue whose archive is nearly full, and the one whose counters are nearly at their end.
    static let fullArchive = 11
    static let fullCounters = 3
    static let groupNames = ["g", "g:1", "}", "x:0f5e\"", "\n", "é"].map { ForeignText($0) }

    init(_ random: SeededGenerator) {
        self.random = random
        queues = Self.names.map { ModelQueue($0) }
    }

    // MARK: Chance

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    mutating func oneIn(_ count: Int) -> Bool { number(1...count) == 1 }
    mutating func any<T>(_ list: some Collection<T>) -> T? { list.randomElement(using: &random) }

    /// Ids come in no order, as uuids do.
    mutating func newID() -> TaskID { random.next() }

    /// The clock of another machine, up to four seconds away from that of the test.
    mutating func someClock() -> WallTime {
        WallTime(nanoseconds: now.nanoseconds + Int64(number(-4_000_000_000...4_000_000_000)))
    }

    /// A task that was run again and dies again within seconds may well get the stamp it had before.
    mutating func deathTime(_ queue: Int, _ id: TaskID, _ clock: WallTime) -> WallTime {
        lastDeath = (queue, id)
        if deaths.count > 1000 { deaths = [:] }
        let clock =
            deaths[id].flatMap { abs(clock.nanoseconds - $0.nanoseconds) < 4 * Self.nanoseconds ? $0 : nil } ?? clock
        deaths[id] = clock
        return clock
    }

    mutating func someQueue() -> Int {
        // The nearly full one gets its share and the others theirs.
        oneIn(6) ? Self.fullArchive : number(0...queues.count - 1)
    }

    // MARK: Writing

    func key(_ queue: Int, _ suffix: StaticString) -> [UInt8] { AsynqKeys.queue(queues[queue].name, suffix) }
    func taskKey(_ queue: Int, _ id: TaskID) -> [UInt8] { AsynqKeys.task(queues[queue].name, id: Self.text(id)) }
    func groupKey(_ queue: Int, _ group: ForeignText) -> [UInt8] { AsynqKeys.group(queues[queue].name, group.bytes) }
    func lockKey(_ queue: Int, _ lock: Int) -> [UInt8] { key(queue, "unique:mail:send:") + Self.text(lock) }

    func setKey(_ queue: Int, _ set: ModelQueue.AggregationSet) -> [UInt8] {
        groupKey(queue, set.group) + Array(":".utf8) + Self.text(set.id)
    }

    static func text(_ id: TaskID) -> [UInt8] {
        let digits = String(id, radix: 16)
        // Ids are as free as queue names (asynq.TaskID).
        return Array((String(repeating: "0", count: 16 - digits.utf8.count) + digits + ":\"é\n").utf8)
    }

    static func text(_ number: Int64) -> [UInt8] { Array(String(number).utf8) }
    static func text(_ number: Int) -> [UInt8] { Array(String(number).utf8) }

    /// `processed` or `failed` of the day, in UTC. Asynq has it expire; the clock of this Redis is not the one of the test.
    func dayKey(_ queue: Int, _ counter: StaticString, at time: WallTime) -> [UInt8] {
        var seconds = time_t(time.wholeSeconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + String(number) }
        let day = ":\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return key(queue, counter) + Array(day.utf8)
    }

    // MARK: Running

    mutating func note(_ step: String, _ queue: Int? = nil, _ details: String = "") {
        stepCount += 1
        counts[step, default: 0] += 1
        let place = queue.map { " of queue \($0) (\(queues[$0].name.text))" } ?? ""
        history.append("\(stepCount) at \(now.nanoseconds): \(step)\(place) \(details)")
        if history.count > 60 { history.removeFirst(30) }
    }

    /// Hands out what was written since the last time.
    mutating func takeCommands() -> CheckedCommands {
        defer { commands = CheckedCommands() }
        return commands
    }

    mutating func step() {
        isAtLimit = false
        switch number(0...99) {
        case 0...9: passTime()
        case 10...33: clientStep()
        case 34...75: workerStep()
        case 76...83: maintenanceStep()
        case 84...96: inspectorStep()
        default: serverStep()
        }
    }

    /// Until a lease, a task's time or a server's is up, or a second more, by the collector's clock: where off-by-one shows.
    private mutating func nanosecondsToLimit() -> Int64 {
        let limits: [Int64]
        switch number(0...4) {
        case 0...1: limits = queues.flatMap { queue in queue.active.compactMap { queue.leases.score(of: $0) } }
        case 2: limits = queues.flatMap { $0.scheduled.entries.map(\.score) }
        case 3: limits = queues.flatMap { $0.retry.entries.map(\.score) }
        default: limits = servers.all.compactMap(\.listedUntil)
        }
        let passed = limits.map { ($0 - collectorAheadSeconds) * Self.nanoseconds - now.nanoseconds }
        let soon = any(passed.filter { (0...700 * Self.nanoseconds).contains($0) }) ?? 0
        return soon + (oneIn(3) ? Self.nanoseconds : 0)
    }

    /// Mostly less than a lease lasts; now and then an outage, or days, so that the archive's 90 days pass too.
    private mutating func passTime() {
        let passed: Int64
        switch number(0...199) {
        case 50...120:
            passed = nanosecondsToLimit()
            isAtLimit = true
        case 0: passed = Int64(number(1...5 * 86_400)) * Self.nanoseconds
        case 1...9: passed = Int64(number(20...200)) * Self.nanoseconds
        // Whole seconds, so that stamps and limits meet.
        case 10...120: passed = Int64(number(0...6)) * Self.nanoseconds
        default: passed = Int64(number(1...5_000_000_000))
        }
        now = WallTime(nanoseconds: now.nanoseconds + passed)
        note("time passes:", nil, "\(passed) ns")
        expireServers()
    }
}

// MARK: What lies there before the collector comes

extension ModelledAsynq {
    /// One archive is nearly full, with stamps all over the last 90 days; one queue's counters nearly overflow.
    mutating func prepare() {
        let full = Self.fullArchive
        let seconds = now.wholeSeconds
        let entries = (0..<Self.prefilledArchive).map { _ in
            let age = Int64(number(1...Int(ModelQueue.archiveSeconds)))
            return SortedTasks.Entry(score: seconds - age, id: newID())
        }.sorted()
        queues[full].prefillArchive(entries)
        let pairs = entries.flatMap { [Self.text($0.score), Self.text($0.id)] }
        commands.add("ZADD", list: [key(full, "archived")] + pairs, gives: .integer(Int64(entries.count)))
        for entry in entries.prefix(50) {
            queues[full].tasks[entry.id] = ModelQueue.Task(state: .archived)
            commands.add("HSET", taskKey(full, entry.id), Self.text("state"), Self.text("archived"))
        }
        queues[Self.fullCounters].processed = .max - 540
        queues[Self.fullCounters].failed = 77
        commands.add("SET", key(Self.fullCounters, "processed"), Self.text(Int64.max - 540))
        commands.add("SET", key(Self.fullCounters, "failed"), Self.text(77))
        for queue in [full, Self.fullCounters] {
            listed.insert(queue)
            commands.add("SADD", AsynqKeys.queues, queues[queue].name.bytes)
        }
        note("preparation")
    }

    private static let prefilledArchive = 9997

    static func text(_ text: StaticString) -> [UInt8] {
        Array(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
