import Model
import Redis

@testable import AsynqRedis

// The steps of what runs beside the workers (forwarder, recoverer, janitor, aggregator), and those of the Inspector.
extension ModelledAsynq {
    mutating func maintenanceStep() {
        let queue = someQueue()
        switch number(0...11) {
        case 0...3: forward(queue, \.scheduled, "scheduled")
        case 4...6: forward(queue, \.retry, "retry")
        case 7: recover(queue)
        case 8: deleteExpired(queue)
        case 9: aggregate(queue)
        case 10: finishAggregation(queue)
        default: reclaim(queue)
        }
    }

    private mutating func forward(
        _ queue: Int, _ source: WritableKeyPath<ModelQueue, SortedTasks>, _ suffix: StaticString
    ) {
        let clock = someClock()
        note("forward \(suffix)", queue)
        let ids = queues[queue].forward(source, upTo: clock.wholeSeconds, since: clock.nanoseconds)
        var length = queues[queue].line.count - ids.count { queues[queue].tasks[$0]?.state == .pending }
        for id in ids {
            if let group = queues[queue].tasks[id]?.group {
                note("forward into a group", queue)
                commands.add(
                    "ZADD", groupKey(queue, group), Self.text(clock.wholeSeconds), Self.text(id), gives: .integer(1))
                commands.add("HSET", list: [taskKey(queue, id)] + setState(.aggregating), gives: .integer(0))
            } else {
                length += 1
                commands.add("LPUSH", key(queue, "pending"), Self.text(id), gives: .integer(Int64(length)))
                let since = [Self.text("pending_since"), Self.text(clock.nanoseconds)]
                commands.add("HSET", list: [taskKey(queue, id)] + setState(.pending) + since)
            }
            commands.add("ZREM", key(queue, suffix), Self.text(id), gives: .integer(1))
        }
    }

    /// Leases that ended 30 s ago. One that outlived its task stays: the script for the task finds nothing.
    private mutating func recover(_ queue: Int) {
        let clock = someClock()
        let expired = queues[queue].leases.upTo(clock.wholeSeconds - 30).map(\.id)
        note("recover", queue, "\(expired.count)")
        for id in expired { fail(queue, id, clock, skipsRetry: false) }
    }

    private mutating func deleteExpired(_ queue: Int) {
        let clock = someClock()
        note("janitor", queue)
        for id in queues[queue].deleteExpiredCompleted(upTo: clock.wholeSeconds) {
            commands.add("DEL", taskKey(queue, id), gives: .integer(1))
            commands.add("ZREM", key(queue, "completed"), Self.text(id), gives: .integer(1))
        }
    }

    /// The aggregator knows of the groups that are listed.
    private mutating func aggregate(_ queue: Int) {
        guard let group = any(queues[queue].groups.sorted()) else { return }
        let deadline = someClock().wholeSeconds + 120
        note("aggregate", queue)
        let size = number(1...6)
        guard let set = queues[queue].aggregate(group, max: size, set: newID(), deadline: deadline) else { return }
        for entry in set.tasks.entries {
            commands.add("ZADD", setKey(queue, set), Self.text(entry.score), Self.text(entry.id), gives: .integer(1))
        }
        commands.add(
            "ZREMRANGEBYRANK", groupKey(queue, group), Self.text(0), Self.text(size - 1),
            gives: .integer(Int64(set.tasks.count)))
        commands.add(
            "ZADD", key(queue, "aggregation_sets"), Self.text(deadline), setKey(queue, set), gives: .integer(1))
        let isEmptied = !queues[queue].groups.contains(group)
        if isEmptied { commands.add("SREM", key(queue, "groups"), group.bytes, gives: .integer(1)) }
    }

    private mutating func finishAggregation(_ queue: Int) {
        guard let index = any(queues[queue].aggregationSets.indices) else { return }
        note("delete an aggregation set", queue)
        let set = queues[queue].deleteAggregationSet(at: index)
        for id in set.tasks.ids { commands.add("DEL", taskKey(queue, id), gives: .integer(1)) }
        commands.add("DEL", setKey(queue, set), gives: .integer(1))
        commands.add("ZREM", key(queue, "aggregation_sets"), setKey(queue, set), gives: .integer(1))
    }

    /// ZADD into the group, but no SADD of the group.
    private mutating func reclaim(_ queue: Int) {
        let clock = someClock()
        note("reclaim aggregation sets", queue)
        let stale = queues[queue].reclaimAggregationSets(upTo: clock.wholeSeconds)
        for set in stale {
            note("reclaim one", queue)
            for entry in set.tasks.entries {
                commands.add(
                    "ZADD", groupKey(queue, set.group), Self.text(entry.score), Self.text(entry.id), gives: .integer(1))
            }
            commands.add("DEL", setKey(queue, set), gives: .integer(1))
        }
        commands.add(
            "ZREMRANGEBYSCORE", key(queue, "aggregation_sets"), Self.text("-inf"), Self.text(clock.wholeSeconds),
            gives: .integer(Int64(stale.count)))
    }

    // MARK: The Inspector

    mutating func inspectorStep() {
        let queue = someQueue()
        switch number(0...39) {
        // Pausing does not ask whether the queue exists.
        case 0...2: pause(queue)
        case 3...6: unpause(queue)
        case 7...12: if let id = someTask(queue) { delete(queue, id) }
        case 13...22: if let id = someTask(queue) { run(queue, id) }
        case 23...29:
            if let id = someTask(queue), queues[queue].tasks[id]?.state != .archived { archiveByHand(queue, id) }
        case 30: archiveAllPending(queue)
        case 31...34: deleteQueue(queue, force: oneIn(3))
        case 35: deleteAllArchived(queue)
        case 36: runAllArchived(queue)
        case 37...38: dieAgain()
        default: if oneIn(4) { burst(oneIn(2) ? Self.fullArchive : queue) }
        }
    }

    /// Somebody runs what has just died, and archives it again.
    private mutating func dieAgain() {
        guard let (queue, id) = lastDeath, listed.contains(queue), let state = queues[queue].tasks[id]?.state else {
            return
        }
        if state == .archived && queues[queue].archived.score(of: id) != nil { run(queue, id) }
        if state == .pending { archiveByHand(queue, id) }
    }

    /// A task that is not active, in a queue that exists, under a hash that does. Archived ones come up more often.
    private mutating func someTask(_ queue: Int) -> TaskID? {
        guard listed.contains(queue) else { return nil }
        let model = queues[queue]
        let id: TaskID?
        switch number(0...6) {
        case 0: id = any(model.line)
        case 1: id = any(model.scheduled.entries)?.id
        case 2: id = any(model.retry.entries)?.id
        case 3: id = any(model.completed.entries)?.id
        case 4:
            let group = any(model.grouped.keys.sorted())
            id = group.flatMap { model.grouped[$0] }.flatMap { any($0.entries) }?.id
        // The youngest, which the collector has just seen or not yet.
        case 5: id = any(model.archived.entries.suffix(3))?.id
        default: id = any(model.archived.entries)?.id
        }
        return id.flatMap { model.tasks[$0] == nil ? nil : $0 }
    }

    /// The first part of the scripts for one task: out of where it is.
    private mutating func pullOut(_ queue: Int, _ id: TaskID) {
        guard let task = queues[queue].tasks[id] else { return }
        let before = queues[queue].groups.count
        queues[queue].pullOut(id)
        switch task.state {
        case .pending: commands.add("LREM", key(queue, "pending"), Self.text(0), Self.text(id), gives: .integer(1))
        case .aggregating:
            guard let group = task.group else { return }
            commands.add("ZREM", groupKey(queue, group), Self.text(id), gives: .integer(1))
            if queues[queue].grouped[group]?.count == 0 {
                let wasListed = queues[queue].groups.count < before
                commands.add("SREM", key(queue, "groups"), group.bytes, gives: .integer(wasListed ? 1 : 0))
            }
        case .scheduled: commands.add("ZREM", key(queue, "scheduled"), Self.text(id), gives: .integer(1))
        case .retry: commands.add("ZREM", key(queue, "retry"), Self.text(id), gives: .integer(1))
        case .archived: commands.add("ZREM", key(queue, "archived"), Self.text(id), gives: .integer(1))
        case .completed: commands.add("ZREM", key(queue, "completed"), Self.text(id), gives: .integer(1))
        case .active: break
        }
    }

    private mutating func delete(_ queue: Int, _ id: TaskID) {
        note("delete a task", queue, queues[queue].tasks[id]?.state.rawValue ?? "")
        pullOut(queue, id)
        releaseLock(queue, id)
        queues[queue].delete(id)
        commands.add("DEL", taskKey(queue, id), gives: .integer(1))
    }

    private mutating func run(_ queue: Int, _ id: TaskID) {
        guard let state = queues[queue].tasks[id]?.state, state != .pending else { return }
        note("run a task", queue, state.rawValue)
        pullOut(queue, id)
        queues[queue].run(id)
        commands.add("LPUSH", key(queue, "pending"), Self.text(id), gives: .integer(Int64(queues[queue].line.count)))
        commands.add("HSET", list: [taskKey(queue, id)] + setState(.pending), gives: .integer(0))
    }

    private mutating func archiveByHand(_ queue: Int, _ id: TaskID) {
        let clock = deathTime(queue, id, someClock())
        note("archive a task by hand", queue, queues[queue].tasks[id]?.state.rawValue ?? "")
        pullOut(queue, id)
        writeArchived(queue, [id], clock, leaksTasks: true)
    }

    private mutating func writeArchived(_ queue: Int, _ ids: [TaskID], _ clock: WallTime, leaksTasks: Bool) {
        let trimmed = queues[queue].archive(ids, at: clock.wholeSeconds)
        for id in ids {
            commands.add(
                "ZADD", key(queue, "archived"), Self.text(clock.wholeSeconds), Self.text(id), gives: .integer(1))
            commands.add("HSET", list: [taskKey(queue, id)] + setState(.archived), gives: .integer(0))
        }
        writeTrimming(queue, trimmed, at: clock, deletesTasks: !leaksTasks)
    }

    private mutating func archiveAllPending(_ queue: Int, leaksTasks: Bool = true) {
        guard listed.contains(queue) else { return }
        note("archive all pending", queue)
        // Lua reads the list from its head: the youngest first.
        let ids = Array(queues[queue].line.reversed())
        queues[queue].line = []
        writeArchived(queue, ids, someClock(), leaksTasks: leaksTasks)
        commands.add("DEL", key(queue, "pending"), gives: .integer(ids.isEmpty ? 0 : 1))
    }

    /// More deaths at once than one reading of the archive takes in. What the trimming leaks is tidied up.
    mutating func burst(_ queue: Int) {
        guard listed.contains(queue) else { return }
        let since = now.nanoseconds
        let ids = (0..<number(900...1300)).map { _ in newID() }
        note("burst", queue, "\(ids.count)")
        for id in ids {
            queues[queue].enqueue(id, since: since)
            commands.add(
                "HSET",
                list: [taskKey(queue, id)] + setState(.pending) + [Self.text("pending_since"), Self.text(since)])
        }
        commands.add(
            "LPUSH", list: [key(queue, "pending")] + ids.map { Self.text($0) },
            gives: .integer(Int64(queues[queue].line.count)))
        archiveAllPending(queue, leaksTasks: false)
    }

    private mutating func runAllArchived(_ queue: Int) {
        let ids = queues[queue].archived.ids
        guard listed.contains(queue), (1...30).contains(ids.count) else { return }
        note("run all archived", queue)
        for id in ids {
            queues[queue].run(id)
            commands.add(
                "LPUSH", key(queue, "pending"), Self.text(id), gives: .integer(Int64(queues[queue].line.count)))
            commands.add("HSET", list: [taskKey(queue, id)] + setState(.pending))
        }
        commands.add("DEL", key(queue, "archived"), gives: .integer(1))
    }

    private mutating func deleteAllArchived(_ queue: Int) {
        let ids = queues[queue].archived.ids
        guard listed.contains(queue), (1...3000).contains(ids.count) else { return }
        note("delete all archived", queue)
        for id in ids {
            releaseLock(queue, id)
            queues[queue].releaseLock(of: id)
            queues[queue].removeArchived(id)
            queues[queue].tasks[id] = nil
            commands.add("DEL", taskKey(queue, id))
        }
        commands.add("DEL", key(queue, "archived"), gives: .integer(1))
    }

    private mutating func pause(_ queue: Int) {
        note("pause", queue)
        let wasPaused = queues[queue].isPaused
        if !wasPaused { queues[queue].pausedAt = WallTime(seconds: now.wholeSeconds) }
        commands.add("SETNX", key(queue, "paused"), Self.text(now.wholeSeconds), gives: .integer(wasPaused ? 0 : 1))
    }

    private mutating func unpause(_ queue: Int) {
        note("unpause", queue)
        commands.add("DEL", key(queue, "paused"), gives: .integer(queues[queue].isPaused ? 1 : 0))
        queues[queue].pausedAt = nil
    }

    private mutating func deleteQueue(_ queue: Int, force: Bool) {
        guard listed.contains(queue), queues[queue].canBeDeleted(force: force) else { return }
        // Else the nearly full archive would be gone for the rest of the run.
        if queues[queue].archived.count > 3000 && !oneIn(20) { return }
        note(force ? "delete the queue by force" : "delete the queue", queue)
        let hadHash = Set(queues[queue].tasks.keys)
        for id in queues[queue].deleteQueue() {
            commands.add("DEL", taskKey(queue, id), gives: .integer(hadHash.contains(id) ? 1 : 0))
        }
        for suffix: StaticString in ["pending", "active", "scheduled", "retry", "archived", "lease"] {
            commands.add("DEL", key(queue, suffix))
        }
        listed.remove(queue)
        commands.add("SREM", AsynqKeys.queues, queues[queue].name.bytes, gives: .integer(1))
    }
}
