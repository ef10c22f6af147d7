import AsynqRedis
import Model
import Platform
import Redis

/// The shop whose tasks the demo shows, with its workers: everything that the demo's thread owns.
struct DemoShop {
    private static let exportInterval = Duration.milliseconds(200)
    private static let beatInterval = Duration.seconds(5)
    private static let forwardInterval = Duration.seconds(1)
    /// One swing from quiet to busy and back.
    private static let swingSeconds = 40.0

    private var store: AsynqStore
    private let producer: SpanExporter
    private let worker: SpanExporter
    private let tasksPerSecond: Double
    private let clock: Clock
    private let start: MonotonicTime
    private let schedulerID = "scheduler-1:1:\(uuid())"
    private var tasks = DemoTasks()
    private var workers: [DemoWorker]
    private var story: DemoStory
    private var events: [(event: DemoStory.Event, text: String)] = []
    private var mailServerFails = false
    private var lastTick: MonotonicTime
    private var owed = 0.0
    private var nextBeat = MonotonicTime(nanoseconds: 0)
    private var nextForward = MonotonicTime(nanoseconds: 0)
    private var nextExport = MonotonicTime(nanoseconds: 0)

    init(
        store: AsynqStore, producer: SpanExporter, worker: SpanExporter, tasksPerSecond: Double, story: DemoStory,
        clock: Clock
    ) {
        self.store = store
        self.producer = producer
        self.worker = worker
        self.tasksPerSecond = tasksPerSecond
        self.story = story
        self.clock = clock
        start = clock.monotonic()
        lastTick = start
        workers = DemoServerPlan.all.map { DemoWorker($0, id: uuid(), clock: clock) }
    }

    /// Returns the events of the story since the last call, with a line about each.
    mutating func takeEvents() -> [(event: DemoStory.Event, text: String)] {
        defer { events = [] }
        return events
    }

    /// Does what is due: arrivals, work, upkeep and the story.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    mutating func tick() throws(RedisError) {
        let now = clock.monotonic()
        for event in story.due(at: now.seconds(since: start)) { events.append((event, try play(event))) }
        let swing = triangle(now.seconds(since: start) / Self.swingSeconds)
        // The rate swings from half to one and a half times the mean.
        owed = min(owed + now.seconds(since: lastTick) * tasksPerSecond * (0.5 + swing), 1000)
        lastTick = now
        while owed >= 1 {
            owed -= 1
            try produce(pick())
        }
        // The workers are as fast as the average needs, so the backlog grows at a busy hour.
        let slowdown = max(0.02, 22 / tasksPerSecond)
        for index in workers.indices {
            for span in try workers[index].finishTasks(store, &tasks, clock: clock) { worker.add(span) }
            try workers[index].takeTasks(
                store, &tasks, clock: clock, slowdown: slowdown, mailServerFails: mailServerFails)
        }
        try runBackground(now)
    }

    // MARK: The story

    /// Makes an event happen; returns a line about it.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    private mutating func play(_ event: DemoStory.Event) throws(RedisError) -> String {
        switch event {
        case .burst:
            let count = Int(min(2000, max(20, 12 * tasksPerSecond)))
            guard let kind = DemoTaskKind.ofType("email:send") else { return "" }
            for _ in 0..<count { try produce(kind) }
            return "the newsletter goes out: \(count) emails at once"
        case .mailServerFails:
            mailServerFails = true
            return "the mail server fails: email:send ends with two different errors"
        case .mailServerWorks:
            mailServerFails = false
            return "the mail server works again"
        case .deadLetter:
            guard let kind = DemoTaskKind.ofType("report:monthly") else { return "" }
            let fate = DemoTaskKind.Failure(
                type: "*report.MemoryError", message: "report 2026-10: out of memory at 512 MiB")
            try produce(kind, fate: fate)
            return "a monthly report needs too much memory: a dead letter in reports"
        case .pause:
            try store.pause("imports")
            return "imports is paused; its tasks wait"
        case .resume:
            try store.resume("imports")
            return "imports is resumed"
        case .workerKilled: return killWorker()
        case .workerStarted:
            for plan in missingPlans {
                workers.append(DemoWorker(plan, id: uuid(), clock: clock))
                nextBeat = clock.monotonic()
            }
            return "a new worker-2 starts and takes emails, thumbnails and reports"
        case .recovery: return try recover()
        case .backendDown: return "the trace backend goes down; spans wait in the spool"
        case .backendUp: return "the trace backend is back; the spool drains"
        }
    }

    private var missingPlans: [DemoServerPlan] {
        DemoServerPlan.all.filter { plan in !workers.contains { $0.plan.host == plan.host } }
    }

    /// Ends a worker: its heartbeat stops, its leases expire, and the tasks that it ran stay active.
    private mutating func killWorker() -> String {
        let index = workers.firstIndex { $0.queueNames.contains("emails") }
        let running = index.map { workers.remove(at: $0).runningCount } ?? 0
        return "worker-2 is killed while it runs \(running) task\(running == 1 ? "" : "s")"
    }

    /// Does what Asynq's recoverer does once a minute.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    private mutating func recover() throws(RedisError) -> String {
        var count = 0
        for queue in DemoServerPlan.all.flatMap({ $0.queues.map(\.name) }) {
            for id in try store.orphans(queue) {
                guard let task = tasks[id] else { continue }
                try DemoWorker.fail(task.message, "asynq: task lease expired", store, &tasks, clock: clock)
                count += 1
            }
        }
        return "the recoverer takes back \(count) orphaned task\(count == 1 ? "" : "s")"
    }

    // MARK: Upkeep

    private mutating func runBackground(_ now: MonotonicTime) throws(RedisError) {
        if now >= nextBeat {
            nextBeat = now.advanced(by: Self.beatInterval)
            for index in workers.indices { try workers[index].beat(store) }
            let minute = clock.wall().wholeSeconds / 60 * 60
            let entry = SchedulerEntry(
                id: schedulerID, spec: "@every 1m", taskType: "report:monthly", queue: "reports",
                nextSeconds: minute + 60,
                previousSeconds: minute)
            try store.beat(scheduler: schedulerID, [entry])
        }
        if now >= nextForward {
            nextForward = now.advanced(by: Self.forwardInterval)
            for queue in Set(workers.flatMap(\.queueNames)) {
                try store.forwardDue(queue)
                try store.deleteExpired(queue)
            }
        }
        if now >= nextExport {
            nextExport = now.advanced(by: Self.exportInterval)
            producer.flush()
            worker.flush()
        }
    }

    /// Makes one request of a customer: a server span, and in it a producer span that puts a task into its queue.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    private mutating func produce(_ kind: DemoTaskKind, fate: DemoTaskKind.Failure? = nil) throws(RedisError) {
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
        tasks.add(.init(message: message, kind: kind, origin: origin, fate: fate))
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
        let (method, route) = kind.requestParts
        producer.add(
            DemoSpan(
                name: kind.request, kind: .server, reference: request,
                start: begin.advanced(by: .milliseconds(-Int64.random(in: 8...40))), end: end,
                attributes: [("http.request.method", .string(method)), ("http.route", .string(route))]))
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

/// Returns 0 … 1 … 0 while `phase` goes up by one.
private func triangle(_ phase: Double) -> Double {
    let part = phase - phase.rounded(.down)
    return part < 0.5 ? part * 2 : 2 - part * 2
}

/// Returns a random UUID, version 4, as Asynq gives its tasks.
private func uuid() -> String {
    let high = UInt64.random(in: 0 ... .max) & ~0xF000 | 0x4000
    let low = UInt64.random(in: 0 ... .max) & ~(0b11 << 62) | 0b10 << 62
    let hex = Array(SpanID(high).hex + SpanID(low).hex)
    let parts = [hex[0..<8], hex[8..<12], hex[12..<16], hex[16..<20], hex[20..<32]]
    return parts.map { String($0) }.joined(separator: "-")
}
