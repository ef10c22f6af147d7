import Model
import ProtobufWire
import Redis

/// The workers' part of a scrape: the running tasks, and the age of each queue's longest-running one.
///
///     round trip 2   HKEYS asynq:workers:{…}           ids of the tasks that a server works on; not of a server that was idle
///     round trip 3   HSTRLEN asynq:workers:{…} <id>    how large what its worker says is: of each task that was never read
///                    HMGET asynq:workers:{…} <ids>     what workers say of those that were read before, as much as fits
///     round trip 4…  HMGET asynq:workers:{…} <ids>     what they say of the new ones, as much as fits
///
/// A `WorkerInfo` carries the payload of its task and may have any size; `MessageLimit` bounds what is read at once,
/// and the largest. Most scrapes read all that runs. The others read two kinds first:
/// - those that have been running for longest, because a task may end and run again under its id;
/// - of the new ones those that scrapes saw first, because short ones end before it is their turn.
struct RunningTasks {
    /// The number of tasks that a scrape reads; more are counted as a `limit` error.
    static let maxTasks = 20_000
    /// The number of round trips after the third one, while there are tasks that were never read.
    static let maxMoreRoundTrips = 4
    /// The number of tasks whose size is asked for at once.
    static let maxMeasured = 5_000
    /// The bytes that the tasks in a snapshot may take.
    static let maxListedBytes = 1 << 20
    /// The longest id in the list; a longer one is cut.
    private static let maxIDBytes = 256

    typealias ListAsk = (server: [UInt8], ids: Ask<[[UInt8]]>)
    struct Asks {
        fileprivate var lengths: [(place: Place, length: Ask<Int64>)] = []
        fileprivate var infos: [(server: [UInt8], ids: [[UInt8]], infos: Ask<[[UInt8]?]>)] = []
    }

    fileprivate typealias Place = (server: [UInt8], id: [UInt8])

    private enum Reading {
        /// The task was not read yet; `seen` counts the scrapes up to the one that saw it first. `bytes` is its size;
        /// nil before it was asked for.
        case unread(seen: Int64, bytes: Int64?)
        /// The `WorkerInfo` names no queue or no start, is malformed, or too large. It is not read again.
        case unusable
        case running(Running)
    }

    private struct Running {
        let queue: QueueName
        let type: TaskType
        let start: WallTime
        let deadline: WallTime?
        let bytes: Int64
    }

    /// The readings by the key of the server and the id of the task.
    private var tasks: [[UInt8]: [[UInt8]: Reading]] = [:]
    private var limit = MessageLimit()
    private var names = SharedTexts()
    private var scrapes: Int64 = 0
    /// The tasks that the scrape under way has asked for.
    private var asked: [Place] = []
    /// The first error of the scrape under way: a user who may not run a command may not do so for any server.
    private(set) var error: RedisError?

    // MARK: Round trip 2

    func addLists(of servers: [[UInt8]], to pipeline: inout RedisPipeline) -> [ListAsk] {
        servers.map { ($0, pipeline.hkeys(AsynqKeys.workers(ofServer: $0))) }
    }

    mutating func readLists(_ lists: [ListAsk], _ replies: [RedisReply]) {
        error = nil
        scrapes += 1
        var listed: [[UInt8]: [[UInt8]: Reading]] = [:]
        var left = Self.maxTasks
        for (server, ask) in lists {
            let known = tasks[server] ?? [:]
            do throws(RedisError) {
                guard let ids = try replies[ask] else {
                    // The node can't be asked, so what ran there counts as running.
                    listed[server] = known
                    continue
                }
                if ids.count > left { record(RedisError(.limit, "more than \(Self.maxTasks) tasks run at a time")) }
                let seen = ids.prefix(left)
                left -= seen.count
                listed[server] = Dictionary(seen.map { ($0, known[$0] ?? .unread(seen: scrapes, bytes: nil)) }) {
                    first, _ in first
                }
            } catch {
                record(error)
            }
        }
        tasks = listed
    }

    // MARK: Round trip 3 and those behind it

    /// Asks for the size of new tasks, and for those that were read before.
    mutating func addTasks(to pipeline: inout RedisPipeline) -> Asks {
        var portion = limit.portion
        let again = ranked { reading in
            if case .running(let task) = reading { (task.start.nanoseconds, task.bytes) } else { nil }
        }.prefix { portion.take($0.bytes) }
        var asks = Asks()
        addLengths(to: &pipeline, &asks)
        add(again.map(\.place), to: &pipeline, &asks)
        return asks
    }

    private func addLengths(to pipeline: inout RedisPipeline, _ asks: inout Asks) {
        let unmeasured = ranked { if case .unread(let seen, nil) = $0 { (seen, 0) } else { nil } }
        asks.lengths = unmeasured.prefix(Self.maxMeasured).map { entry in
            let (server, id) = entry.place
            return (entry.place, pipeline.hstrlen(AsynqKeys.workers(ofServer: server), id))
        }
    }

    private mutating func add(_ places: [Place], to pipeline: inout RedisPipeline, _ asks: inout Asks) {
        asked = places
        asks.infos = Dictionary(grouping: places, by: { $0.server }).map { server, tasks in
            let ids = tasks.map { $0.id }
            return (server, ids, pipeline.hmget(AsynqKeys.workers(ofServer: server), ids))
        }
    }

    /// Returns the tasks that `rank` gives a rank, the lowest first.
    private func ranked(by rank: (Reading) -> (rank: Int64, bytes: Int64)?) -> [(place: Place, bytes: Int64)] {
        let all = tasks.flatMap { server, tasks in
            tasks.compactMap { id, reading in
                rank(reading).map { (place: (server, id), rank: $0.rank, bytes: $0.bytes) }
            }
        }
        return all.sorted { $0.rank < $1.rank }.map { ($0.place, $0.bytes) }
    }

    mutating func readTasks(_ asks: Asks, _ replies: [RedisReply]) {
        if !asked.isEmpty { limit.recordSuccess() }
        asked = []
        for (place, ask) in asks.lengths {
            do throws(RedisError) {
                guard let length = try replies[ask] else { continue }
                recordLength(length, of: place)
            } catch {
                tasks[place.server] = nil
                record(error)
            }
        }
        for (server, ids, ask) in asks.infos {
            do throws(RedisError) {
                guard let infos = try replies[ask] else { continue }
                for (id, info) in zip(ids, infos) {
                    // A missing task has ended since round trip 2.
                    let reading = info.map { read($0) }
                    tasks[server]?[id] = reading
                }
            } catch {
                tasks[server] = nil
                record(error)
            }
        }
    }

    private mutating func recordLength(_ length: Int64, of place: Place) {
        guard case .unread(let seen, _)? = tasks[place.server]?[place.id] else { return }
        if length > MessageLimit.bytes {
            record(
                RedisError(
                    .limit,
                    "what a worker says of task \(ForeignText(place.id).cut(to: 64).printable) has \(length) bytes; of more than "
                        + "\(MessageLimit.bytes) it is not read"))
            tasks[place.server]?[place.id] = .unusable
        } else {
            // A missing task has ended since round trip 2.
            tasks[place.server]?[place.id] = length == 0 ? nil : .unread(seen: seen, bytes: length)
        }
    }

    private mutating func read(_ info: [UInt8]) -> Reading {
        do throws(WireError) {
            let worker = try WorkerSnapshot(workerInfo: info)
            guard let queue = worker.queue, let start = worker.start else { return .unusable }
            return .running(
                Running(
                    queue: names.shared(queue), type: names.shared(worker.type), start: start,
                    deadline: worker.deadline, bytes: Int64(info.count)))
        } catch {
            record(RedisError(.malformed, "a WorkerInfo: \(error.reason.rawValue)"))
            return .unusable
        }
    }

    /// Reads on while there are tasks that were never read. A failure costs the rest of them, not the scrape.
    mutating func readMore(_ client: any RedisClient, deadline: MonotonicTime) {
        for _ in 0..<Self.maxMoreRoundTrips {
            let count = unreadCount
            if count == 0 { return }
            var portion = limit.portion
            let new = ranked { reading in
                if case .unread(let seen, let bytes?) = reading { (seen, bytes) } else { nil }
            }.prefix { portion.take($0.bytes) }
            var pipeline = RedisPipeline()
            var asks = Asks()
            addLengths(to: &pipeline, &asks)
            add(new.map(\.place), to: &pipeline, &asks)
            do throws(RedisError) {
                readTasks(asks, try client.roundTrip(pipeline, deadline: deadline))
            } catch {
                record(error)
                return recordFailure()
            }
            // Their node can't be asked.
            if unreadCount == count && asks.lengths.isEmpty { return }
        }
    }

    private var unreadCount: Int {
        tasks.values.reduce(0) { count, tasks in
            count + tasks.values.count { if case .unread = $0 { true } else { false } }
        }
    }

    /// Records that the scrape has failed, perhaps for the size of what was asked for here. A task that causes this by
    /// itself must not do so without end.
    mutating func recordFailure() {
        if asked.isEmpty { return }
        if asked.count == 1 { tasks[asked[0].server]?[asked[0].id] = .unusable }
        limit.recordFailure()
        asked = []
    }

    // MARK: What it found

    /// Adds the running tasks to each queue.
    func complete(_ queues: inout [QueueSnapshot], at now: WallTime) {
        let longest = longest(at: now)
        for index in queues.indices { queues[index].longestRunning = longest[queues[index].name] }
    }

    /// Returns the time for which each queue's longest task has been running; a queue where none runs is absent.
    func longest(at now: WallTime) -> [QueueName: Duration] {
        var starts: [QueueName: WallTime] = [:]
        for case .running(let task) in tasks.values.flatMap(\.values) {
            starts[task.queue] = min(task.start, starts[task.queue] ?? task.start)
        }
        return starts.mapValues { max(.zero, now.duration(since: $0)) }
    }

    /// Returns the running tasks by the key of the server, the longest first: as many as `maxListedBytes` allows.
    func listed() -> [[UInt8]: [RunningTask]] {
        var all: [(server: [UInt8], task: RunningTask)] = []
        for (server, tasks) in tasks {
            for (id, reading) in tasks {
                if case .running(let task) = reading { all.append((server, Self.listed(task, id))) }
            }
        }
        var bytes = 0
        var listed: [[UInt8]: [RunningTask]] = [:]
        for (server, task) in all.sorted(by: { $0.task.startedAt < $1.task.startedAt }) {
            bytes += MemoryLayout<RunningTask>.stride + 32 + task.id.bytes.count
            if bytes > Self.maxListedBytes { break }
            listed[server, default: []].append(task)
        }
        return listed
    }

    private static func listed(_ task: Running, _ id: [UInt8]) -> RunningTask {
        RunningTask(
            queue: task.queue, id: ForeignText(id).cut(to: maxIDBytes), type: task.type, startedAt: task.start,
            deadlineAt: task.deadline)
    }

    /// Returns the server that runs a task, as far as the last scrape has seen it.
    func find(_ task: TaskName) -> (server: [UInt8], task: RunningTask)? {
        for (server, tasks) in tasks {
            if case .running(let found)? = tasks[task.id], found.queue == task.queue {
                return (server, Self.listed(found, task.id))
            }
        }
        return nil
    }

    private mutating func record(_ error: RedisError) {
        self.error = self.error ?? error
    }
}

/// Gives equal texts the same bytes: twenty thousand tasks have a few queues and types.
private struct SharedTexts {
    private static let maxTexts = 1000

    private var known: Set<ForeignText> = []

    mutating func shared(_ text: ForeignText) -> ForeignText {
        if known.count >= Self.maxTexts { known = [] }
        return known.insert(text).memberAfterInsert
    }
}
