import AsynqRedis
package import Model
package import Platform
import Redis
import Synchronization

/// The tasks that are alive, by id.
struct DemoTasks {
    struct Entry {
        var message: TaskMessage
        let kind: DemoTaskKind
        let origin: TaskOrigin
        /// The error of every attempt; nil where chance decides.
        var fate: DemoTaskKind.Failure?
    }

    private var entries: [String: Entry] = [:]

    subscript(_ id: String) -> Entry? { entries[id] }

    mutating func add(_ entry: Entry) { entries[entry.message.id] = entry }
    mutating func update(_ message: TaskMessage) { entries[message.id]?.message = message }
    mutating func remove(_ id: String) { entries[id] = nil }
}

/// A producer and three worker processes on one thread: they write what Asynq 0.26 writes to Redis, and send OTLP spans
/// to the collector's unix socket. The rate of arrivals swings, and things go wrong as `DemoStory` has it.
package final class DemoWorkload: Sendable {
    static let tickInterval = Duration.milliseconds(5)
    /// The number of lines that wait to be taken; older ones are dropped.
    private static let maxLines = 100

    /// A line of the story.
    package struct StoryLine: Sendable, Equatable {
        package let time: WallTime
        package let text: String
    }

    private let redisSocket: String
    private let spanSocket: String
    private let bearerToken: String?
    private let tasksPerSecond: Double
    private let setBackend: (@Sendable (_ isUp: Bool) -> Void)?
    private let clock: Clock
    private let waker: Waker
    private let lines = Mutex<[StoryLine]>([])
    private let isStopping = Atomic<Bool>(false)
    private let failure = Mutex<String?>(nil)
    private let lost = Atomic<Int>(0)
    private let thread: Mutex<OSThread?> = Mutex(nil)

    /// - Parameter setBackend: Stops and starts the trace backend; nil where it is not the demo's own.
    /// - Throws: `SystemError` where the system can't make another waker.
    package init(
        redisSocket: String, spanSocket: String, bearerToken: String?, tasksPerSecond: Double,
        setBackend: (@Sendable (_ isUp: Bool) -> Void)?, clock: Clock
    ) throws(SystemError) {
        self.redisSocket = redisSocket
        self.spanSocket = spanSocket
        self.bearerToken = bearerToken
        self.tasksPerSecond = tasksPerSecond
        self.setBackend = setBackend
        self.clock = clock
        waker = try Waker()
    }

    /// Starts the thread.
    /// - Throws: `SystemError` where the system can't start another thread.
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

    /// The reason why the workload ended by itself, if it did.
    package var failureReason: String? { failure.withLock { $0 } }

    /// The number of spans that the producer and the workers had to drop.
    package var lostSpans: Int { lost.load(ordering: .relaxed) }

    /// Returns the lines of the story that were not taken yet.
    package func takeLines() -> [StoryLine] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }

    private func tell(_ text: String) {
        let line = StoryLine(time: clock.wall(), text: text)
        lines.withLock { $0 = ($0 + [line]).suffix(Self.maxLines) }
    }

    private func run() throws(RedisError) {
        let endpoint = RedisEndpoint(address: .unix(path: redisSocket))
        let deadline = clock.monotonic().advanced(by: .seconds(5))
        let store = AsynqStore(try RedisConnection(endpoint, clock: clock, deadline: deadline), clock: clock)
        guard let producer = SpanExporter(socket: spanSocket, bearerToken: bearerToken, service: "shop-api"),
            let worker = SpanExporter(socket: spanSocket, bearerToken: bearerToken, service: "shop-worker")
        else { throw RedisError(.connection, "libcurl has no memory for a handle") }
        var shop = DemoShop(
            store: store, producer: producer, worker: worker, tasksPerSecond: tasksPerSecond,
            story: DemoStory(hasBackend: setBackend != nil), clock: clock)
        while !isStopping.load(ordering: .acquiring) {
            try shop.tick()
            for event in shop.takeEvents() {
                if event.event == .backendDown { setBackend?(false) }
                if event.event == .backendUp { setBackend?(true) }
                tell(event.text)
            }
            lost.store(producer.lostSpans + worker.lostSpans, ordering: .relaxed)
            waker.sleep(until: clock.monotonic().advanced(by: Self.tickInterval), clock: clock)
        }
        producer.flush()
        worker.flush()
    }
}
