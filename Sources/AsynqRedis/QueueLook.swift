import Model
import ProtobufWire

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

    private struct Tracked {
        /// nil: it has no `pending_since` (put back by a worker that stopped).
        var ready: WallTime?
        var isMessageRead = false
    }

    let name: QueueName
    private var tracked: [[UInt8]: Tracked] = [:]
    /// A moving average; nil before the first.
    private var messageBytes: Int?

    // Of the look under way.
    private var tail: [[UInt8]]?
    private var fresh: [[UInt8]] = []
    private var withMessage: Set<[UInt8]> = []
    private var gone: [[UInt8]] = []
    private var first = 0
    private var second = 0

    init(_ name: QueueName) {
        self.name = name
    }

    /// Tasks that have left the list since the look before.
    var goneCount: Int { gone.count }

    mutating func addTail(_ count: Int, to pipeline: inout RedisPipeline) {
        first = pipeline.add(
            "LRANGE", AsynqKeys.queue(name, "pending"), Array(String(-count).utf8), Array("-1".utf8))
    }

    /// Throws what Redis answered instead of a list; the queue is left as it was then.
    mutating func readTail(_ replies: [RedisReply]) throws(RedisError) {
        tail = nil
        fresh = []
        gone = []
        if let text = replies[first].errorText { throw RedisError(reply: text) }
        // A node that did not answer is reported by the client.
        guard let elements = replies[first].elements else { return }
        let ids = elements.compactMap(\.bytes)
        tail = ids
        // The next to be dequeued is the last: it counts most where not all can be read.
        fresh = ids.reversed().filter { tracked[$0]?.isMessageRead != true }
        if !tracked.isEmpty {
            let present = Set(ids)
            gone = tracked.keys.filter { !present.contains($0) }
        }
    }

    /// Takes its share of the room; returns how many new tasks found none. Messages that found none are read by a later
    /// look, if their tasks are pending still.
    mutating func addDetails(_ room: inout LookRoom, to pipeline: inout RedisPipeline) -> Int {
        second = pipeline.count
        let size = max(1, messageBytes ?? Self.assumedMessageBytes)
        let messages = min(fresh.count, max(0, room.messageBytes / size), messageBytes == nil ? Self.firstMessages : .max)
        room.messageBytes -= messages * size
        withMessage = Set(fresh.prefix(messages))
        fresh = fresh.filter { withMessage.contains($0) || tracked[$0] == nil }
        let refused = max(0, fresh.count - max(0, room.tasks - gone.count))
        fresh.removeLast(refused)
        room.tasks -= fresh.count + gone.count
        for id in fresh {
            let fields = withMessage.contains(id) ? ["pending_since", "msg"] : ["pending_since"]
            pipeline.add("HMGET", list: [AsynqKeys.task(name, id: id)] + fields.map { Array($0.utf8) })
        }
        for id in gone {
            pipeline.add("HMGET", AsynqKeys.task(name, id: id), Array("state".utf8), Array("pending_since".utf8))
        }
        if !gone.isEmpty { pipeline.add("ZMSCORE", list: [AsynqKeys.queue(name, "lease")] + gone) }
        return refused
    }

    /// Notes what is pending, and returns what has been started since the look before.
    mutating func readDetails(_ replies: [RedisReply], window: LookWindow?, noting tasks: PendingTasks) -> [StartedTask] {
        var index = second
        for id in fresh {
            readFresh(replies[index], id, tasks)
            index += 1
        }
        guard !gone.isEmpty else { return [] }
        let leases = replies[index + gone.count].elements
        var started: [StartedTask] = []
        for (position, id) in gone.enumerated() {
            let lease = leases.flatMap { position < $0.count ? $0[position].score : nil }
            if let task = readGone(replies[index + position], id, lease: lease, window) { started.append(task) }
        }
        return started
    }

    private mutating func readFresh(_ reply: RedisReply, _ id: [UInt8], _ tasks: PendingTasks) {
        guard let fields = reply.elements, !fields.isEmpty else { return }
        let ready = fields[0].number.flatMap { $0 > 0 ? WallTime(nanoseconds: $0) : nil }
        var task: StoredTask?
        if fields.count > 1 {
            if let message = fields[1].bytes {
                messageBytes = messageBytes.map { ($0 * 7 + message.count) / 8 } ?? message.count
                // One that can't be decoded has its time all the same.
                do throws(WireError) { task = try StoredTask(taskMessage: message) } catch { task = nil }
            }
        }
        tracked[id] = Tracked(ready: ready, isMessageRead: fields.count > 1)
        if let ready { tasks.note(queue: name, id: id, ready: ready, task: task) }
    }

    /// A task that is in the list no more. Dequeueing takes `pending_since` out of the hash, and a task that is done and
    /// not retained has none; one that was moved by hand (archived) keeps it, and one that is still pending was only
    /// pushed out of sight by tasks that were put back in front of it.
    private mutating func readGone(
        _ reply: RedisReply, _ id: [UInt8], lease: Int64?, _ window: LookWindow?
    ) -> StartedTask? {
        guard let task = tracked.removeValue(forKey: id), let ready = task.ready, let window,
            let fields = reply.elements, fields.count == 2
        else { return nil }
        let since = fields[1].number.map { WallTime(nanoseconds: $0) }
        if since == ready { return nil }
        let isRunning = lease != nil && fields[0].bytes == Array("active".utf8)
        let start = lease.map { window.middle(inSecond: $0 - Self.leaseSeconds) } ?? window.middle
        return StartedTask(
            queue: name, id: id, ready: ready, window: window, start: start, isRunning: isRunning)
    }
}
