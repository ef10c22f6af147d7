import Model
import Redis
import TestSupport

@testable import AsynqRedis

// The steps of clients, and those of workers with the tasks they run.
extension ModelledAsynq {
    private static let maxOpenTasks = 80

    // MARK: Clients

    mutating func clientStep() {
        let queue = someQueue()
        let open =
            queues[queue].line.count + queues[queue].active.count + queues[queue].retry.count
            + queues[queue].scheduled.count + queues[queue].grouped.values.reduce(0) { $0 + $1.count }
        // Queues stay short, so that every state is entered and left all the time.
        if open > Self.maxOpenTasks { return workerStep() }
        let lock = oneIn(3) ? number(0...3) : nil
        switch number(0...19) {
        case 0...9: enqueue(queue, lock: lock)
        case 10...13: schedule(queue, lock: lock)
        case 14...17: addToGroup(queue)
        case 18 where oneIn(3):
            let client = number(0...clients.count - 1)
            clients[client].known = []
            note("restart of client \(client)")
        default:
            if let lock = any(queues[queue].locks.keys.sorted()) {
                queues[queue].locks[lock] = nil
                note("end of a lock", queue)
                commands.add("DEL", lockKey(queue, lock), gives: .integer(1))
            }
        }
    }

    /// SADD asynq:queues, which clients since 0.25 leave out for queues that they have added before, also where the queue
    /// was deleted in between.
    private mutating func register(_ queue: Int) {
        let client = number(0...clients.count - 1)
        if clients[client].remembersQueues && clients[client].known.contains(queue) { return }
        clients[client].known.insert(queue)
        let isNew = listed.insert(queue).inserted
        commands.add("SADD", AsynqKeys.queues, queues[queue].name.bytes, gives: .integer(isNew ? 1 : 0))
    }

    /// False where the lock is held: then nothing more is written.
    private mutating func takeLock(_ queue: Int, _ lock: Int?, _ id: TaskID) -> Bool {
        guard let lock else { return true }
        let isFree = queues[queue].locks[lock] == nil
        let reply = isFree ? RedisReply.string(Self.text("OK")) : .null
        commands.add("SET", lockKey(queue, lock), Self.text(id), Self.text("NX"), gives: reply)
        return isFree
    }

    private mutating func writeTask(_ queue: Int, _ id: TaskID, _ state: TaskState, lock: Int?, _ more: [[UInt8]] = [])
    {
        var fields =
            [Self.text("msg"), Self.text("\n\u{4}type"), Self.text("state"), Array(state.rawValue.utf8)] + more
        if let lock { fields += [Self.text("unique_key"), lockKey(queue, lock)] }
        commands.add("HSET", list: [taskKey(queue, id)] + fields, gives: .integer(Int64(fields.count / 2)))
    }

    func setState(_ state: TaskState) -> [[UInt8]] { [Self.text("state"), Array(state.rawValue.utf8)] }

    private mutating func enqueue(_ queue: Int, lock: Int?) {
        let (id, since) = (newID(), someClock().nanoseconds)
        note(lock == nil ? "enqueue" : "enqueue unique", queue)
        register(queue)
        guard takeLock(queue, lock, id) else { return }
        queues[queue].enqueue(id, since: since, lock: lock)
        writeTask(queue, id, .pending, lock: lock, [Self.text("pending_since"), Self.text(since)])
        commands.add("LPUSH", key(queue, "pending"), Self.text(id), gives: .integer(Int64(queues[queue].line.count)))
    }

    private mutating func schedule(_ queue: Int, lock: Int?) {
        let (id, time) = (newID(), now.wholeSeconds + Int64(number(-2...40)))
        note("schedule", queue)
        register(queue)
        guard takeLock(queue, lock, id) else { return }
        queues[queue].schedule(id, at: time, lock: lock)
        writeTask(queue, id, .scheduled, lock: lock)
        commands.add("ZADD", key(queue, "scheduled"), Self.text(time), Self.text(id), gives: .integer(1))
    }

    private mutating func addToGroup(_ queue: Int) {
        let (id, time) = (newID(), someClock().wholeSeconds)
        let group = any(Self.groupNames) ?? Self.groupNames[0]
        note("add to a group", queue)
        register(queue)
        let isNew = !queues[queue].groups.contains(group)
        queues[queue].addToGroup(id, group, at: time)
        writeTask(queue, id, .aggregating, lock: nil, [Self.text("group"), group.bytes])
        commands.add("ZADD", groupKey(queue, group), Self.text(time), Self.text(id), gives: .integer(1))
        commands.add("SADD", key(queue, "groups"), group.bytes, gives: .integer(isNew ? 1 : 0))
    }

    // MARK: Workers

    mutating func workerStep() {
        let busy = queues.indices.filter { !queues[$0].active.isEmpty }
        guard number(0...9) > 2, let queue = any(busy), let id = any(queues[queue].active) else {
            let waiting = queues.indices.filter { !queues[$0].line.isEmpty && !queues[$0].isPaused }
            return dequeue(oneIn(10) ? someQueue() : any(waiting) ?? someQueue())
        }
        let clock = someClock()
        switch number(0...19) {
        case 0...5: done(queue, id, clock)
        case 6...7: extendLease(queue, id, clock)
        case 8: requeue(queue, id)
        case 9: loseByHand(queue, id)
        case 10: retry(queue, id, clock, isFailure: false)
        // Half of them go straight into the archive (SkipRetry).
        case 11...15: fail(queue, id, clock, skipsRetry: oneIn(2))
        case 16:
            let ahead = hasWrongClock ? 86_400 * Self.nanoseconds : 0
            fail(queue, id, WallTime(nanoseconds: now.nanoseconds + ahead), skipsRetry: oneIn(3))
        default: fail(queue, id, clock, skipsRetry: false)
        }
    }

    private mutating func dequeue(_ queue: Int) {
        let lease = someClock().wholeSeconds + 30
        note("dequeue", queue)
        commands.add("EXISTS", key(queue, "paused"), gives: .integer(queues[queue].isPaused ? 1 : 0))
        let isPaused = queues[queue].isPaused
        let hadSince = queues[queue].line.first.flatMap { queues[queue].tasks[$0]?.pendingSince } != nil
        let id = queues[queue].dequeue(leaseUntil: lease)
        if isPaused { return }
        commands.add(
            "RPOPLPUSH", key(queue, "pending"), key(queue, "active"), gives: id.map { .string(Self.text($0)) } ?? .null)
        guard let id else { return }
        commands.add("HSET", list: [taskKey(queue, id)] + setState(.active), gives: .integer(0))
        commands.add("HDEL", taskKey(queue, id), Self.text("pending_since"), gives: .integer(hadSince ? 1 : 0))
        // A lease that outlived its task may be there under another id, never under this one.
        commands.add("ZADD", key(queue, "lease"), Self.text(lease), Self.text(id), gives: .integer(1))
    }

    /// False where the script stops: the task was not active, or had no lease.
    private mutating func takeFromWorker(_ queue: Int, _ id: TaskID) -> Bool {
        let (wasActive, wasLeased) = queues[queue].takeFromWorker(id)
        commands.add("LREM", key(queue, "active"), Self.text(0), Self.text(id), gives: .integer(wasActive ? 1 : 0))
        if !wasActive { return false }
        commands.add("ZREM", key(queue, "lease"), Self.text(id), gives: .integer(wasLeased ? 1 : 0))
        return wasLeased
    }

    private mutating func done(_ queue: Int, _ id: TaskID, _ clock: WallTime) {
        let keepUntil = oneIn(3) ? clock.wholeSeconds + Int64(number(0...60)) : nil
        note(keepUntil == nil ? "done" : "done, kept", queue)
        guard takeFromWorker(queue, id) else { return }
        releaseLock(queue, id)
        let before = queues[queue]
        queues[queue].complete(id, keepUntil: keepUntil)
        if let keepUntil {
            commands.add("ZADD", key(queue, "completed"), Self.text(keepUntil), Self.text(id), gives: .integer(1))
            commands.add("HSET", list: [taskKey(queue, id)] + setState(.completed), gives: .integer(0))
        } else {
            commands.add("DEL", taskKey(queue, id), gives: .integer(1))
        }
        writeCounters(queue, before: before, clock, isFailure: false)
    }

    /// Only a lock that the task still holds is deleted.
    func lockHeld(_ queue: Int, by id: TaskID) -> Int? {
        queues[queue].tasks[id]?.lock.flatMap { queues[queue].locks[$0] == id ? $0 : nil }
    }

    mutating func releaseLock(_ queue: Int, _ id: TaskID) {
        if let lock = lockHeld(queue, by: id) { commands.add("DEL", lockKey(queue, lock), gives: .integer(1)) }
    }

    private mutating func writeCounters(_ queue: Int, before: ModelQueue, _ clock: WallTime, isFailure: Bool) {
        let after = queues[queue]
        commands.add("INCR", dayKey(queue, "processed", at: clock))
        if isFailure { commands.add("INCR", dayKey(queue, "failed", at: clock)) }
        if after.processed < before.processed {
            note("wrap of the counters", queue)
            commands.add("SET", key(queue, "processed"), Self.text(1))
            if isFailure { commands.add("SET", key(queue, "failed"), Self.text(1)) }
        } else {
            commands.add("INCR", key(queue, "processed"), gives: .integer(after.processed))
            if isFailure { commands.add("INCR", key(queue, "failed"), gives: .integer(after.failed)) }
        }
    }

    /// A handler returned an error, or the recoverer found the lease expired.
    mutating func fail(_ queue: Int, _ id: TaskID, _ clock: WallTime, skipsRetry: Bool) {
        if skipsRetry || (queues[queue].tasks[id]?.retried ?? 0) >= ModelQueue.maxRetry {
            archive(queue, id, clock)
        } else {
            retry(queue, id, clock, isFailure: true)
        }
    }

    private mutating func retry(_ queue: Int, _ id: TaskID, _ clock: WallTime, isFailure: Bool) {
        let time = clock.wholeSeconds + Int64(number(0...30))
        note(isFailure ? "retry" : "retry without failure", queue)
        guard takeFromWorker(queue, id) else { return }
        let before = queues[queue]
        queues[queue].retry(id, at: time, isFailure: isFailure)
        commands.add("ZADD", key(queue, "retry"), Self.text(time), Self.text(id), gives: .integer(1))
        commands.add("HSET", list: [taskKey(queue, id)] + setState(.retry), gives: .integer(0))
        if isFailure { writeCounters(queue, before: before, clock, isFailure: true) }
    }

    private mutating func archive(_ queue: Int, _ id: TaskID, _ clock: WallTime) {
        let clock = deathTime(queue, id, clock)
        note("archive", queue)
        guard takeFromWorker(queue, id) else { return }
        let before = queues[queue]
        let trimmed = queues[queue].archive([id], at: clock.wholeSeconds)
        queues[queue].count(isFailure: true)
        commands.add("ZADD", key(queue, "archived"), Self.text(clock.wholeSeconds), Self.text(id), gives: .integer(1))
        commands.add("HSET", list: [taskKey(queue, id)] + setState(.archived), gives: .integer(0))
        // 0.24 leaves the hashes of what it trims behind.
        writeTrimming(queue, trimmed, at: clock, deletesTasks: oneIn(2))
        writeCounters(queue, before: before, clock, isFailure: true)
    }

    mutating func writeTrimming(_ queue: Int, _ trimmed: ModelQueue.Trimmed, at clock: WallTime, deletesTasks: Bool) {
        let archive = key(queue, "archived")
        commands.add(
            "ZREMRANGEBYSCORE", archive, Self.text("-inf"), Self.text(clock.wholeSeconds - ModelQueue.archiveSeconds),
            gives: .integer(Int64(trimmed.tooOld.count)))
        commands.add(
            "ZREMRANGEBYRANK", archive, Self.text(0), Self.text(-ModelQueue.archiveKeeps - 1),
            gives: .integer(Int64(trimmed.tooMany.count)))
        let gone = (trimmed.tooOld + trimmed.tooMany).map(\.id)
        if !trimmed.tooOld.isEmpty { note("trimming by age", queue, "\(trimmed.tooOld.count)") }
        if !trimmed.tooMany.isEmpty { note("trimming by number", queue, "\(trimmed.tooMany.count)") }
        if !deletesTasks { return }
        for id in gone where queues[queue].tasks.removeValue(forKey: id) != nil {
            commands.add("DEL", taskKey(queue, id), gives: .integer(1))
        }
    }

    private mutating func extendLease(_ queue: Int, _ id: TaskID, _ clock: WallTime) {
        note("extend a lease", queue)
        let lease = clock.wholeSeconds + 30
        if queues[queue].leases.score(of: id) != nil { queues[queue].leases.add(id, lease) }
        commands.add("ZADD", key(queue, "lease"), Self.text("XX"), Self.text(lease), Self.text(id), gives: .integer(0))
    }

    /// At shutdown: to the front of the line, without `pending_since`.
    private mutating func requeue(_ queue: Int, _ id: TaskID) {
        note("requeue", queue)
        guard takeFromWorker(queue, id) else { return }
        queues[queue].requeue(id)
        commands.add("RPUSH", key(queue, "pending"), Self.text(id), gives: .integer(Int64(queues[queue].line.count)))
        commands.add("HSET", list: [taskKey(queue, id)] + setState(.pending), gives: .integer(0))
    }

    /// What Asynq never does, but people and evictions do: a lease without its active task, or the other way round.
    private mutating func loseByHand(_ queue: Int, _ id: TaskID) {
        if oneIn(2) {
            note("loss of an active entry", queue)
            queues[queue].active.removeAll { $0 == id }
            commands.add("LREM", key(queue, "active"), Self.text(0), Self.text(id), gives: .integer(1))
        } else {
            note("loss of a lease", queue)
            let wasLeased = queues[queue].leases.remove(id) != nil
            commands.add("ZREM", key(queue, "lease"), Self.text(id), gives: .integer(wasLeased ? 1 : 0))
        }
    }
}
