import Model
import ProtobufWire
import Redis

// One queue's part in a look ahead: which of its next tasks are pending since when, and which of them have gone since the
// look before.
//
//   round trip 1   LRANGE pending -<count> -1
//   round trip 2   for each task that is new there: HMGET t:<id> pending_since msg (without msg beyond the budget of bytes)
//                  for those that have gone: HMGET t:<id> state pending_since, and one ZMSCORE of their leases

/// The time in which something happened: after `from`, not after `to`.
struct LookWindow: Equatable {
    let from: WallTime
    let to: WallTime

    var middle: WallTime { WallTime(nanoseconds: from.nanoseconds + to.nanoseconds(since: from) / 2) }

    /// The middle of what is left when it happened in the second that begins at `second`; of all where nothing is left.
    func middle(inSecond second: Int64) -> WallTime {
        let low = max(from, WallTime(seconds: second))
        let high = min(to, WallTime(seconds: second + 1))
        return low < high ? LookWindow(from: low, to: high).middle : middle
    }
}

/// A task that has been started: since when it could have been, and when it was.
struct StartedTask: Equatable {
    let queue: QueueName
    let id: [UInt8]
    let ready: WallTime
    let window: LookWindow
    /// The best guess within the window.
    let start: WallTime
    /// It runs still, as far as is known: its worker may say when it began.
    let isRunning: Bool
}

/// What one look may still ask for.
struct LookRoom {
    var tasks: Int
    var messageBytes: Int
}

struct QueueLook {
    /// A worker's lease on a task lasts this long when it takes the task.
    private static let leaseSeconds: Int64 = 30
    /// Messages read at once while their size in this queue is not known.
    private static let firstMessages = 10
    private static let assumedMessageBytes = 16 << 10
    /// Of the worst messages seen lately one eighth is forgotten with each new one.
    private static let decay = 8

    private struct Tracked {
        /// nil: it has no `pending_since` (put back by a worker that stopped).
        var ready: WallTime?
        var isMessageRead = false
    }

    let name: QueueName
    private var tracked: [[UInt8]: Tracked] = [:]
    /// The largest ones seen lately; nil before the first.
    private var messageBytes: Int?
    /// After a look that failed, perhaps for the size of its messages, they are tried one by one.
    private var isCareful = false
    /// When the list was read last, and the same on the monotonic clock.
    private var lastLook: (at: WallTime, monotonic: MonotonicTime)?
    private var lookBefore: (at: WallTime, monotonic: MonotonicTime)?
    private(set) var lost: [LostTaskReason: UInt64] = [:]
    private(set) var error: RedisError?

    // Of the look under way.
    private var fresh: [[UInt8]] = []
    private var withMessage: Set<[UInt8]> = []
    private var gone: [[UInt8]] = []
    /// Gone as well, and not to be asked for. They are told of when the look is through, by the next one if it breaks off.
    private var unasked: [(id: [UInt8], ready: WallTime, from: WallTime)] = []
    private var window: LookWindow?
    private var first = 0
    private var second = 0

    init(_ name: QueueName) {
        self.name = name
    }

    /// The look under way has failed.
    mutating func giveUp() {
        messageBytes = nil
        isCareful = true
        // What has gone is asked for again, and may have gone since then.
        lastLook = lookBefore
    }

    mutating func addTail(_ count: Int, to pipeline: inout RedisPipeline) {
        lost = [:]
        error = nil
        lookBefore = lastLook
        first = pipeline.add(
            "LRANGE", AsynqKeys.queue(name, "pending"), Array(String(-count).utf8), Array("-1".utf8))
    }

    /// - Parameters:
    ///   - start: just before the lists were asked for.
    ///   - maxGap: between two looks; when more time has passed, nobody knows well enough when a task has gone.
    mutating func readTail(
        _ replies: [RedisReply], start: (at: WallTime, monotonic: MonotonicTime), maxGap: UInt64
    ) {
        fresh = []
        gone = []
        if let text = replies[first].errorText { error = RedisError(reply: text, queue: name) }
        // A node that did not answer is reported by the client.
        guard let elements = replies[first].elements else { return }
        let ids = elements.compactMap(\.bytes)
        // The next to be dequeued is the last: it counts most where not all can be read.
        fresh = ids.reversed().filter { tracked[$0]?.isMessageRead != true }
        if !tracked.isEmpty {
            let present = Set(ids)
            gone = tracked.keys.filter { !present.contains($0) }
        }
        window = nil
        if let lastLook, start.monotonic.nanoseconds(since: lastLook.monotonic) <= maxGap {
            window = LookWindow(from: lastLook.at, to: lastLook.at)
        } else {
            lose(gone.count, .gap)
            for id in gone { giveUp(id, from: lastLook?.at) }
            gone = []
        }
        lastLook = start
    }

    /// Nobody asks what has become of the task. `from`: when it was seen last; nil: at some time since it was ready.
    private mutating func giveUp(_ id: [UInt8], from: WallTime?) {
        if let ready = tracked.removeValue(forKey: id)?.ready { unasked.append((id, ready, from ?? ready)) }
    }

    /// The queue is gone, and what was pending in it.
    func end(at now: WallTime, noting tasks: SeenTasks) {
        guard let from = lastLook?.at else { return }
        for (id, task) in tracked {
            if let ready = task.ready {
                tasks.noteGone(queue: name, id: id, ready: ready, LookWindow(from: from, to: now))
            }
        }
    }

    private mutating func lose(_ count: Int, _ reason: LostTaskReason) {
        if count > 0 { lost[reason, default: 0] += UInt64(count) }
    }

    /// Takes its share of the room. Messages that find none are read by a later look, if their tasks are pending still.
    mutating func addDetails(_ room: inout LookRoom, to pipeline: inout RedisPipeline) {
        second = pipeline.count
        let size = max(1, messageBytes ?? Self.assumedMessageBytes)
        let most = messageBytes == nil ? (isCareful ? 1 : Self.firstMessages) : .max
        let messages = min(fresh.count, max(0, room.messageBytes / size), most)
        room.messageBytes -= messages * size
        withMessage = Set(fresh.prefix(messages))
        fresh = fresh.filter { withMessage.contains($0) || tracked[$0] == nil }
        // Those that have gone can't be asked for later.
        let refused = max(0, gone.count - max(0, room.tasks))
        for id in gone.suffix(refused) {
            if let window { giveUp(id, from: window.from) }
        }
        gone.removeLast(refused)
        room.tasks -= gone.count
        let late = max(0, fresh.count - max(0, room.tasks))
        fresh.removeLast(late)
        room.tasks -= fresh.count
        lose(refused + late, .limit)
        for id in fresh {
            let fields = withMessage.contains(id) ? ["pending_since", "msg"] : ["pending_since"]
            pipeline.add("HMGET", list: [AsynqKeys.task(name, id: id)] + fields.map { Array($0.utf8) })
        }
        for id in gone {
            pipeline.add("HMGET", AsynqKeys.task(name, id: id), Array("state".utf8), Array("pending_since".utf8))
        }
        if !gone.isEmpty { pipeline.add("ZMSCORE", list: [AsynqKeys.queue(name, "lease")] + gone) }
    }

    /// Notes what is pending, and returns what has been started since the look before. `now`: when all was read.
    mutating func readDetails(_ replies: [RedisReply], at now: WallTime, noting tasks: SeenTasks) -> [StartedTask] {
        var index = second
        for id in fresh {
            readFresh(replies[index], id, tasks)
            index += 1
        }
        isCareful = false
        for task in unasked {
            let window = LookWindow(from: task.from, to: max(now, task.from))
            tasks.noteGone(queue: name, id: task.id, ready: task.ready, window)
        }
        unasked = []
        guard !gone.isEmpty else { return [] }
        window = window.map { LookWindow(from: $0.from, to: max(now, $0.from)) }
        note(replies[index + gone.count])
        let leases = replies[index + gone.count].elements
        var started: [StartedTask] = []
        for (position, id) in gone.enumerated() {
            let lease = leases.flatMap { position < $0.count ? $0[position].score : nil }
            if let task = readGone(replies[index + position], id, lease: lease, tasks) { started.append(task) }
            // One that runs is seen by ActiveLook; one that is done may be another task when its id comes again.
            if replies[index + position].elements?.first?.bytes != Array("active".utf8) {
                tasks.noteLeft(queue: name, CollectionOfOne(id))
            }
        }
        return started
    }

    private mutating func note(_ reply: RedisReply) {
        if let text = reply.errorText { error = error ?? RedisError(reply: text, queue: name) }
    }

    private mutating func readFresh(_ reply: RedisReply, _ id: [UInt8], _ tasks: SeenTasks) {
        note(reply)
        // A node that did not answer is asked again; a key of the wrong type is not.
        if reply == .unanswered { return }
        let fields = reply.elements ?? []
        let ready = fields.first?.number.flatMap { $0 > 0 ? WallTime(nanoseconds: $0) : nil }
        let isRead = fields.count != 1
        tracked[id] = Tracked(ready: ready, isMessageRead: isRead)
        var task: StoredTask?
        if fields.count > 1, let message = fields[1].bytes {
            messageBytes = max(message.count, (messageBytes ?? 0) * (Self.decay - 1) / Self.decay)
            do throws(WireError) {
                task = try StoredTask(taskMessage: message, names: tasks.names)
            } catch {
                // It has its time all the same.
                let what = "queue \(name.text): a TaskMessage: \(error.reason.rawValue)"
                self.error = self.error ?? RedisError(.malformed, what)
            }
        }
        if ready != nil || task != nil { tasks.note(queue: name, id: id, ready: ready, task: task) }
    }

    /// A task that is in the list no more. Dequeueing takes `pending_since` out of the hash, and a task that is done and
    /// not retained has none; one that was moved by hand (archived) keeps it. One that is still pending was only pushed out of
    /// sight by tasks that were put back in front of it: it is asked for until it has gone.
    private mutating func readGone(
        _ reply: RedisReply, _ id: [UInt8], lease: Int64?, _ tasks: SeenTasks
    ) -> StartedTask? {
        guard let task = tracked.removeValue(forKey: id), let ready = task.ready, let window else { return nil }
        note(reply)
        guard let fields = reply.elements, fields.count == 2 else {
            lose(1, .gap)
            tasks.noteGone(queue: name, id: id, ready: ready, window)
            return nil
        }
        let since = fields[1].number.map { WallTime(nanoseconds: $0) }
        if since == ready && fields[0].bytes == Array("pending".utf8) {
            tracked[id] = task
            return nil
        }
        tasks.noteGone(queue: name, id: id, ready: ready, window)
        if since == ready { return nil }
        let isRunning = lease != nil && fields[0].bytes == Array("active".utf8)
        let start = lease.map { window.middle(inSecond: $0 - Self.leaseSeconds) } ?? window.middle
        return StartedTask(
            queue: name, id: id, ready: ready, window: window, start: start, isRunning: isRunning)
    }
}
