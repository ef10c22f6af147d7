import AsynqRedis
import Glibc
import Model
import Platform
import Redis

// What one scrape costs, beside a scrape that asks as Asynq's own exporter does, on the same data and in the same run.
// Prints one line for each way of asking; means over so many scrapes that each way runs for about two seconds.

/// Counts round trips on the way to a connection.
final class CountingClient: RedisClient {
    private let connection: RedisConnection
    private(set) var roundTrips = 0

    init(_ connection: RedisConnection) {
        self.connection = connection
    }

    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        roundTrips += 1
        return try connection.roundTrip(pipeline, deadline: deadline)
    }
}

/// One way of asking, measured.
struct Cost {
    var roundTrips = 0.0
    var commands = 0.0
    var redisMilliseconds = 0.0
    var ourMilliseconds = 0.0
    var wallMilliseconds = 0.0
}

func threadMilliseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
}

func measure(_ stage: Stage, _ work: () throws -> Int) throws -> Cost {
    for _ in 0..<3 { _ = try work() }
    let clock = Clock.system
    let start = clock.monotonic()
    let ours = threadMilliseconds()
    let before = try stage.redisUse()
    var count = 0.0
    var cost = Cost()
    while clock.monotonic().seconds(since: start) < 2 {
        cost.roundTrips += Double(try work())
        count += 1
    }
    let seconds = clock.monotonic().seconds(since: start)
    let after = try stage.redisUse()
    cost.ourMilliseconds = (threadMilliseconds() - ours) / count
    cost.roundTrips /= count
    cost.commands = (after.commands - before.commands) / count
    cost.redisMilliseconds = (after.cpuSeconds - before.cpuSeconds) * 1e3 / count
    cost.wallMilliseconds = seconds * 1e3 / count
    return cost
}

func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

func number(_ value: Double, _ digits: Int) -> String {
    let scale = digits == 0 ? 1.0 : digits == 1 ? 10.0 : 100.0
    let rounded = (value * scale).rounded() / scale
    return digits == 0 ? String(Int(rounded)) : String(rounded)
}

func report(_ title: String, _ cost: Cost, beside rival: Cost) {
    var line = "  " + title + String(repeating: " ", count: max(1, 34 - title.count))
    line += pad(number(cost.roundTrips, 0), 12) + pad(number(cost.commands, 0), 10)
    line += pad(number(cost.redisMilliseconds, 2), 11) + pad(number(cost.ourMilliseconds, 2), 11)
    line += pad(number(cost.wallMilliseconds, 2), 10)
    line += pad(number(rival.redisMilliseconds / cost.redisMilliseconds, 1) + "×", 13)
    line += pad(number(rival.wallMilliseconds / cost.wallMilliseconds, 1) + "×", 9)
    print(line)
}

func run(_ scenario: Scenario) throws {
    let stage = try Stage(scenario)
    print(scenario.title)
    var lua = try LuaScrape(stage.connection)
    let rival = try measure(stage) {
        let before = lua.roundTrips
        try lua.run()
        return lua.roundTrips - before
    }
    report("scripts per queue, with memory", rival, beside: rival)
    let client = CountingClient(stage.connection)
    func counted(_ work: () throws -> Void) rethrows -> Int {
        let before = client.roundTrips
        try work()
        return client.roundTrips - before
    }
    var scraper = QueueScraper(filter: .all, clock: .system)
    let scrape = try measure(stage) { try counted { _ = try scraper.scrape(client, deadline: .inAMinute) } }
    report("scrape", scrape, beside: rival)
    let withMemory = try measure(stage) {
        try counted {
            let snapshot = try scraper.scrape(client, deadline: .inAMinute)
            _ = try MemorySampler.sample(client, snapshot.queues, deadline: .inAMinute)
        }
    }
    report("scrape and memory sampling", withMemory, beside: rival)
    var sampler = LookAheadSampler(count: 100, interval: .seconds(1), clock: .system, tasks: SeenTasks())
    let names = try scraper.scrape(client, deadline: .inAMinute).queues.map(\.name)
    let samples = try measure(stage) {
        try counted { _ = try sampler.sampleQueues(client, names: names, servers: [], deadline: .inAMinute) }
    }
    report("look ahead, 100 tasks a queue", samples, beside: rival)
    let fresh = try measure(stage) {
        try counted {
            var sampler = LookAheadSampler(
                count: 100, interval: .seconds(1), clock: .system, tasks: SeenTasks())
            _ = try sampler.sampleQueues(client, names: names, servers: [], deadline: .inAMinute)
        }
    }
    report("the same, all tasks new", fresh, beside: rival)
}

print(
    "                                     round trips  commands   Redis ms     our ms   wall ms   Redis ratio    wall ratio"
)
do {
    for scenario in Scenario.all { try run(scenario) }
} catch {
    print("failed: \(error)")
    exit(1)
}
