package import Model
package import Platform
import ProtobufWire
package import Redis

/// Takes the look-ahead samples: looks at the next tasks of each queue, more often than the scrape, notes since when they are
/// pending, and tells from those that leave the list between two samples how long they waited, without any help of the
/// workers.
///
/// When a task was started is known to lie between two samples; the lease that the worker took (whole seconds, 30 s ahead)
/// narrows it. A task that still runs when its worker writes its next heartbeat (every 5 s) has its exact start there.
///
///     round trip 1   per queue LRANGE pending -<count> -1, LRANGE active 0 <count>-1; for tasks that have been running for
///                    six seconds: HMGET of each live server's asynq:workers:{…}
///     round trip 2   see PendingSampler.swift and ActiveSampler.swift
package struct LookAheadSampler {
    /// The most tasks that one sample looks at, over all queues.
    static let maxTasks = 20_000
    /// The most of them that it asks for because they have come or gone.
    static let maxAskedTasks = 10_000
    /// Running tasks whose exact start is waited for; the others get the estimate at once.
    static let maxRunning = 1_000
    /// Fields of HMGET: each running task is asked of each server.
    static let maxWorkerFields = 20_000
    /// Workers write what they do every five seconds.
    private static let heartbeat = Duration.seconds(6)

    private struct Running {
        let task: StartedTask
        let askAt: MonotonicTime
    }

    private let count: Int
    private let interval: Duration
    private let clock: Clock
    private let tasks: SeenTasks
    private var pending: [QueueName: PendingSampler] = [:]
    private var active: [QueueName: ActiveSampler] = [:]
    private var activeBudget = MessageBudget()
    private var running: [Running] = []
    /// Settled, and not handed over yet.
    private var samples: [WaitSample] = []
    /// Which queue comes first: where the budget is short, each has its turn.
    private var turn = 0
    private(set) var lost: [LostTaskReason: UInt64] = [:]
    private(set) var errors: [RedisError] = []

    package init(count: Int, interval: Duration, clock: Clock, tasks: SeenTasks) {
        self.count = count
        self.interval = interval
        self.clock = clock
        self.tasks = tasks
    }

    /// Takes one sample, and returns the waits that are known by it. `names` and `servers` (keys of the live ones) are those
    /// of the last scrape.
    package mutating func sampleQueues(
        _ client: any RedisClient, names: [QueueName], servers: [[UInt8]], deadline: MonotonicTime
    ) throws(RedisError) -> [WaitSample] {
        errors = []
        let present = Set(names)
        for (name, queue) in pending where !present.contains(name) { queue.end(at: clock.wall(), noting: tasks) }
        var queues = names.map { pending[$0] ?? PendingSampler($0) }
        do throws(RedisError) {
            try ask(client, &queues, servers, deadline: deadline)
        } catch {
            for index in queues.indices { queues[index].sampleFailed() }
            countLost(queues)
            activeBudget.noteFailure()
            pending = Dictionary(zip(names, queues)) { first, _ in first }
            throw error
        }
        countLost(queues)
        errors += queues.compactMap(\.error)
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
        _ client: any RedisClient, _ queues: inout [PendingSampler], _ servers: [[UInt8]], deadline: MonotonicTime
    ) throws(RedisError) {
        let start = (at: clock.wall(), monotonic: clock.monotonic())
        let due = due(at: start.monotonic, servers: servers.count)
        var pipeline = RedisPipeline()
        let share = max(1, min(count, Self.maxTasks / max(1, queues.count)))
        var actives = queues.map { active[$0.name] ?? ActiveSampler($0.name) }
        let lists = queues.indices.map { index in
            (
                pending: queues[index].addList(share, to: &pipeline),
                active: actives[index].addList(share, to: &pipeline)
            )
        }
        let workers = addWorkers(of: due, servers, to: &pipeline)
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        let readAt = clock.wall()
        // Half of the window is the error: it must not be more than the interval.
        let maxGap = interval * 2
        for (index, list) in lists.enumerated() {
            queues[index].readList(list.pending, replies, start: start, maxGap: maxGap)
            actives[index].readList(list.active, replies, at: readAt, tasks)
        }
        running.removeFirst(due.count)
        if !due.isEmpty { samples += settle(due, workers, replies) }

        var details = RedisPipeline()
        let order = queues.indices.map { (turn + $0) % queues.count }
        turn = queues.isEmpty ? 0 : (turn + 1) % queues.count
        var budget = SampleBudget(tasks: Self.maxAskedTasks, messageBytes: MessageBudget.bytes)
        let asked = order.map { queues[$0].addDetails(&budget, to: &details) }
        // Behind all that is pending: those have their wait to lose.
        var messages = min(budget.tasks, activeBudget.count)
        let activeMessages = order.map { actives[$0].addMessages(&messages, to: &details) }
        let answers = details.count == 0 ? [] : try client.roundTrip(details, deadline: deadline)
        let now = clock.wall()
        var started: [StartedTask] = []
        for (index, details) in zip(order, asked) {
            started += queues[index].readDetails(details, answers, at: now, noting: tasks)
        }
        for (index, messages) in zip(order, activeMessages) {
            let error = actives[index].readMessages(messages, answers, noting: tasks, &activeBudget)
            if let error { errors.append(error) }
        }
        active = Dictionary(actives.map { ($0.name, $0) }) { first, _ in first }
        samples += accept(started)
    }

    /// Tasks that run still have their wait when their worker's heartbeat tells their start; the others now.
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

    /// Asks each server for all of them: which one has a task is not known.
    private func addWorkers(
        of due: [StartedTask], _ servers: [[UInt8]], to pipeline: inout RedisPipeline
    ) -> [Ask<[[UInt8]?]>] {
        if due.isEmpty { return [] }
        return servers.map { pipeline.hmget(AsynqKeys.workers(ofServer: $0), due.map(\.id)) }
    }

    private mutating func settle(
        _ due: [StartedTask], _ workers: [Ask<[[UInt8]?]>], _ replies: [RedisReply]
    ) -> [WaitSample] {
        var starts = due.map(\.start)
        for ask in workers {
            do throws(RedisError) {
                for (index, info) in (try replies[ask] ?? []).enumerated() {
                    // One that began outside the window is a later attempt at the same task.
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
