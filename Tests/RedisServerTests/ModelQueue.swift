import Model
import TestSupport

/// A task's id. Redis sees it as 16 hexadecimal digits, so that numbers and ids sort alike.
typealias TaskID = UInt64

/// A sorted set: by score, then by member, as Redis orders it.
struct SortedTasks {
    struct Entry: Hashable, Comparable {
        let score: Int64
        let id: TaskID

        static func < (left: Entry, right: Entry) -> Bool {
            left.score == right.score ? left.id < right.id : left.score < right.score
        }
    }

    private(set) var entries: [Entry] = []
    private var scores: [TaskID: Int64] = [:]

    var count: Int { entries.count }
    var ids: [TaskID] { entries.map(\.id) }

    func score(of id: TaskID) -> Int64? { scores[id] }
    /// Entries up to a score, lowest first.
    func upTo(_ score: Int64) -> ArraySlice<Entry> { entries[..<position(of: Entry(score: score, id: .max))] }

    mutating func add(_ id: TaskID, _ score: Int64) {
        remove(id)
        scores[id] = score
        let entry = Entry(score: score, id: id)
        entries.insert(entry, at: position(of: entry))
    }

    @discardableResult
    mutating func remove(_ id: TaskID) -> Entry? {
        guard let score = scores.removeValue(forKey: id) else { return nil }
        return entries.remove(at: position(of: Entry(score: score, id: id)))
    }

    mutating func removeLowest(_ count: Int) -> [Entry] {
        let lowest = Array(entries.prefix(count))
        entries.removeFirst(lowest.count)
        for entry in lowest { scores[entry.id] = nil }
        return lowest
    }

    private func position(of entry: Entry) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle] < entry { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// One queue as Asynq 0.24 to 0.26 understand it, in memory: what each of their operations does to it. It knows nothing
/// of Redis and nothing of the collector. Scores are whole seconds, `pendingSince` nanoseconds, as Asynq stores them.
struct ModelQueue {
    /// What the task's hash holds; it may outlive the task's place in a list (leaked by trimming).
    struct Task {
        var state: TaskState
        var pendingSince: Int64?
        /// Stays when the task leaves its group by hand: the forwarder then puts it there again.
        var group: ForeignText?
        /// Which lock the task was enqueued under.
        var lock: Int?
        var retried = 0
    }

    struct AggregationSet {
        let id: TaskID
        let group: ForeignText
        let deadline: Int64
        let tasks: SortedTasks
    }

    /// What an archiving pushed out.
    struct Trimmed {
        var tooOld: [SortedTasks.Entry]
        var tooMany: [SortedTasks.Entry]
    }

    static let maxRetry = 2
    /// Asynq removes the ranks 0 to -10000, so that 9,999 stay.
    static let archiveKeeps = 9999
    static let archiveSeconds: Int64 = 90 * 86_400

    let name: QueueName
    var tasks: [TaskID: Task] = [:]
    /// Pending; the first is dequeued next.
    var line: [TaskID] = []
    var active: [TaskID] = []
    var leases = SortedTasks()
    var scheduled = SortedTasks()
    var retry = SortedTasks()
    private(set) var archived = SortedTasks()
    var completed = SortedTasks()
    /// The names that Asynq lists, and what each group holds: a group may hold tasks and not be listed.
    var groups: Set<ForeignText> = []
    var grouped: [ForeignText: SortedTasks] = [:]
    var aggregationSets: [AggregationSet] = []
    var isPaused: Bool { pausedAt != nil }
    var pausedAt: WallTime?
    var processed: Int64 = 0
    var failed: Int64 = 0
    /// Unique locks: who holds them.
    var locks: [Int: TaskID] = [:]

    /// Entries of the archive since the collector's last look that are still there; those of the last look that left.
    private var cameSinceLook: Set<SortedTasks.Entry> = []
    private var leftSinceLook: Set<SortedTasks.Entry> = []
    private(set) var deadLettered: UInt64 = 0
    /// Those of them that no reader has taken since the queue was last gone.
    private var waitingLetters: UInt64 = 0
    private static let lettersThatWait: UInt64 = 20

    init(_ name: QueueName) {
        self.name = name
    }
}

// MARK: What the client does

extension ModelQueue {
    mutating func enqueue(_ id: TaskID, since: Int64, lock: Int? = nil) {
        tasks[id] = Task(state: .pending, pendingSince: since, lock: lock)
        line.append(id)
        if let lock { locks[lock] = id }
    }

    mutating func schedule(_ id: TaskID, at time: Int64, lock: Int? = nil) {
        tasks[id] = Task(state: .scheduled, lock: lock)
        scheduled.add(id, time)
        if let lock { locks[lock] = id }
    }

    mutating func addToGroup(_ id: TaskID, _ group: ForeignText, at now: Int64) {
        tasks[id] = Task(state: .aggregating, group: group)
        groups.insert(group)
        grouped[group, default: SortedTasks()].add(id, now)
    }
}

// MARK: What the server does

extension ModelQueue {
    mutating func dequeue(leaseUntil: Int64) -> TaskID? {
        if isPaused || line.isEmpty { return nil }
        let id = line.removeFirst()
        active.append(id)
        tasks[id]?.state = .active
        tasks[id]?.pendingSince = nil
        leases.add(id, leaseUntil)
        return id
    }

    /// The beginning of every script that ends a task's run. Without a lease it stops half way, the task then being
    /// nowhere: Lua rolls nothing back.
    mutating func takeFromWorker(_ id: TaskID) -> (wasActive: Bool, wasLeased: Bool) {
        guard let index = active.firstIndex(of: id) else { return (false, false) }
        active.remove(at: index)
        return (true, leases.remove(id) != nil)
    }

    mutating func complete(_ id: TaskID, keepUntil: Int64?) {
        releaseLock(of: id)
        if let keepUntil {
            tasks[id]?.state = .completed
            completed.add(id, keepUntil)
        } else {
            tasks[id] = nil
        }
        count(isFailure: false)
    }

    mutating func retry(_ id: TaskID, at time: Int64, isFailure: Bool) {
        tasks[id]?.state = .retry
        retry.add(id, time)
        if !isFailure { return }
        tasks[id]?.retried += 1
        count(isFailure: true)
    }

    mutating func requeue(_ id: TaskID) {
        tasks[id]?.state = .pending
        line.insert(id, at: 0)
    }

    /// Totals. Lua compares numbers as doubles, and a failure looks at `processed` only.
    mutating func count(isFailure: Bool) {
        if Double(processed) == Double(Int64.max) {
            processed = 1
            if isFailure { failed = 1 }
        } else {
            processed += 1
            if isFailure { failed += 1 }
        }
    }

    mutating func releaseLock(of id: TaskID) {
        if let lock = tasks[id]?.lock, locks[lock] == id { locks[lock] = nil }
    }

    /// One batch of the forwarder; a task that once was in a group goes back to it, and the group is not listed.
    mutating func forward(_ source: WritableKeyPath<ModelQueue, SortedTasks>, upTo now: Int64, since: Int64) -> [TaskID]
    {
        let ids = self[keyPath: source].upTo(now).prefix(100).map(\.id)
        for id in ids {
            self[keyPath: source].remove(id)
            if let group = tasks[id]?.group {
                tasks[id]?.state = .aggregating
                grouped[group, default: SortedTasks()].add(id, now)
            } else {
                tasks[id]?.state = .pending
                tasks[id]?.pendingSince = since
                line.append(id)
            }
        }
        return ids
    }

    mutating func deleteExpiredCompleted(upTo now: Int64) -> [TaskID] {
        let ids = completed.upTo(now).prefix(100).map(\.id)
        for id in ids {
            completed.remove(id)
            tasks[id] = nil
        }
        return ids
    }

    /// The aggregator takes the group's oldest; a group that is emptied is listed no longer.
    mutating func aggregate(_ group: ForeignText, max: Int, set id: TaskID, deadline: Int64) -> AggregationSet? {
        guard let members = grouped[group], members.count > 0 else { return nil }
        var rest = members
        var taken = SortedTasks()
        for entry in rest.removeLowest(max) { taken.add(entry.id, entry.score) }
        grouped[group] = rest
        if rest.count == 0 { groups.remove(group) }
        let set = AggregationSet(id: id, group: group, deadline: deadline, tasks: taken)
        aggregationSets.append(set)
        return set
    }

    mutating func deleteAggregationSet(at index: Int) -> AggregationSet {
        let set = aggregationSets.remove(at: index)
        for id in set.tasks.ids { tasks[id] = nil }
        return set
    }

    /// Stale sets go back into their groups, which are not listed by that.
    mutating func reclaimAggregationSets(upTo now: Int64) -> [AggregationSet] {
        let stale = aggregationSets.filter { $0.deadline <= now }
        aggregationSets.removeAll { $0.deadline <= now }
        for set in stale {
            for entry in set.tasks.entries { grouped[set.group, default: SortedTasks()].add(entry.id, entry.score) }
        }
        return stale
    }
}

// MARK: The archive

extension ModelQueue {
    /// By a worker, the recoverer or the Inspector; the trimming is the same.
    mutating func archive(_ ids: [TaskID], at now: Int64) -> Trimmed {
        for id in ids {
            tasks[id]?.state = .archived
            archived.add(id, now)
            let entry = SortedTasks.Entry(score: now, id: id)
            // Gone and back under the same stamp: a later sample can't tell.
            if leftSinceLook.remove(entry) == nil { cameSinceLook.insert(entry) }
        }
        let tooOld = archived.removeLowest(archived.upTo(now - Self.archiveSeconds).count)
        let tooMany = archived.removeLowest(max(0, archived.count - Self.archiveKeeps))
        for entry in tooOld + tooMany { noteLeft(entry) }
        return Trimmed(tooOld: tooOld, tooMany: tooMany)
    }

    /// What lay there before the collector came.
    mutating func prefillArchive(_ entries: [SortedTasks.Entry]) {
        for entry in entries {
            archived.add(entry.id, entry.score)
            cameSinceLook.insert(entry)
        }
    }

    mutating func removeArchived(_ id: TaskID) {
        if let entry = archived.remove(id) { noteLeft(entry) }
    }

    private mutating func noteLeft(_ entry: SortedTasks.Entry) {
        if cameSinceLook.remove(entry) == nil { leftSinceLook.insert(entry) }
    }

    /// The collector looks: each entry that came since the last look, and is still there, counts once. What lies there
    /// at the very first look died before.
    mutating func recordScrape(isBaseline: Bool) {
        if !isBaseline {
            deadLettered += UInt64(cameSinceLook.count)
            waitingLetters += UInt64(cameSinceLook.count)
        }
        cameSinceLook = []
        leftSinceLook = []
    }

    /// The collector looks and knows of no such queue.
    mutating func recordAbsence() { waitingLetters = 0 }
}

// MARK: What the Inspector does

extension ModelQueue {
    /// Takes a task that is not active out of where it is; a group that is emptied so is listed no longer.
    mutating func pullOut(_ id: TaskID) {
        guard let task = tasks[id] else { return }
        switch task.state {
        case .pending: line.removeAll { $0 == id }
        case .scheduled: scheduled.remove(id)
        case .retry: retry.remove(id)
        case .archived: removeArchived(id)
        case .completed: completed.remove(id)
        case .aggregating:
            guard let group = task.group else { return }
            grouped[group]?.remove(id)
            if grouped[group]?.count == 0 { groups.remove(group) }
        case .active: return
        }
    }

    /// Sets no new `pendingSince`, and keeps an old one.
    mutating func run(_ id: TaskID) {
        pullOut(id)
        tasks[id]?.state = .pending
        line.append(id)
    }

    mutating func delete(_ id: TaskID) {
        pullOut(id)
        releaseLock(of: id)
        tasks[id] = nil
    }

    func canBeDeleted(force: Bool) -> Bool {
        force
            ? active.isEmpty
            : line.isEmpty && active.isEmpty && scheduled.count == 0 && retry.count == 0 && archived.count == 0
    }

    /// Completed and aggregating tasks, groups, counters, locks and the pause stay. Returns the tasks that go.
    mutating func deleteQueue() -> [TaskID] {
        let gone = line + scheduled.ids + retry.ids + archived.ids
        for entry in archived.removeLowest(archived.count) { noteLeft(entry) }
        for id in gone { tasks[id] = nil }
        line = []
        (leases, scheduled, retry) = (SortedTasks(), SortedTasks(), SortedTasks())
        return gone
    }
}

// MARK: What a scrape has to see

extension ModelQueue {
    func snapshot(at now: WallTime) -> QueueSnapshot {
        var snapshot = QueueSnapshot(name: name)
        let seconds = now.wholeSeconds
        let aggregating = groups.reduce(0) { $0 + (grouped[$1]?.count ?? 0) }
        snapshot.size = [
            .pending: Int64(line.count), .active: Int64(active.count), .scheduled: Int64(scheduled.count),
            .retry: Int64(retry.count), .archived: Int64(archived.count), .completed: Int64(completed.count),
            .aggregating: Int64(aggregating),
        ]
        snapshot.groups = Int64(groups.count)
        let since = line.first.flatMap { tasks[$0]?.pendingSince }
        snapshot.latencyNanoseconds = since.map { max(0, now.nanoseconds - $0) } ?? 0
        snapshot.isPaused = isPaused
        // One from the future, by the clock of the scrape, is not known: the queue is paused since it was seen.
        snapshot.pausedAt = pausedAt.flatMap { $0.wholeSeconds <= now.wholeSeconds ? $0 : nil }
        (snapshot.processed, snapshot.failed) = (processed, failed)
        snapshot.completed = max(0, processed - failed)
        let expiries = active.compactMap { leases.score(of: $0) }.filter { $0 <= seconds }
        snapshot.orphaned = Int64(expiries.count)
        snapshot.orphanedSince = expiries.min().map { WallTime(seconds: $0) }
        for (state, tasks) in [(TaskState.scheduled, scheduled), (.retry, retry)] {
            snapshot.overdue[state] = Int64(tasks.upTo(seconds).count)
            snapshot.overdueSince[state] = tasks.upTo(seconds).first.map { WallTime(seconds: $0.score) }
        }
        snapshot.deadLettered = deadLettered
        snapshot.unreadDeadLetters = waitingLetters - min(waitingLetters, Self.lettersThatWait)
        return snapshot
    }
}
