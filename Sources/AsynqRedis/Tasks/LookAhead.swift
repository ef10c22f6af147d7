package import Model
package import Platform
import ProtobufWire
package import Redis

/// A wait seen in Redis alone: a task was pending, and then a worker had it.
package struct WaitSample: Sendable, Equatable {
    package let queue: QueueName
    package let seconds: Double
}

/// Tasks that the look-ahead lost sight of, by reason.
package enum LostTaskReason: String, CaseIterable, Sendable {
    /// No room within the bounds of one look.
    case limit
    /// Redis could not be asked for a while: when the task was started is too uncertain.
    case gap
    /// It was started more than a second before it was enqueued: clocks disagree.
    case clockSkew = "clock_skew"
    /// Its `pending_since` is no time of this age.
    case badStamp = "bad_stamp"
}

/// Looks at the next tasks of each queue, more often than the scrape: notes since when they are pending, and from those
/// that leave the list between two looks how long they waited, without any help of the workers.
///
/// When a task was started is known to lie between two looks; the lease that the worker took (whole seconds, 30 s ahead)
/// narrows it. A task that still runs when its worker writes its next heartbeat (every 5 s) has its exact start there.
///
///     round trip 1   per queue LRANGE pending -<count> -1, LRANGE active 0 <count>-1; for tasks that have been running for
///                    six seconds: HMGET of each live server's asynq:workers:{…}
///     round trip 2   see QueueLook.swift and ActiveLook.swift
package struct LookAhead {
    /// Tasks looked at in all queues together, those of them that are asked for because they have come or gone, and bytes
    /// of their messages (as large as the largest ones of late are), in one look.
    static let maxTasks = 20_000
    static let maxAskedTasks = 10_000
    static let maxMessageBytes = 4 << 20
    /// Running tasks whose exact start is waited for; the others get the estimate at once.
    static let maxRunning = 1_000
    /// Fields of HMGET: each running task is asked of each server.
    static let maxWorkerFields = 20_000
    /// Workers write what they do every five seconds.
    private static let heartbeatNanoseconds: UInt64 = 6_000_000_000

    private struct Running {
        let task: StartedTask
        let askAt: MonotonicTime
    }

    private let count: Int
    private let intervalNanoseconds: UInt64
    private let clock: Clock
    private let tasks: SeenTasks
    private var queues: [QueueName: QueueLook] = [:]
    private var actives: [QueueName: ActiveLook] = [:]
    private var activeBudget = MessageBudget()
    private var running: [Running] = []
    /// Settled, and not handed over yet.
    private var samples: [WaitSample] = []
    /// Which queue comes first: where the room is short, each has its turn.
    private var turn = 0
    private(set) var lost: [LostTaskReason: UInt64] = [:]
    private(set) var errors: [RedisError] = []

    package init(count: Int, intervalNanoseconds: UInt64, clock: Clock, tasks: SeenTasks) {
        self.count = count
        self.intervalNanoseconds = intervalNanoseconds
        self.clock = clock
        self.tasks = tasks
    }

    /// One look. `names` and `servers` (keys of the live ones) are those of the last scrape.
    package mutating func look(
        _ client: any RedisClient, names: [QueueName], servers: [[UInt8]], deadline: MonotonicTime
    ) throws(RedisError) -> [WaitSample] {
        errors = []
        let present = Set(names)
        for (name, look) in queues where !present.contains(name) { look.end(at: clock.wall(), noting: tasks) }
        var looks = names.map { queues[$0] ?? QueueLook($0) }
        do throws(RedisError) {
            try look(client, &looks, servers, deadline: deadline)
        } catch {
            for index in looks.indices { looks[index].giveUp() }
            countLost(looks)
            activeBudget.noteFailure()
            queues = Dictionary(zip(names, looks)) { first, _ in first }
            throw error
        }
        countLost(looks)
        errors += looks.compactMap(\.error)
        queues = Dictionary(zip(names, looks)) { first, _ in first }
        defer { samples = [] }
        return samples
    }

    private mutating func countLost(_ looks: [QueueLook]) {
        for look in looks {
            for (reason, count) in look.lost { lost[reason, default: 0] += count }
        }
    }

    private mutating func look(
        _ client: any RedisClient, _ looks: inout [QueueLook], _ servers: [[UInt8]], deadline: MonotonicTime
    ) throws(RedisError) {
        let start = (at: clock.wall(), monotonic: clock.monotonic())
        let due = due(at: start.monotonic, servers: servers.count)
        var pipeline = RedisPipeline()
        let share = max(1, min(count, Self.maxTasks / max(1, looks.count)))
        var active = looks.map { actives[$0.name] ?? ActiveLook($0.name) }
        for index in looks.indices {
            looks[index].addTail(share, to: &pipeline)
            active[index].addList(share, to: &pipeline)
        }
        let workers = addWorkers(of: due, servers, to: &pipeline)
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        // Half of the window is the error: it must not be more than the interval.
        let maxGap = 2 * intervalNanoseconds
        for index in looks.indices {
            looks[index].readTail(replies, start: start, maxGap: maxGap)
            active[index].readList(replies, tasks)
        }
        running.removeFirst(due.count)
        if !due.isEmpty { samples += settle(due, replies[workers...], servers: servers.count) }

        var details = RedisPipeline()
        var room = LookRoom(tasks: Self.maxAskedTasks, messageBytes: Self.maxMessageBytes)
        for offset in looks.indices { looks[(turn + offset) % looks.count].addDetails(&room, to: &details) }
        // Behind all that is pending: those have their wait to lose.
        var messages = min(room.tasks, activeBudget.count)
        for offset in active.indices { active[(turn + offset) % active.count].addMessages(&messages, to: &details) }
        turn = looks.isEmpty ? 0 : (turn + 1) % looks.count
        let answers = details.count == 0 ? [] : try client.roundTrip(details, deadline: deadline)
        let now = clock.wall()
        var started: [StartedTask] = []
        for index in looks.indices { started += looks[index].readDetails(answers, at: now, noting: tasks) }
        for look in active {
            if let error = look.readMessages(answers, noting: tasks, &activeBudget) { errors.append(error) }
        }
        actives = Dictionary(active.map { ($0.name, $0) }) { first, _ in first }
        samples += accept(started)
    }

    /// Tasks that run still have their wait when their worker's heartbeat tells their start; the others now.
    private mutating func accept(_ started: [StartedTask]) -> [WaitSample] {
        var samples: [WaitSample] = []
        let askAt = clock.monotonic().advanced(byNanoseconds: Self.heartbeatNanoseconds)
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

    /// Asks each server for all of them: which one has a task is not known. Returns the index of the first reply.
    private func addWorkers(of due: [StartedTask], _ servers: [[UInt8]], to pipeline: inout RedisPipeline) -> Int {
        let first = pipeline.count
        if due.isEmpty { return first }
        for server in servers {
            pipeline.add("HMGET", list: [AsynqKeys.workers(ofServer: server)] + due.map(\.id))
        }
        return first
    }

    private mutating func settle(
        _ due: [StartedTask], _ replies: ArraySlice<RedisReply>, servers: Int
    ) -> [WaitSample] {
        var starts = due.map(\.start)
        for reply in replies.prefix(servers) {
            for (index, field) in (reply.elements ?? []).prefix(due.count).enumerated() {
                guard let bytes = field.bytes else { continue }
                do throws(WireError) {
                    // One that began outside the window is a later attempt at the same task.
                    if let start = try workerStart(bytes), due[index].window.mayHold(start) { starts[index] = start }
                } catch {
                    errors.append(RedisError(.malformed, "a WorkerInfo: \(error.reason.rawValue)"))
                }
            }
        }
        return zip(due, starts).compactMap { sample($0, start: $1) }
    }
}

extension LookWindow {
    /// Whether a worker's stamp can be of this window, as far as clocks of two machines agree.
    func mayHold(_ stamp: WallTime) -> Bool {
        stamp.nanoseconds(since: from) > -1_000_000_000 && stamp.nanoseconds(since: to) < 1_000_000_000
    }
}
