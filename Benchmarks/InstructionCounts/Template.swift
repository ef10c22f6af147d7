import Model
import ProtobufWire

/// A request whose spans get other ids each time: every second one is a producer, and the next one its consumer.
struct Template {
    private static let traceMark: [UInt8] = [0xFE, 0xED, 0xFA, 0xCE, 1, 0xFE, 0xED, 0xFA]
    private static let spanMark: [UInt8] = [0xFE, 0xED, 0xFA, 0xCE, 2, 0xFE, 0xED, 0xFA]
    private static let parentMark: [UInt8] = [0xFE, 0xED, 0xFA, 0xCE, 3, 0xFE, 0xED, 0xFA]

    private(set) var bytes: [UInt8]
    let spanCount: Int
    /// Where the ids of each span lie.
    private let places: [(trace: Int, span: Int, parent: Int)]
    private var chance: UInt64 = 0x9E37_79B9_7F4A_7C15

    init(spans: Int) {
        var request = WireWriter()
        request.message(1) { resource in
            resource.message(1) { message in
                for (key, value) in [
                    ("service.name", "orders-worker"), ("service.version", "1.42.0"), ("host.name", "a-07"),
                ] {
                    message.message(1) { Self.write(key, value, &$0) }
                }
            }
            resource.message(2) { scope in
                scope.message(1) { $0.string(1, "github.com/hibiken/asynq/otel") }
                for index in 0..<spans { scope.message(2) { Self.write(span: spans == 1 ? 1 : index, &$0) } }
            }
        }
        bytes = request.bytes
        spanCount = spans
        let body = bytes
        func all(_ mark: [UInt8]) -> [Int] {
            body.indices.filter { body.count - $0 >= mark.count && body[$0..<$0 + mark.count].elementsEqual(mark) }
        }
        let (traces, ids, parents) = (all(Self.traceMark), all(Self.spanMark), all(Self.parentMark))
        precondition(traces.count == spans && ids.count == spans && parents.count == spans)
        places = (0..<spans).map { (traces[$0], ids[$0], parents[$0]) }
    }

    private static func write(span index: Int, _ span: inout WireWriter) {
        let isProducer = index % 2 == 0
        span.data(1, traceMark + traceMark.reversed())
        span.data(2, spanMark)
        span.data(4, parentMark)
        span.string(5, isProducer ? "publish order" : "process order")
        span.varint(6, isProducer ? 4 : 5)
        span.fixed64(7, 1_795_197_881_000_000_000 + UInt64(index))
        span.fixed64(8, 1_795_197_881_004_000_000 + UInt64(index))
        let texts = [
            ("messaging.system", "asynq"),
            ("messaging.destination.name", ["default", "critical", "low"][index / 2 % 3]),
            ("messaging.operation.type", isProducer ? "publish" : "process"),
            ("messaging.message.id", "9f3c4e1b8a2d77aa-9f3c-4e1b-8a2d-77aa"),
            ("asynq.task.type", ["email:deliver", "image:resize", "report:build", "billing:invoice"][index / 2 % 4]),
            ("bench.seq", "0123456789abcdef"),
        ]
        for (key, value) in texts { span.message(9) { write(key, value, &$0) } }
        for (key, value) in [("asynq.task.retry_count", 0), ("asynq.max_retry", 25), ("process.pid", 4242)] {
            span.message(9) { attribute in
                attribute.string(1, key)
                attribute.message(2) { $0.varint(3, UInt64(value)) }
            }
        }
        span.message(15) { $0.varint(3, 1) }
    }

    private static func write(_ key: String, _ value: String, _ attribute: inout WireWriter) {
        attribute.string(1, key)
        attribute.message(2) { $0.string(1, value) }
    }

    /// Gives all spans other ids; a consumer has its producer for a parent.
    mutating func renew() {
        var (trace, producer): (UInt64, UInt64) = (0, 0)
        for index in 0..<spanCount {
            let id = random()
            if index % 2 == 0 || spanCount == 1 { (trace, producer) = (random(), random()) }
            set(trace, at: places[index].trace)
            set(trace ^ id | 1, at: places[index].trace + 8)
            if index % 2 == 1 { set(secondHalf, at: places[index].trace + 8) } else { secondHalf = trace ^ id | 1 }
            set(index % 2 == 0 ? producer : id, at: places[index].span)
            set(index % 2 == 0 ? id : producer, at: places[index].parent)
        }
    }

    private var secondHalf: UInt64 = 1

    private mutating func set(_ value: UInt64, at place: Int) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: place, as: UInt64.self) }
    }

    /// By xorshift: the system's generator costs more than what is counted.
    private mutating func random() -> UInt64 {
        chance ^= chance << 13
        chance ^= chance >> 7
        chance ^= chance << 17
        return chance | 1
    }
}
