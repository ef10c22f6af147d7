import AsynqRedis
import Model
import Platform
import Redis

/// One task that a worker has taken.
struct RunningTask {
    let message: TaskMessage
    let kind: DemoTaskKind
    let origin: TaskOrigin
    let start: WallTime
    let end: MonotonicTime
    let failure: DemoTaskKind.Failure?
}

/// The producer's knowledge of a task: its trace and its times. (A real worker reads the trace from the task's headers;
/// the demo keeps it beside the task so as not to read it back.)
struct TaskOrigin {
    let producer: SpanReference
    let enqueuedAt: WallTime
    /// The time at which a scheduled task is due.
    let processAt: WallTime?
}

/// One worker process: takes tasks by queue priority, runs them for a while, and does to Redis what Asynq's processor
/// does.
struct DemoWorker {
    private static let retrySeconds: ClosedRange<Int64> = 2...8

    let plan: DemoServerPlan
    private(set) var info: ServerInfo
    private var running: [RunningTask] = []

    init(_ plan: DemoServerPlan, id: String, clock: Clock) {
        self.plan = plan
        info = ServerInfo(
            host: plan.host, pid: Int64.random(in: 1000...30_000), id: id, concurrency: Int64(plan.concurrency),
            queues: plan.queues, startedAtSeconds: clock.wall().wholeSeconds, activeWorkers: 0)
    }

    var queueNames: [String] { plan.queues.map(\.name) }

    var runningCount: Int { running.count }

    /// Writes the worker's heartbeat, and renews its leases.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    mutating func beat(_ store: AsynqStore) throws(RedisError) {
        info.activeWorkers = Int64(running.count)
        let workers = running.map {
            WorkerInfo(server: info, task: $0.message, startedAtSeconds: $0.start.wholeSeconds)
        }
        try store.beat(info, workers)
        try store.extendLeases(running.map(\.message))
    }

    /// Takes tasks while a slot is free. They run `slowdown` times as long as their kind says.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    mutating func takeTasks(
        _ store: AsynqStore, _ tasks: inout DemoTasks, clock: Clock, slowdown: Double, mailServerFails: Bool
    ) throws(RedisError) {
        while running.count < plan.concurrency {
            guard let task = try next(store, &tasks) else { return }
            let kind = task.kind
            // Run times are log-normal; the sum of uniform numbers is near enough to a normal one.
            let normal = (0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1) }
            let seconds = kind.meanSeconds * slowdown * exponential(0.5 * normal)
            let failureShare = mailServerFails && kind.queue == "emails" ? 0.85 : kind.failureShare
            let failed = Double.random(in: 0..<1) < failureShare
            running.append(
                RunningTask(
                    message: task.message, kind: kind, origin: task.origin, start: clock.wall(),
                    end: clock.monotonic().advanced(by: .seconds(seconds)),
                    failure: task.fate ?? (failed ? kind.failures.randomElement() : nil)))
        }
    }

    private func next(_ store: AsynqStore, _ tasks: inout DemoTasks) throws(RedisError) -> DemoTasks.Entry? {
        // The order is weighted: a queue of priority 6 is asked first six times out of nine.
        var order = plan.queues
        while !order.isEmpty {
            var ticket = Int64.random(in: 0..<order.reduce(0) { $0 + $1.priority })
            let index = order.firstIndex { queue in
                ticket -= queue.priority
                return ticket < 0
            }
            let queue = order.remove(at: index ?? 0)
            if let id = try store.dequeue(queue.name), let entry = tasks[id] { return entry }
        }
        return nil
    }

    /// Ends the tasks whose time is over; returns their spans.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    mutating func finishTasks(_ store: AsynqStore, _ tasks: inout DemoTasks, clock: Clock) throws(RedisError)
        -> [DemoSpan]
    {
        let now = clock.monotonic()
        let done = running.filter { $0.end <= now }
        if done.isEmpty { return [] }
        running.removeAll { $0.end <= now }
        var spans: [DemoSpan] = []
        for task in done {
            let end = clock.wall()
            if let failure = task.failure {
                try Self.fail(task.message, failure.message, store, &tasks, clock: clock)
            } else {
                try store.complete(task.message)
                tasks.remove(task.message.id)
            }
            spans += self.spans(of: task, end: end)
        }
        return spans
    }

    /// Ends an attempt with an error: the task is tried again, or is dead.
    /// - Throws: `RedisError` where Redis does not answer or refuses.
    static func fail(
        _ failed: TaskMessage, _ error: String, _ store: AsynqStore, _ tasks: inout DemoTasks, clock: Clock
    ) throws(RedisError) {
        let now = clock.wall().wholeSeconds
        var message = failed
        let isDead = message.retried >= message.retry
        if !isDead { message.retried += 1 }
        message.errorMessage = error
        message.lastFailedAt = now
        try store.fail(message, retryAtSeconds: isDead ? nil : now + Int64.random(in: retrySeconds))
        if isDead { tasks.remove(message.id) } else { tasks.update(message) }
    }

    private func spans(of task: RunningTask, end: WallTime) -> [DemoSpan] {
        let process = SpanReference(trace: task.origin.producer.trace, span: .random)
        var attributes: [(String, DemoSpan.Value)] = [
            ("messaging.system", .string("asynq")),
            ("messaging.operation.name", .string("process")),
            ("messaging.operation.type", .string("process")),
            ("messaging.destination.name", .string(task.message.queue)),
            ("messaging.message.id", .string(task.message.id)),
            ("asynq.task.type", .string(task.message.type)),
            ("asynq.task.retried", .int(task.message.retried)),
            ("asynq.task.enqueued_at", .int(task.origin.enqueuedAt.nanoseconds)),
        ]
        if let due = task.origin.processAt { attributes.append(("asynq.task.process_at", .int(due.nanoseconds))) }
        let processSpan = DemoSpan(
            name: "process \(task.message.queue)", kind: .consumer, reference: process,
            parent: task.origin.producer.span,
            start: task.start, end: end, attributes: attributes, failure: task.failure)
        return steps(of: task, within: process, end: end) + [processSpan]
    }

    /// Returns the spans of a task's steps, one after the other. An attempt that fails ends in the longest of them.
    private func steps(of task: RunningTask, within process: SpanReference, end: WallTime) -> [DemoSpan] {
        let length = Double(end.nanoseconds(since: task.start))
        var spans: [DemoSpan] = []
        var start = task.start
        let longest = task.kind.steps.map(\.share).max() ?? 1
        for step in task.kind.steps {
            let isFailed = task.failure != nil && step.share == longest
            let isLast = isFailed || spans.count == task.kind.steps.count - 1
            let stepEnd =
                isLast
                ? end : WallTime(nanoseconds: min(end.nanoseconds, start.nanoseconds + Int64(length * step.share)))
            spans.append(
                DemoSpan(
                    name: step.name, kind: .client, reference: SpanReference(trace: process.trace, span: .random),
                    parent: process.span, start: start, end: stepEnd,
                    attributes: [("peer.service", .string("demo"))], failure: isFailed ? task.failure : nil))
            if isLast { break }
            start = stepEnd
        }
        return spans
    }
}

/// Returns e^x, without a C library: a demo's run times need no last digit.
private func exponential(_ exponent: Double) -> Double {
    var sum = 1.0
    var term = 1.0
    for step in 1..<20 {
        term *= exponent / Double(step)
        sum += term
    }
    return max(0.01, sum)
}
