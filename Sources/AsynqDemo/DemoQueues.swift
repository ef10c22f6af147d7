/// One kind of task that the demo's producer makes, and how it behaves.
struct DemoTaskKind {
    let queue: String
    let type: String
    /// The span that a worker's task makes.
    let work: String
    /// Of the arrivals.
    let share: Double
    let meanSeconds: Double
    let failureShare: Double
    let maxRetries: Int64
    /// Scheduled ahead instead of enqueued at once.
    var delaySeconds: ClosedRange<Double>?
    var retentionSeconds: Int64 = 0
    let errors: [String]

    static let all: [DemoTaskKind] = [
        .init(
            queue: "critical", type: "payment:capture", work: "POST /v1/charges", share: 0.2, meanSeconds: 0.03,
            failureShare: 0.02, maxRetries: 5, errors: ["card network timeout"]),
        .init(
            queue: "default", type: "order:fulfil", work: "UPDATE orders", share: 0.3, meanSeconds: 0.06,
            failureShare: 0.05,
            maxRetries: 2, retentionSeconds: 30, errors: ["deadlock detected", "stock service: 503"]),
        .init(
            queue: "default", type: "order:remind", work: "SELECT carts", share: 0.1, meanSeconds: 0.02,
            failureShare: 0.02,
            maxRetries: 3, delaySeconds: 2...20, errors: ["cart is gone"]),
        .init(
            queue: "emails", type: "email:send", work: "SMTP send", share: 0.25, meanSeconds: 0.12, failureShare: 0.15,
            maxRetries: 1, errors: ["smtp: 451 greylisted", "smtp: mailbox unavailable"]),
        .init(
            queue: "reports", type: "report:render", work: "render pdf", share: 0.1, meanSeconds: 0.35,
            failureShare: 0.08,
            maxRetries: 0, errors: ["font not found", "out of memory"]),
        .init(
            queue: "imports", type: "import:file", work: "parse csv", share: 0.05, meanSeconds: 0.2, failureShare: 0,
            maxRetries: 3, errors: ["bad row"]),
    ]
}

/// A worker process of the demo.
struct DemoServerPlan {
    let concurrency: Int
    let queues: [(name: String, priority: Int64)]
    /// Which of its tasks take so long that it can just keep up at this rate of arrivals.
    static let all: [DemoServerPlan] = [
        .init(concurrency: 4, queues: [("critical", 6), ("default", 3)]),
        .init(concurrency: 2, queues: [("emails", 3), ("reports", 1)]),
        .init(concurrency: 1, queues: [("imports", 1)]),
    ]
}
