import AsynqRedis
import Model
import Platform
import Redis

/// Changes Redis as Asynq's client, workers, forwarder and heartbeater do. Each transition is one MULTI/EXEC; Asynq
/// itself uses Lua scripts, with the same result.
struct AsynqStore {
    private static let leaseSeconds: Int64 = 30
    private static let serverLifetimeSeconds: Int64 = 10
    private static let statisticsSeconds: Int64 = 90 * 86_400

    private let connection: RedisConnection
    private let clock: Clock
    private var knownQueues: Set<String> = []

    init(_ connection: RedisConnection, clock: Clock) {
        self.connection = connection
        self.clock = clock
    }

    private var nowSeconds: Int64 { clock.wall().wholeSeconds }

    // MARK: Client

    /// Puts a task into its queue.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    mutating func enqueue(_ task: TaskMessage) throws(RedisError) {
        let queue = QueueName(task.queue)
        var commands = try registering(task.queue)
        commands.add(
            "HSET",
            list: taskKey(task) + ["msg".bytes, task.encoded, "state".bytes, "pending".bytes]
                + ["pending_since".bytes, String(clock.wall().nanoseconds).bytes])
        commands.add("LPUSH", AsynqKeys.queue(queue, "pending"), task.id.bytes)
        try run(commands)
    }

    /// Schedules a task ahead.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    mutating func schedule(_ task: TaskMessage, atSeconds time: Int64) throws(RedisError) {
        var commands = try registering(task.queue)
        commands.add("HSET", list: taskKey(task) + ["msg".bytes, task.encoded, "state".bytes, "scheduled".bytes])
        commands.add("ZADD", AsynqKeys.queue(QueueName(task.queue), "scheduled"), String(time).bytes, task.id.bytes)
        try run(commands)
    }

    private mutating func registering(_ queue: String) throws(RedisError) -> RedisPipeline {
        var commands = RedisPipeline()
        if knownQueues.insert(queue).inserted { commands.add("SADD", AsynqKeys.queues, queue.bytes) }
        return commands
    }

    /// Pauses a queue.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func pause(_ queue: String) throws(RedisError) {
        var commands = RedisPipeline()
        commands.add("SETNX", AsynqKeys.queue(QueueName(queue), "paused"), String(nowSeconds).bytes)
        try run(commands)
    }

    /// Resumes a queue.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func resume(_ queue: String) throws(RedisError) {
        var commands = RedisPipeline()
        commands.add("DEL", AsynqKeys.queue(QueueName(queue), "paused"))
        try run(commands)
    }

    // MARK: Worker

    /// Returns the id of the next task of the queue, now active and leased; nil when it is empty or paused.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func dequeue(_ queue: String) throws(RedisError) -> String? {
        let name = QueueName(queue)
        var look = RedisPipeline()
        look.add("EXISTS", AsynqKeys.queue(name, "paused"))
        if try connection.roundTrip(look, deadline: deadline)[0].number != 0 { return nil }
        var move = RedisPipeline()
        move.add("RPOPLPUSH", AsynqKeys.queue(name, "pending"), AsynqKeys.queue(name, "active"))
        guard let id = try connection.roundTrip(move, deadline: deadline)[0].bytes else { return nil }
        var commands = RedisPipeline()
        commands.add("HSET", AsynqKeys.task(name, id: id), "state".bytes, "active".bytes)
        commands.add("HDEL", AsynqKeys.task(name, id: id), "pending_since".bytes)
        commands.add("ZADD", AsynqKeys.queue(name, "lease"), String(nowSeconds + Self.leaseSeconds).bytes, id)
        try run(commands)
        return String(decoding: id, as: UTF8.self)
    }

    /// Records that a task was completed.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func complete(_ task: TaskMessage) throws(RedisError) {
        var commands = leavingActive(task)
        if task.retentionSeconds > 0 {
            var done = task
            done.completedAt = nowSeconds
            commands.add("HSET", list: taskKey(task) + ["msg".bytes, done.encoded, "state".bytes, "completed".bytes])
            commands.add(
                "ZADD", AsynqKeys.queue(QueueName(task.queue), "completed"),
                String(nowSeconds + task.retentionSeconds).bytes, task.id.bytes)
        } else {
            commands.add("DEL", list: taskKey(task))
        }
        count("processed", task.queue, &commands)
        try run(commands)
    }

    /// Records that a task failed: it is tried again at a time or, without one, dead.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func fail(_ task: TaskMessage, retryAtSeconds: Int64?) throws(RedisError) {
        var commands = leavingActive(task)
        let state = retryAtSeconds == nil ? "archived" : "retry"
        let queue = QueueName(task.queue)
        let key = retryAtSeconds == nil ? AsynqKeys.queue(queue, "archived") : AsynqKeys.queue(queue, "retry")
        commands.add("ZADD", key, String(retryAtSeconds ?? nowSeconds).bytes, task.id.bytes)
        commands.add("HSET", list: taskKey(task) + ["msg".bytes, task.encoded, "state".bytes, state.bytes])
        count("processed", task.queue, &commands)
        count("failed", task.queue, &commands)
        try run(commands)
    }

    private func leavingActive(_ task: TaskMessage) -> RedisPipeline {
        var commands = RedisPipeline()
        commands.add("LREM", AsynqKeys.queue(QueueName(task.queue), "active"), "0".bytes, task.id.bytes)
        commands.add("ZREM", AsynqKeys.queue(QueueName(task.queue), "lease"), task.id.bytes)
        return commands
    }

    private func count(_ what: StaticString, _ queue: String, _ commands: inout RedisPipeline) {
        let total = AsynqKeys.queue(QueueName(queue), what)
        let day = total + (":" + clock.wall().utcDay).bytes
        commands.add("INCR", total)
        commands.add("INCR", day)
        commands.add("EXPIREAT", day, String(nowSeconds + Self.statisticsSeconds).bytes)
    }

    /// Renews the leases of active tasks.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func extendLeases(_ tasks: [TaskMessage]) throws(RedisError) {
        var commands = RedisPipeline()
        for task in tasks {
            commands.add(
                "ZADD", AsynqKeys.queue(QueueName(task.queue), "lease"), "XX".bytes,
                String(nowSeconds + Self.leaseSeconds).bytes, task.id.bytes)
        }
        try run(commands)
    }

    // MARK: Background of a server

    /// Moves scheduled and retry tasks whose time has come to pending, at most 100 a call and set.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func forwardDue(_ queue: String) throws(RedisError) {
        let name = QueueName(queue)
        for set in ["scheduled", "retry"] as [StaticString] {
            var look = RedisPipeline()
            look.add(
                "ZRANGEBYSCORE", AsynqKeys.queue(name, set), "-inf".bytes, String(nowSeconds).bytes, "LIMIT".bytes,
                "0".bytes,
                "100".bytes)
            let due = try connection.roundTrip(look, deadline: deadline)[0].elements ?? []
            var commands = RedisPipeline()
            for id in due.compactMap(\.bytes) {
                commands.add("ZREM", AsynqKeys.queue(name, set), id)
                commands.add("LPUSH", AsynqKeys.queue(name, "pending"), id)
                commands.add(
                    "HSET", AsynqKeys.task(name, id: id), "state".bytes, "pending".bytes, "pending_since".bytes,
                    String(clock.wall().nanoseconds).bytes)
            }
            try run(commands)
        }
    }

    /// Returns the ids of active tasks whose lease has expired.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func orphans(_ queue: String) throws(RedisError) -> [String] {
        var look = RedisPipeline()
        look.add(
            "ZRANGEBYSCORE", AsynqKeys.queue(QueueName(queue), "lease"), "-inf".bytes, String(nowSeconds).bytes)
        let expired = try connection.roundTrip(look, deadline: deadline)[0].elements ?? []
        return expired.compactMap(\.bytes).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Deletes completed tasks whose retention is over, at most 100 a call.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func deleteExpired(_ queue: String) throws(RedisError) {
        let name = QueueName(queue)
        var look = RedisPipeline()
        look.add(
            "ZRANGEBYSCORE", AsynqKeys.queue(name, "completed"), "-inf".bytes, String(nowSeconds).bytes, "LIMIT".bytes,
            "0".bytes, "100".bytes)
        let expired = try connection.roundTrip(look, deadline: deadline)[0].elements ?? []
        var commands = RedisPipeline()
        for id in expired.compactMap(\.bytes) {
            commands.add("DEL", AsynqKeys.task(name, id: id))
            commands.add("ZREM", AsynqKeys.queue(name, "completed"), id)
        }
        try run(commands)
    }

    /// Writes the heartbeat of a server.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func beat(_ server: ServerInfo, _ workers: [WorkerInfo]) throws(RedisError) {
        let serverKey = ("asynq:servers:" + server.keySuffix).bytes
        let workersKey = ("asynq:workers:" + server.keySuffix).bytes
        let expiry = String(nowSeconds + Self.serverLifetimeSeconds).bytes
        let lifetime = String(Self.serverLifetimeSeconds).bytes
        var commands = RedisPipeline()
        commands.add("ZADD", AsynqKeys.servers, expiry, serverKey)
        commands.add("ZADD", AsynqKeys.workers, expiry, workersKey)
        commands.add("SETEX", serverKey, lifetime, server.encoded)
        commands.add("DEL", workersKey)
        for worker in workers { commands.add("HSET", workersKey, worker.task.id.bytes, worker.encoded) }
        if !workers.isEmpty { commands.add("EXPIRE", workersKey, lifetime) }
        try run(commands)
    }

    /// Writes the heartbeat of a scheduler.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    func beat(scheduler id: String, _ entries: [SchedulerEntry]) throws(RedisError) {
        let key = "asynq:schedulers:{\(id)}".bytes
        var commands = RedisPipeline()
        commands.add("ZADD", "asynq:schedulers".bytes, String(nowSeconds + 20).bytes, key)
        commands.add("DEL", key)
        for entry in entries {
            commands.add("LPUSH", key, entry.encoded)
            commands.add(
                "ZADD", AsynqKeys.schedulerHistory(ofEntry: ForeignText(entry.id)), String(entry.previousSeconds).bytes,
                entry.lastEvent)
        }
        commands.add("EXPIRE", key, "20".bytes)
        try run(commands)
    }

    // MARK: Sending

    private var deadline: MonotonicTime { clock.monotonic().advanced(by: .seconds(5)) }

    private func taskKey(_ task: TaskMessage) -> [[UInt8]] {
        [AsynqKeys.task(QueueName(task.queue), id: task.id.bytes)]
    }

    private func run(_ commands: RedisPipeline) throws(RedisError) {
        if commands.count == 0 { return }
        let transaction = commands.asTransaction()
        let replies = try connection.roundTrip(transaction, deadline: deadline)
        for reply in replies {
            if let text = reply.errorText { throw RedisError(.server, "Redis: " + text) }
        }
    }
}

extension String {
    var bytes: [UInt8] { Array(utf8) }
}

extension WallTime {
    /// The day as `YYYY-MM-DD` in UTC, as the daily counters are named.
    var utcDay: String {
        // The days since 0000-03-01, in years that begin in March so that the leap day is the last one.
        let days = wholeSeconds / 86_400 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return "\(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)"
    }
}
