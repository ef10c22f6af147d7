import AsynqRedis
import Model
package import Platform
import Redis
import Synchronization

/// The tasks that are alive, by id.
struct DemoTasks {
    struct Entry {
        var message: TaskMessage
        let kind: DemoTaskKind
        let origin: TaskOrigin
    }

    private var entries: [String: Entry] = [:]

    subscript(_ id: String) -> Entry? { entries[id] }

    mutating func add(_ entry: Entry) { entries[entry.message.id] = entry }
    mutating func update(_ message: TaskMessage) { entries[message.id]?.message = message }
    mutating func remove(_ id: String) { entries[id] = nil }
}

/// A producer and three worker processes on one thread: they write what Asynq 0.26 writes to Redis, and send OTLP spans
/// to the collector's unix socket. The rate of arrivals swings, so that backlogs come and go.
package final class DemoWorkload: Sendable {
    private static let tickInterval = Duration.milliseconds(5)
    private static let exportInterval = Duration.milliseconds(200)
    private static let beatInterval = Duration.seconds(5)
    private static let forwardInterval = Duration.seconds(1)
    /// One swing from quiet to busy and back.
    private static let swingSeconds = 40.0

    private let redisSocket: String
    private let spanSocket: String
    private let bearerToken: String?
    private let tasksPerSecond: Double
    private let clock: Clock
    private let waker: Waker
    private let isStopping = Atomic<Bool>(false)
    private let failure = Mutex<String?>(nil)
    private let lost = Atomic<Int>(0)
    private let thread: Mutex<OSThread?> = Mutex(nil)

    package init(
        redisSocket: String, spanSocket: String, bearerToken: String?, tasksPerSecond: Double, clock: Clock
    ) throws(SystemError) {
        self.redisSocket = redisSocket
        self.spanSocket = spanSocket
        self.bearerToken = bearerToken
        self.tasksPerSecond = tasksPerSecond
        self.clock = clock
        waker = try Waker()
    }

    package func start() throws(SystemError) {
        let started = try OSThread(name: "demo") { [self] in
            do throws(RedisError) {
                try run()
            } catch {
                failure.withLock { $0 = error.message }
            }
        }
        thread.withLock { $0 = started }
    }

    package func stop() {
        isStopping.store(true, ordering: .releasing)
        waker.wake()
        thread.withLock { $0 }?.join()
    }

    /// Why the workload ended by itself, if it did.
    package var failureReason: String? { failure.withLock { $0 } }

    /// Spans that the producer and the workers had to give up.
    package var lostSpans: Int { lost.load(ordering: .relaxed) }

    private func run() throws(RedisError) {
        let endpoint = RedisEndpoint(address: .unix(path: redisSocket))
        let deadline = clock.monotonic().advanced(by: .seconds(5))
        let store = AsynqStore(try RedisConnection(endpoint, clock: clock, deadline: deadline), clock: clock)
        guard let producer = SpanExporter(socket: spanSocket, bearerToken: bearerToken, service: "shop-api"),
            let worker = SpanExporter(socket: spanSocket, bearerToken: bearerToken, service: "shop-worker")
        else { throw RedisError(.connection, "libcurl has no memory for a handle") }
        var state = State(store: store, producer: producer, worker: worker, clock: clock)
        try state.store.pause("imports")
        while !isStopping.load(ordering: .acquiring) {
            try state.tick(arrivals: tasksPerSecond)
            lost.store(producer.lostSpans + worker.lostSpans, ordering: .relaxed)
            waker.sleep(until: clock.monotonic().advanced(by: Self.tickInterval), clock: clock)
        }
        producer.flush()
        worker.flush()
    }

    /// Everything that the thread owns.
    private struct State {
        var store: AsynqStore
        let producer: SpanExporter
        let worker: SpanExporter
        let clock: Clock
        let start: MonotonicTime
        let schedulerID: String
        var tasks = DemoTasks()
        var workers: [DemoWorker]
        var lastTick: MonotonicTime
        var owed = 0.0
        var nextBeat = MonotonicTime(nanoseconds: 0)
        var nextForward = MonotonicTime(nanoseconds: 0)
        var nextExport = MonotonicTime(nanoseconds: 0)

        init(store: AsynqStore, producer: SpanExporter, worker: SpanExporter, clock: Clock) {
            self.store = store
            self.producer = producer
            self.worker = worker
            self.clock = clock
            start = clock.monotonic()
            lastTick = start
            schedulerID = "demo:1:\(uuid())"
            workers = DemoServerPlan.all.map { DemoWorker($0, id: uuid(), clock: clock) }
        }

        mutating func tick(arrivals perSecond: Double) throws(RedisError) {
            let now = clock.monotonic()
            let swing = triangle(now.seconds(since: start) / DemoWorkload.swingSeconds)
            // From half to one and a half times the rate.
            owed = min(owed + now.seconds(since: lastTick) * perSecond * (0.5 + swing), 1000)
            lastTick = now
            while owed >= 1 {
                owed -= 1
                try produce()
            }
            // The workers are as fast as the average needs: at a busy hour the backlog grows.
            let slowdown = max(0.02, 22 / perSecond)
            for index in workers.indices {
                for span in try workers[index].finishTasks(store, &tasks, clock: clock) { worker.add(span) }
                try workers[index].takeTasks(store, &tasks, clock: clock, slowdown: slowdown)
            }
            try runBackground(now)
        }

        private mutating func runBackground(_ now: MonotonicTime) throws(RedisError) {
            if now >= nextBeat {
                nextBeat = now.advanced(by: DemoWorkload.beatInterval)
                for index in workers.indices { try workers[index].beat(store) }
                let minute = clock.wall().wholeSeconds / 60 * 60
                let entry = SchedulerEntry(
                    id: schedulerID, spec: "@every 1m", taskType: "report:render", queue: "reports",
                    nextSeconds: minute + 60,
                    previousSeconds: minute)
                try store.beat(scheduler: schedulerID, [entry])
            }
            if now >= nextForward {
                nextForward = now.advanced(by: DemoWorkload.forwardInterval)
                for queue in Set(workers.flatMap(\.queueNames)) {
                    try store.forwardDue(queue)
                    try store.deleteExpired(queue)
                }
            }
            if now >= nextExport {
                nextExport = now.advanced(by: DemoWorkload.exportInterval)
                producer.flush()
                worker.flush()
            }
        }

        /// One request of a customer: a server span, and in it a producer span that puts a task into its queue.
        private mutating func produce() throws(RedisError) {
            let kind = pick()
            let begin = clock.wall()
            let request = SpanReference(trace: .random, span: .random)
            let send = SpanReference(trace: request.trace, span: .random)
            let payload = "{\"order\":\(Int.random(in: 1000...99_999))}"
            let message = TaskMessage(
                type: kind.type, payload: payload.bytes, id: uuid(), queue: kind.queue, retry: kind.maxRetries,
                retentionSeconds: kind.retentionSeconds, headers: [("traceparent", send.traceparent)])
            let delay = kind.delaySeconds.map { Double.random(in: $0) }
            let due = delay.map { begin.wholeSeconds + Int64($0) }
            if let due {
                try store.schedule(message, atSeconds: due)
            } else {
                try store.enqueue(message)
            }
            let end = clock.wall()
            let origin = TaskOrigin(
                producer: send, enqueuedAt: end, processAt: due.map { WallTime(seconds: $0) })
            tasks.add(.init(message: message, kind: kind, origin: origin))
            producer.add(
                DemoSpan(
                    name: "send \(kind.queue)", kind: .producer, reference: send, parent: request.span, start: begin,
                    end: end,
                    attributes: [
                        ("messaging.system", .string("asynq")), ("messaging.operation.name", .string("enqueue")),
                        ("messaging.operation.type", .string("send")),
                        ("messaging.destination.name", .string(kind.queue)),
                        ("messaging.message.id", .string(message.id)), ("asynq.task.type", .string(kind.type)),
                    ]))
            producer.add(
                DemoSpan(
                    name: "POST /orders", kind: .server, reference: request, start: begin, end: end,
                    attributes: [("http.request.method", .string("POST")), ("http.route", .string("/orders"))]))
        }

        private func pick() -> DemoTaskKind {
            var ticket = Double.random(in: 0..<1)
            for kind in DemoTaskKind.all {
                ticket -= kind.share
                if ticket < 0 { return kind }
            }
            return DemoTaskKind.all[0]
        }
    }
}

/// 0 … 1 … 0 while `phase` goes up by one.
private func triangle(_ phase: Double) -> Double {
    let part = phase - phase.rounded(.down)
    return part < 0.5 ? part * 2 : 2 - part * 2
}

/// A random UUID, version 4, as Asynq gives its tasks.
private func uuid() -> String {
    let high = UInt64.random(in: 0 ... .max) & ~0xF000 | 0x4000
    let low = UInt64.random(in: 0 ... .max) & ~(0b11 << 62) | 0b10 << 62
    let hex = Array(SpanID(high).hex + SpanID(low).hex)
    let parts = [hex[0..<8], hex[8..<12], hex[12..<16], hex[16..<20], hex[20..<32]]
    return parts.map { String($0) }.joined(separator: "-")
}
