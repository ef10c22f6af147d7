package import Model
package import Platform
import ProtobufWire
package import Redis

/// Takes the look-ahead samples, more often than the scrape. It reads the next tasks of each queue and since when they
/// are pending. From those that leave the list between two samples it tells how long they waited, without any help of
/// the workers.
///
/// A task was started between two samples; the lease that the worker took (whole seconds, 30 s ahead) narrows the time.
/// A task that still runs when its worker writes its next heartbeat (every 5 s) has its exact start there.
///
///     round trip 1   per queue LRANGE pending -<count> -1, LRANGE active 0 <count>-1; for tasks that have been running for
///                    six seconds: HMGET of each live server's asynq:workers:{…}; for ten queues that sleep one EXISTS of
///                    their pending and active lists
///     round trip 1a  the two LRANGE for each of the ten, where it said that one of the lists exists
///     round trips 2, 3   see PendingSampler.swift and ActiveSampler.swift
///
/// A queue sleeps when its last ten samples saw no task. It wakes in the sample that sees one: no task is seen later
/// than without sleep.
package struct LookAheadSampler {
    /// The most tasks that one sample reads, over all queues.
    static let maxTasks = 20_000
    /// The most of them that it asks for because they have come or gone.
    static let maxAskedTasks = 10_000
    /// The number of running tasks whose exact start is waited for; the others get the estimate at once.
    static let maxRunning = 1_000
    /// The number of fields of HMGET: each running task is asked of each server.
    static let maxWorkerFields = 20_000
    /// The number of samples without a task after which a queue sleeps.
    static let samplesBeforeSleep = 10
    /// The number of queues that sleep and are asked for with one command; in a Cluster each has a slot of its own.
    static let sleepersAtOnce = 10
    /// The time within which a worker has written its heartbeat; it writes one every five seconds.
    private static let heartbeat = Duration.seconds(6)

    private struct Running {
        let task: StartedTask
        let askAt: MonotonicTime
    }

    private let count: Int
    private let interval: Duration
    private let clock: Clock
    private let tasks: SeenTasks
    /// Redis' clock minus the collector's: times that workers and clients write are compared with Redis' clock.
    package var clockCorrection = Duration.zero
    private var pending: [QueueName: PendingSampler] = [:]
    private var active: [QueueName: ActiveSampler] = [:]
    /// The number of samples in a row that saw no task of the queue.
    private var emptySamples: [QueueName: Int] = [:]
    private var messageLimit = MessageLimit()
    private var running: [Running] = []
    /// The waits that are known, and not handed over yet.
    private var samples: [WaitSample] = []
    /// The queue that comes first: where the budget is short, each has its turn.
    private var turn = 0
    private(set) var lost: [LostTaskReason: UInt64] = [:]
    private(set) var errors: [RedisError] = []

    package init(count: Int, interval: Duration, clock: Clock, tasks: SeenTasks) {
        self.count = count
        self.interval = interval
        self.clock = clock
        self.tasks = tasks
    }

    /// Takes one sample, and returns the waits that it shows. `names` and `servers` (keys of the live ones) are those
    /// of the last scrape.
    /// - Throws: `RedisError` where Redis can't be asked.
    package mutating func sampleQueues(
        _ client: any RedisClient, names: [QueueName], servers: [[UInt8]], deadline: MonotonicTime
    ) throws(RedisError) -> [WaitSample] {
        errors = []
        let present = Set(names)
        for (name, queue) in pending where !present.contains(name) { queue.end(at: wallTime, noting: tasks) }
        var queues = names.map { pending[$0] ?? PendingSampler($0) }
        do throws(RedisError) {
            try ask(client, queues: &queues, servers: servers, deadline: deadline)
        } catch {
            for index in queues.indices { queues[index].sampleFailed() }
            countLost(queues)
            messageLimit.recordFailure()
            pending = Dictionary(zip(names, queues)) { first, _ in first }
            throw error
        }
        countLost(queues)
        errors += queues.compactMap(\.error) + queues.flatMap(\.refusals)
        pending = Dictionary(zip(names, queues)) { first, _ in first }
        defer { samples = [] }
        return samples
    }

    private mutating func countLost(_ queues: [PendingSampler]) {
        for queue in queues {
            for (reason, count) in queue.lost { lost[reason, default: 0] += count }
        }
    }

    private mutating func ask(
        _ client: any RedisClient, queues: inout [PendingSampler], servers: [[UInt8]], deadline: MonotonicTime
    ) throws(RedisError) {
        var actives = queues.map { active[$0.name] ?? ActiveSampler($0.name) }
        try readLists(client, queues: &queues, actives: &actives, servers: servers, deadline: deadline)

        let order = queues.indices.map { (turn + $0) % queues.count }
        turn = queues.isEmpty ? 0 : (turn + 1) % queues.count
        try measureMessages(client, queues: &queues, actives: &actives, order: order, deadline: deadline)
        var details = RedisPipeline()
        var budget = SampleBudget(tasks: Self.maxAskedTasks, messages: messageLimit.portion)
        let asked = order.map { queues[$0].addDetails(&budget, to: &details) }
        // They come behind all that is pending, whose wait would be lost.
        let activeMessages = order.map { actives[$0].addMessages(&budget, to: &details) }
        let answers = details.count == 0 ? [] : try client.roundTrip(details, deadline: deadline)
        if details.count > 0 { messageLimit.recordSuccess() }
        let now = wallTime
        var started: [StartedTask] = []
        for (index, details) in zip(order, asked) {
            started += queues[index].readDetails(details, answers, at: now, noting: tasks)
        }
        for (index, messages) in zip(order, activeMessages) {
            let error = actives[index].readMessages(messages, answers, noting: tasks)
            if let error { errors.append(error) }
        }
        active = Dictionary(actives.map { ($0.name, $0) }) { first, _ in first }
        countEmptySamples(queues, actives)
        samples += accept(started)
    }

    /// Makes round trip 2.
    private mutating func measureMessages(
        _ client: any RedisClient, queues: inout [PendingSampler], actives: inout [ActiveSampler], order: [Int],
        deadline: MonotonicTime
    ) throws(RedisError) {
        var pipeline = RedisPipeline()
        var limit = Self.maxAskedTasks
        let pending = order.map { queues[$0].addLengths(&limit, to: &pipeline) }
        let active = order.map { actives[$0].addLengths(&limit, to: &pipeline) }
        if pipeline.count == 0 { return }
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        for (index, asks) in zip(order, pending) { queues[index].readLengths(asks, replies) }
        for (index, asks) in zip(order, active) {
            errors += actives[index].readLengths(asks, replies, noting: tasks)
        }
    }

    private var wallTime: WallTime { clock.wall().advanced(by: clockCorrection) }

    // MARK: The lists

    private typealias Lists = [(index: Int, pending: Ask<[[UInt8]]>, active: Ask<[[UInt8]]>)]

    /// Makes round trip 1.
    private mutating func readLists(
        _ client: any RedisClient, queues: inout [PendingSampler], actives: inout [ActiveSampler],
        servers: [[UInt8]], deadline: MonotonicTime
    ) throws(RedisError) {
        let start = (at: wallTime, monotonic: clock.monotonic())
        let due = due(at: start.monotonic, servers: servers.count)
        let asleep = queues.indices.filter { sleeps(queues[$0], actives[$0]) }
        let awake = Set(queues.indices).subtracting(asleep).sorted()
        var pipeline = RedisPipeline()
        let lists = addLists(awake, queues: &queues, actives: &actives, to: &pipeline)
        let sleepers = addSleepers(asleep, queues, areJoined: client.takesKeysOfSeveralSlots, to: &pipeline)
        let workers = addWorkers(of: due, servers, to: &pipeline)
        let replies = pipeline.count == 0 ? [] : try client.roundTrip(pipeline, deadline: deadline)
        read(lists, replies: replies, queues: &queues, actives: &actives, start: start)
        var woken: [Int] = []
        for part in sleepers {
            if !isNone(part.existing, replies) {
                woken += part.indices
                continue
            }
            for index in part.indices {
                queues[index].recordEmpty(start: start)
                actives[index].recordEmpty()
            }
        }
        if !woken.isEmpty {
            var pipeline = RedisPipeline()
            let lists = addLists(woken, queues: &queues, actives: &actives, to: &pipeline)
            let replies = try client.roundTrip(pipeline, deadline: deadline)
            read(lists, replies: replies, queues: &queues, actives: &actives, start: start)
        }
        running.removeFirst(due.count)
        if !due.isEmpty { samples += settle(due, workers: workers, replies: replies) }
    }

    private func addLists(
        _ indices: [Int], queues: inout [PendingSampler], actives: inout [ActiveSampler],
        to pipeline: inout RedisPipeline
    ) -> Lists {
        let share = max(1, min(count, Self.maxTasks / max(1, queues.count)))
        return indices.map { index in
            (
                index, queues[index].addList(share, to: &pipeline), actives[index].addList(share, to: &pipeline)
            )
        }
    }

    private func read(
        _ lists: Lists, replies: [RedisReply], queues: inout [PendingSampler], actives: inout [ActiveSampler],
        start: (at: WallTime, monotonic: MonotonicTime)
    ) {
        let readAt = wallTime
        // The error is half of the window, and must not be more than the interval.
        let maxGap = interval * 2
        for list in lists {
            queues[list.index].readList(list.pending, replies, start: start, maxGap: maxGap)
            actives[list.index].readList(list.active, replies: replies, at: readAt, noting: tasks)
        }
    }

    // MARK: Queues that sleep

    private func sleeps(_ queue: PendingSampler, _ active: ActiveSampler) -> Bool {
        emptySamples[queue.name, default: 0] >= Self.samplesBeforeSleep && queue.isIdle && active.isIdle
    }

    private mutating func countEmptySamples(_ queues: [PendingSampler], _ actives: [ActiveSampler]) {
        var counts: [QueueName: Int] = [:]
        for (queue, active) in zip(queues, actives) where queue.isIdle && active.isIdle && queue.error == nil {
            counts[queue.name] = min(emptySamples[queue.name, default: 0] + 1, Self.samplesBeforeSleep)
        }
        emptySamples = counts
    }

    private func addSleepers(
        _ indices: [Int], _ queues: [PendingSampler], areJoined: Bool, to pipeline: inout RedisPipeline
    ) -> [(indices: [Int], existing: Ask<Int64>)] {
        let count = areJoined ? Self.sleepersAtOnce : 1
        return stride(from: 0, to: indices.count, by: count).map { start in
            let part = Array(indices[start..<min(start + count, indices.count)])
            let keys = part.flatMap { index in
                [AsynqKeys.queue(queues[index].name, "pending"), AsynqKeys.queue(queues[index].name, "active")]
            }
            return (part, pipeline.exists(keys))
        }
    }

    /// Returns true if none exists. Returns false where that is unknown: the lists are read then, which reports errors.
    private func isNone(_ existing: Ask<Int64>, _ replies: [RedisReply]) -> Bool {
        do throws(RedisError) {
            return try replies[existing] == 0
        } catch {
            return false
        }
    }

    /// Takes the tasks that were started. Those that run get their wait when their worker's heartbeat tells their
    /// start, the others now.
    private mutating func accept(_ started: [StartedTask]) -> [WaitSample] {
        var samples: [WaitSample] = []
        let askAt = clock.monotonic().advanced(by: Self.heartbeat)
        for task in started {
            if task.isRunning && running.count < Self.maxRunning {
                running.append(Running(task: task, askAt: askAt))
            } else if let sample = sample(task, start: task.start) {
                samples.append(sample)
            }
        }
        return samples
    }

    private mutating func sample(_ task: StartedTask, start: WallTime) -> WaitSample? {
        let seconds = Double(start.nanoseconds(since: task.ready)) / 1e9
        guard seconds >= PlausibleSeconds.toleratedSkew else {
            lost[.clockSkew, default: 0] += 1
            return nil
        }
        guard seconds <= PlausibleSeconds.longest else {
            lost[.badStamp, default: 0] += 1
            return nil
        }
        return WaitSample(queue: task.queue, seconds: max(0, seconds))
    }

    // MARK: Running tasks

    private func due(at now: MonotonicTime, servers: Int) -> [StartedTask] {
        let most = max(1, Self.maxWorkerFields / max(1, servers))
        return running.prefix(most).prefix { $0.askAt <= now }.map(\.task)
    }

    /// Asks each server for all of them, because it is unknown which one has a task.
    private func addWorkers(
        of due: [StartedTask], _ servers: [[UInt8]], to pipeline: inout RedisPipeline
    ) -> [Ask<[[UInt8]?]>] {
        if due.isEmpty { return [] }
        return servers.map { pipeline.hmget(AsynqKeys.workers(ofServer: $0), due.map(\.id)) }
    }

    private mutating func settle(
        _ due: [StartedTask], workers: [Ask<[[UInt8]?]>], replies: [RedisReply]
    ) -> [WaitSample] {
        var starts = due.map(\.start)
        for ask in workers {
            do throws(RedisError) {
                for (index, info) in (try replies[ask] ?? []).enumerated() {
                    // A start outside the window belongs to a later attempt at the same task.
                    if let info, let start = workerStart(info), due[index].window.mayHold(start) {
                        starts[index] = start
                    }
                }
            } catch {
                errors.append(error)
            }
        }
        return zip(due, starts).compactMap { sample($0, start: $1) }
    }

    private mutating func workerStart(_ info: [UInt8]) -> WallTime? {
        do throws(WireError) {
            return try WorkerSnapshot(workerInfo: info).start
        } catch {
            errors.append(RedisError(.malformed, "a WorkerInfo: \(error.reason.rawValue)"))
            return nil
        }
    }
}
