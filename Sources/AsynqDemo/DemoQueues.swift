/// One kind of task that the demo's producer makes, and how it behaves.
struct DemoTaskKind {
    /// The error of an attempt that failed, as Go says it, with the type that its span has for it.
    struct Failure {
        let type: String
        let message: String
    }

    let queue: String
    let type: String
    /// The request that enqueues it.
    let request: String
    /// The spans that a worker's task makes one after the other, each with its share of the run time.
    let steps: [(name: String, share: Double)]
    /// The share of the arrivals.
    let share: Double
    let meanSeconds: Double
    let failureShare: Double
    let maxRetries: Int64
    /// The delay of a task that is scheduled ahead instead of enqueued at once.
    var delaySeconds: ClosedRange<Double>?
    var retentionSeconds: Int64 = 0
    let failures: [Failure]

    static let all: [DemoTaskKind] = [
        .init(
            queue: "payments", type: "invoice:charge", request: "POST /checkout",
            steps: [("SELECT invoices", 0.1), ("POST api.stripe.com/v1/charges", 0.8), ("UPDATE invoices", 0.1)],
            share: 0.15, meanSeconds: 0.24, failureShare: 0.02, maxRetries: 5,
            failures: [
                .init(type: "*stripe.CardError", message: "stripe: card_declined (insufficient_funds)"),
                .init(
                    type: "*url.Error", message: "Post \"https://api.stripe.com/v1/charges\": context deadline exceeded"
                ),
            ]),
        .init(
            queue: "default", type: "order:confirm", request: "POST /orders",
            steps: [("UPDATE orders", 0.3), ("PUBLISH order.confirmed", 0.7)],
            share: 0.24, meanSeconds: 0.045, failureShare: 0.04, maxRetries: 2, retentionSeconds: 30,
            failures: [
                .init(type: "*pgconn.PgError", message: "ERROR: deadlock detected (SQLSTATE 40P01)"),
                .init(type: "*stock.Error", message: "stock: 503 Service Unavailable"),
            ]),
        .init(
            queue: "default", type: "cart:remind", request: "PUT /cart",
            steps: [("SELECT carts", 0.4), ("enqueue reminder", 0.6)],
            share: 0.1, meanSeconds: 0.02, failureShare: 0.02, maxRetries: 3, delaySeconds: 2...20,
            failures: [.init(type: "*errors.errorString", message: "cart is gone")]),
        .init(
            queue: "emails", type: "email:send", request: "POST /orders",
            steps: [("render template", 0.15), ("SMTP send", 0.85)],
            share: 0.26, meanSeconds: 0.32, failureShare: 0.04, maxRetries: 1,
            failures: DemoTaskKind.mailFailures),
        .init(
            queue: "thumbnails", type: "thumbnail:resize", request: "PUT /products/{id}/image",
            steps: [("GET s3://shop-images", 0.3), ("resize 3 sizes", 0.5), ("PUT s3://shop-thumbs", 0.2)],
            share: 0.15, meanSeconds: 0.4, failureShare: 0.02, maxRetries: 3,
            failures: [.init(type: "image.FormatError", message: "image: unknown format")]),
        .init(
            queue: "reports", type: "report:monthly", request: "POST /reports",
            steps: [("SELECT order_lines", 0.55), ("render pdf", 0.35), ("PUT s3://shop-reports", 0.1)],
            share: 0.05, meanSeconds: 1.4, failureShare: 0.03, maxRetries: 0,
            failures: [.init(type: "*pdf.Error", message: "pdf: font \"Inter\" not found")]),
        .init(
            queue: "imports", type: "import:products", request: "POST /imports",
            steps: [("GET sftp://supplier", 0.3), ("parse csv", 0.3), ("COPY products", 0.4)],
            share: 0.05, meanSeconds: 0.9, failureShare: 0.01, maxRetries: 3,
            failures: [
                .init(type: "*csv.ParseError", message: "record on line 1841: bare \" in non-quoted field")
            ]),
    ]

    /// The errors of the mail server while it fails.
    static let mailFailures: [Failure] = [
        .init(type: "*textproto.Error", message: "smtp: 451 4.7.1 greylisted, try again later"),
        .init(type: "*net.OpError", message: "dial tcp 10.0.4.17:25: i/o timeout"),
    ]

    /// The method and the route of the request.
    var requestParts: (method: String, route: String) {
        let parts = request.split(separator: " ")
        return (String(parts.first ?? ""), String(parts.last ?? ""))
    }

    static func ofType(_ type: String) -> DemoTaskKind? { all.first { $0.type == type } }
}

/// A worker process of the demo.
struct DemoServerPlan {
    let host: String
    let concurrency: Int
    let queues: [(name: String, priority: Int64)]
    /// The workers of the demo. They are busy for about two thirds of the time at the mean rate of arrivals.
    static let all: [DemoServerPlan] = [
        .init(host: "worker-1", concurrency: 3, queues: [("payments", 6), ("default", 3)]),
        .init(host: "worker-2", concurrency: 9, queues: [("emails", 3), ("thumbnails", 2), ("reports", 1)]),
        .init(host: "worker-3", concurrency: 2, queues: [("imports", 1)]),
    ]
}
