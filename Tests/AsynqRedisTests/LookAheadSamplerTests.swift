import Model
import Platform
import ProtobufWire
import Redis
import TestSupport
import Testing

@testable import AsynqRedis

/// As LookAheadTests, without a Redis: what it may answer, and when.
@Suite("Look-ahead samples")
struct LookAheadSamplerTests {
    private static let start: Int64 = 1_800_000_000

    private final class Stage {
        let store = TaskStore()
        let tasks = SeenTasks()
        let time = TestClock()
        var sampler: LookAheadSampler

        init(count: Int = 100) {
            sampler = LookAheadSampler(
                count: count, interval: .seconds(1), clock: time.clock, tasks: tasks)
        }

        func pass(milliseconds: Int64) { time.advance(milliseconds: milliseconds) }

        func push(_ id: String, queue: String = "q", age: Int64, message: [UInt8]? = nil) {
            let since = WallTime(nanoseconds: time.now.nanoseconds - age * 1_000_000_000)
            store.push(id, queue: queue, since: since, message: message)
        }

        func sample(_ queues: String..., servers: [String] = []) throws -> [Double] {
            try sampler.sampleQueues(
                store, names: queues.map { QueueName($0) }, servers: servers.map { Array($0.utf8) },
                deadline: MonotonicTime(nanoseconds: .max)
            ).map(\.seconds)
        }

        /// The HMGET of tasks in the last sample's second round trip.
        var askedTasks: [String] { store.asked.last?.filter { $0.hasPrefix("HMGET asynq:{") } ?? [] }
    }

    private static func worker(startedAt seconds: Int64, nanoseconds: Int64) -> [UInt8] {
        var writer = WireWriter()
        writer.string(WorkerInfoField.taskID.rawValue, "a")
        writer.message(WorkerInfoField.startTime.rawValue) {
            $0.int(TimestampField.seconds.rawValue, seconds)
            $0.int(TimestampField.nanoseconds.rawValue, nanoseconds)
        }
        return writer.bytes
    }

    @Test("A task that has gone waited until the middle between two samples")
    func middle() throws {
        let stage = Stage()
        stage.push("a", age: 7)
        #expect(try stage.sample("q").isEmpty)
        stage.pass(milliseconds: 1000)
        stage.store.finish("a")
        #expect(try stage.sample("q") == [7.5])
        stage.pass(milliseconds: 1000)
        #expect(try stage.sample("q").isEmpty)
    }

    @Test("A running task has its exact start from its worker's heartbeat, six seconds later")
    func heartbeat() throws {
        let stage = Stage()
        stage.push("a", age: 10)
        _ = try stage.sample("q")
        stage.pass(milliseconds: 1000)
        stage.store.start("a", leaseUntil: Self.start + 30)
        #expect(try stage.sample("q").isEmpty)
        let server = "asynq:servers:{h:1:s}"
        let workers = "asynq:workers:{h:1:s}"
        stage.store.hashes[workers] = ["a": Self.worker(startedAt: Self.start, nanoseconds: 250_000_000)]
        stage.pass(milliseconds: 5900)
        #expect(try stage.sample("q", servers: [server]).isEmpty)
        #expect(!stage.store.asked.joined().contains { $0.contains(workers) })
        stage.pass(milliseconds: 200)
        #expect(try stage.sample("q", servers: [server, "asynq:servers:{h:2:s}"]) == [10.25])
    }

    @Test(
        "A lease, which is whole seconds and thirty ahead, tells in which second of the window a task was started",
        arguments: [(31, 11.2), (30, 10.7), (nil, 10.9), (29, 10.9), (32, 10.9), (1, 10.9), (0, 10.9)]
            as [(Int64?, Double)])
    func lease(secondsAhead: Int64?, wait: Double) throws {
        let stage = Stage()
        stage.push("a", age: 10)
        stage.pass(milliseconds: 400)
        _ = try stage.sample("q")
        stage.pass(milliseconds: 1000)
        stage.store.start("a", leaseUntil: Self.start + (secondsAhead ?? 0))
        if secondsAhead == nil { stage.store.scores = [:] }
        // One that has a lease runs, and its worker's heartbeat is waited for.
        let atOnce = try stage.sample("q")
        #expect(atOnce.count == (secondsAhead == nil ? 1 : 0))
        stage.pass(milliseconds: 6000)
        #expect(try atOnce + stage.sample("q") == [wait])
    }

    private enum Heartbeat: CaseIterable {
        case ofLaterAttempt, broken, silent
    }

    @Test(
        "A heartbeat of another attempt, or one that can't be read, leaves the estimate", arguments: Heartbeat.allCases)
    private func otherHeartbeat(kind: Heartbeat) throws {
        let stage = Stage()
        stage.push("a", age: 10)
        _ = try stage.sample("q")
        stage.pass(milliseconds: 1000)
        stage.store.start("a", leaseUntil: Self.start + 30)
        _ = try stage.sample("q")
        let info: [UInt8] =
            switch kind {
            case .ofLaterAttempt: Self.worker(startedAt: Self.start + 60, nanoseconds: 0)
            case .broken: [0x42, 0x7F]
            case .silent: []
            }
        stage.store.hashes["asynq:workers:{h:1:s}"] = ["a": info]
        stage.pass(milliseconds: 6000)
        #expect(try stage.sample("q", servers: ["asynq:servers:{h:1:s}"]) == [10.5])
        #expect(stage.sampler.errors.map(\.reason) == (kind == .broken ? [.malformed] : []))
    }

    @Test("A list that can't be read costs its own queue, and is named")
    func wrongList() throws {
        let stage = Stage()
        stage.push("a", age: 1)
        stage.store.instead["LRANGE asynq:{bad}:pending"] = .error("WRONGTYPE no list")
        _ = try stage.sample("bad", "q")
        #expect(stage.sampler.errors.map(\.reason) == [.wrongType])
        #expect(stage.sampler.errors.first?.message.hasPrefix("queue bad: ") == true)
        #expect(stage.tasks.count == 1)
        stage.pass(milliseconds: 1000)
        stage.store.finish("a")
        #expect(try stage.sample("bad", "q") == [1.5])
    }

    @Test("What a node did not answer is no error and is asked again; a key of the wrong type is not")
    func unanswered() throws {
        let stage = Stage()
        for id in ["a", "b"] { stage.push(id, age: 1) }
        stage.store.instead = [
            "HMGET asynq:{q}:t:a": .unanswered, "HMGET asynq:{q}:t:b": .error("WRONGTYPE no hash"),
        ]
        _ = try stage.sample("q")
        #expect(stage.sampler.errors.map(\.reason) == [.wrongType])
        stage.store.instead = [:]
        stage.pass(milliseconds: 1000)
        _ = try stage.sample("q")
        #expect(stage.askedTasks == ["HMGET asynq:{q}:t:a pending_since msg"])
        stage.store.instead = ["LRANGE asynq:{q}:pending": .unanswered, "LRANGE asynq:{q}:active": .unanswered]
        stage.pass(milliseconds: 1000)
        #expect(try stage.sample("q").isEmpty)
        #expect(stage.sampler.errors.isEmpty && stage.sampler.lost.isEmpty)
    }

    @Test(
        "A task that went while its node did not answer is lost to a gap; a forbidden ZMSCORE costs the precision only")
    func unansweredGone() throws {
        let stage = Stage()
        for id in ["a", "b"] { stage.push(id, age: 1) }
        _ = try stage.sample("q")
        for id in ["a", "b"] { stage.store.start(id, leaseUntil: Self.start + 30) }
        stage.store.instead = ["HMGET asynq:{q}:t:a": .unanswered, "ZMSCORE asynq:{q}:lease": .error("NOPERM zmscore")]
        stage.pass(milliseconds: 1000)
        #expect(try stage.sample("q") == [1.5])
        #expect(stage.sampler.lost == [.gap: 1])
        #expect(stage.sampler.errors.map(\.reason) == [.permission])
    }

    @Test(
        "A wait that clocks can't tell is lost with its reason: up to a second below 0 is 0, and ten years are a wait",
        arguments: [
            (-3_000, nil, LostTaskReason.clockSkew), (-2_600, nil, .clockSkew), (-2_400, 0, nil), (-1_500, 0, nil),
            (0, 1.5, nil), (315_359_998_000, 315_359_999.5, nil), (315_360_000_000, nil, .badStamp),
        ] as [(Int64, Double?, LostTaskReason?)])
    func implausible(ageMilliseconds: Int64, wait: Double?, reason: LostTaskReason?) throws {
        let stage = Stage()
        let since = WallTime(nanoseconds: stage.time.now.nanoseconds - ageMilliseconds * 1_000_000)
        stage.store.push("a", since: since)
        _ = try stage.sample("q")
        // It is gone within the window from 1 s to 2 s.
        stage.pass(milliseconds: 1000)
        _ = try stage.sample("q")
        stage.pass(milliseconds: 1000)
        stage.store.finish("a")
        #expect(try stage.sample("q") == [wait].compactMap(\.self))
        #expect(stage.sampler.lost == (reason.map { [$0: 1] } ?? [:]))
    }

    @Test("A loss is counted once, also where the sample that saw it failed")
    func countedOnce() throws {
        let stage = Stage()
        for id in ["a", "b"] { stage.push(id, age: 1) }
        _ = try stage.sample("q")
        stage.store.finish("a")
        stage.push("c", age: 1)
        stage.pass(milliseconds: 9000)
        stage.store.failsAfter = 1
        #expect(throws: RedisError.self) { _ = try stage.sample("q") }
        #expect(stage.sampler.lost == [.gap: 1])
        stage.store.finish("b")
        stage.pass(milliseconds: 9000)
        _ = try stage.sample("q")
        #expect(stage.sampler.lost == [.gap: 2])
        stage.store.finish("c")
        for _ in 0..<30 {
            stage.pass(milliseconds: 1000)
            _ = try stage.sample("q")
        }
        #expect(stage.sampler.lost == [.gap: 2])
    }

    @Test("Messages are measured and read at once; one after a sample that failed, then as many as fit")
    func messages() throws {
        let stage = Stage()
        for number in 0..<25 { stage.push("t\(number)", age: 1, message: [0x0A, 1, 0x78]) }
        func asked() throws -> Int {
            stage.pass(milliseconds: 1000)
            _ = try stage.sample("q")
            return stage.askedTasks.count { $0.hasSuffix(" msg") }
        }
        #expect(try asked() == 25)
        #expect(stage.store.asked.suffix(2).first?.allSatisfy { $0.hasPrefix("HSTRLEN asynq:{q}:t:") } == true)
        #expect(try asked() == 0)
        for number in 25..<30 { stage.push("t\(number)", age: 1, message: [0x0A, 1, 0x78]) }
        stage.store.failsAfter = 2
        #expect(throws: RedisError.self) { try asked() }
        #expect(try asked() == 1)
        #expect(stage.askedTasks.count == 5, "the others are asked for their time")
        #expect(try asked() == 4)
    }

    @Test(
        "A message beyond the limit is told once and never asked for, wherever its task is, nor is its worker; its time is known"
    )
    func tooLarge() throws {
        let stage = Stage()
        let large = [UInt8](repeating: 0x78, count: MessageLimit.bytes + 1)
        for id in ["pending", "active"] { stage.push(id, age: 1, message: large) }
        stage.store.start("active", leaseUntil: Self.start + 30)
        _ = try stage.sample("q")
        #expect(stage.askedTasks == ["HMGET asynq:{q}:t:pending pending_since"])
        #expect(stage.sampler.errors.map(\.reason) == [.limit, .limit])
        #expect(stage.sampler.errors.allSatisfy { $0.message.contains("4194305 bytes") })
        #expect(stage.tasks.count == 2)
        for _ in 0..<3 {
            stage.pass(milliseconds: 1000)
            _ = try stage.sample("q")
            #expect(stage.sampler.errors.isEmpty && stage.store.asked.last?.count == 2, "nothing is left to ask")
        }
        stage.store.start("pending", leaseUntil: Self.start + 30)
        stage.pass(milliseconds: 1000)
        #expect(try stage.sample("q").count == 1, "the estimate, at once")
        #expect(
            !stage.store.asked.joined().contains {
                $0.contains("workers") || $0.hasSuffix(" msg") && $0.hasPrefix("HMGET")
            })
    }

    @Test("Where HSTRLEN is refused no message is read, and each time is")
    func forbidden() throws {
        let stage = Stage()
        stage.push("a", age: 7, message: [0x0A, 1, 0x78])
        stage.store.instead["HSTRLEN asynq:{q}:t:a"] = .error("NOPERM no hstrlen")
        _ = try stage.sample("q")
        #expect(stage.sampler.errors.map(\.reason) == [.permission])
        #expect(stage.askedTasks == ["HMGET asynq:{q}:t:a pending_since"])
        stage.pass(milliseconds: 1000)
        stage.store.finish("a")
        #expect(try stage.sample("q") == [7.5])
    }

    @Test("Messages that are large count against four megabytes")
    func largeMessages() throws {
        let stage = Stage()
        let large = [0x12] + [0x80, 0x80, 0x40] + [UInt8](repeating: 0x78, count: 1 << 20)
        for number in 0..<14 { stage.push("t\(number)", age: 1, message: large) }
        for _ in 0..<4 {
            _ = try stage.sample("q")
            #expect(stage.askedTasks.count { $0.hasSuffix(" msg") } == 3, "a little more than a megabyte each")
            stage.pass(milliseconds: 1000)
        }
        _ = try stage.sample("q")
        #expect(stage.askedTasks.count { $0.hasSuffix(" msg") } == 2)
    }

    @Test("A sample that fails is made up for by the next one", arguments: [0, 1])
    func failed(roundTrips: Int) throws {
        let stage = Stage()
        stage.push("a", age: 5)
        for _ in 0..<2 {
            _ = try stage.sample("q")
            stage.pass(milliseconds: 500)
        }
        stage.store.finish("a")
        stage.pass(milliseconds: 300)
        stage.store.failsAfter = roundTrips
        #expect(throws: RedisError.self) { try stage.sample("q") }
        stage.pass(milliseconds: 200)
        // Between 0.5 and 1.5 s.
        #expect(try stage.sample("q") == [6])
    }

    @Test("Active tasks that no sample saw pending are read once, an unreadable one as well")
    func active() throws {
        let stage = Stage(count: 3)
        for (id, message) in [("a", [0x0A, 1, 0x78]), ("b", [0x7A, 5])] as [(String, [UInt8])] {
            stage.push(id, age: 1, message: message)
            stage.store.start(id, leaseUntil: Self.start + 30)
        }
        _ = try stage.sample("q")
        #expect(stage.askedTasks == ["HMGET asynq:{q}:t:b msg", "HMGET asynq:{q}:t:a msg"])
        #expect(stage.sampler.errors.map(\.reason) == [.malformed])
        let before = stage.store.asked.count
        stage.pass(milliseconds: 1000)
        _ = try stage.sample("q")
        #expect(stage.store.asked.count == before + 1, "nothing is left to ask")
        #expect(stage.sampler.errors.isEmpty)
    }

    @Test("A task that runs under an id that ran before has its message read anew")
    func activeAgain() throws {
        let stage = Stage()
        for _ in 0..<2 {
            stage.push("a", age: 1, message: [0x0A, 1, 0x78])
            stage.store.start("a", leaseUntil: Self.start + 30)
            _ = try stage.sample("q")
            #expect(stage.askedTasks == ["HMGET asynq:{q}:t:a msg"])
            stage.pass(milliseconds: 1000)
            stage.store.finish("a")
            _ = try stage.sample("q")
            #expect(stage.askedTasks.isEmpty)
            stage.pass(milliseconds: 1000)
        }
    }

    @Test("A message that was not read while its task was pending is read while it runs")
    func readWhileActive() throws {
        let stage = Stage()
        // Two of them are too much for one sample.
        let large = [0x12, 0x80, 0x80, 0x80, 0x01] + [UInt8](repeating: 0x78, count: MessageLimit.bytes / 2)
        for number in 0..<11 {
            stage.push("t\(number)", age: 1, message: number % 10 == 0 ? large : [0x0A, 1, 0x78])
        }
        _ = try stage.sample("q")
        #expect(stage.askedTasks.last == "HMGET asynq:{q}:t:t10 pending_since")
        stage.pass(milliseconds: 1000)
        for id in ["t10", "t0"] { stage.store.start(id, leaseUntil: Self.start + 30) }
        _ = try stage.sample("q")
        #expect(stage.askedTasks.filter { $0.hasSuffix(" msg") } == ["HMGET asynq:{q}:t:t10 msg"])
    }

    @Test("Nothing is asked about a list that its node did not answer, nor about what has gone within a gap")
    func unansweredList() throws {
        let stage = Stage()
        stage.push("a", age: 1)
        _ = try stage.sample("q")
        stage.store.instead["LRANGE asynq:{q}:pending"] = .unanswered
        stage.pass(milliseconds: 1000)
        _ = try stage.sample("q")
        #expect(stage.askedTasks.isEmpty && stage.sampler.errors.isEmpty)
        stage.store.instead = [:]
        stage.pass(milliseconds: 3000)
        stage.store.finish("a")
        _ = try stage.sample("q")
        #expect(stage.askedTasks.isEmpty && stage.sampler.lost == [.gap: 1])
    }

    private enum Departure: CaseIterable {
        case started, startedInGap, movedByHand
    }

    @Test(
        "A task that a worker took is known to have been begun, also where no sample saw when; one moved by hand is not",
        arguments: Departure.allCases)
    private func begun(departure: Departure) throws {
        let stage = Stage()
        var message = WireWriter()
        message.string(TaskMessageField.type.rawValue, "x")
        message.message(TaskMessageField.headers.rawValue) {
            $0.string(MapEntryField.key.rawValue, "enqueued_at")
            $0.string(MapEntryField.value.rawValue, "\(Self.start - 1)000000000")
        }
        stage.push("a", age: 1, message: message.bytes)
        _ = try stage.sample("q")
        stage.pass(milliseconds: departure == .startedInGap ? 3000 : 1000)
        if departure == .movedByHand {
            stage.store.lists["asynq:{q}:pending"] = []
            stage.store.hashes["asynq:{q}:t:a"]?["state"] = Array("archived".utf8)
        } else {
            stage.store.start("a", leaseUntil: Self.start + 30)
        }
        #expect(try stage.sample("q").isEmpty)
        let knowledge = stage.tasks.look("a") { $0.startNanoseconds = UInt64(Self.start + 60) * 1_000_000_000 }
        #expect(knowledge.wasStarted == (departure != .movedByHand))
        stage.pass(milliseconds: 6000)
        #expect(try stage.sample("q").count == (departure == .started ? 1 : 0))
    }

    @Test("A queue without tasks sleeps after ten samples, and wakes in the sample that sees one, without loss")
    func sleep() throws {
        let stage = Stage()
        for _ in 0..<LookAheadSampler.samplesBeforeSleep {
            _ = try stage.sample("q", "r")
            #expect(stage.store.asked.last?.count == 4)
            stage.pass(milliseconds: 1000)
        }
        let probe = ["EXISTS asynq:{q}:pending asynq:{q}:active asynq:{r}:pending asynq:{r}:active"]
        for _ in 0..<3 {
            _ = try stage.sample("q", "r")
            #expect(stage.store.asked.last == probe)
            stage.pass(milliseconds: 1000)
        }
        stage.push("a", queue: "r", age: 7)
        _ = try stage.sample("q", "r")
        #expect(stage.store.asked.suffix(4).map(\.count) == [1, 4, 1, 1] && stage.tasks.count == 1)
        stage.pass(milliseconds: 1000)
        stage.store.finish("a", queue: "r")
        #expect(try stage.sample("q", "r") == [7.5])
        // The other one sleeps on, and this one looks out for a while.
        #expect(stage.store.asked.suffix(2).first?.count == 3)
    }

    @Test("A probe of sleeping queues that fails costs nothing but the lists")
    func failedProbe() throws {
        let stage = Stage()
        for _ in 0..<LookAheadSampler.samplesBeforeSleep {
            _ = try stage.sample("q")
            stage.pass(milliseconds: 1000)
        }
        stage.store.instead["EXISTS asynq:{q}:pending"] = .error("NOPERM no")
        stage.push("a", age: 1)
        _ = try stage.sample("q")
        #expect(stage.tasks.count == 1 && stage.sampler.errors.isEmpty)
    }

    @Test("Times are those of Redis' clock: by how much ours is off changes no wait", arguments: [0, 15, -15])
    func clock(seconds: Int64) throws {
        let stage = Stage()
        stage.sampler.clockCorrection = .seconds(seconds)
        stage.push("a", age: 7 - seconds)
        _ = try stage.sample("q")
        stage.pass(milliseconds: 1000)
        stage.store.finish("a")
        #expect(try stage.sample("q") == [7.5])
    }

    @Test("Two intervals between two samples are no gap, a millisecond more is one", arguments: [2000, 2001])
    func gap(milliseconds: Int64) throws {
        let stage = Stage()
        stage.push("a", age: 7)
        _ = try stage.sample("q")
        stage.pass(milliseconds: milliseconds)
        stage.store.finish("a")
        #expect(try stage.sample("q") == (milliseconds == 2000 ? [8] : []))
        #expect(stage.sampler.lost == (milliseconds == 2000 ? [:] : [.gap: 1]))
    }

    @Test("Of more running tasks than are waited for, the others have their estimate at once")
    func manyRunning() throws {
        let stage = Stage(count: 2000)
        for number in 0..<LookAheadSampler.maxRunning + 2 { stage.push("t\(number)", age: 10) }
        _ = try stage.sample("q")
        stage.pass(milliseconds: 1000)
        for number in 0..<LookAheadSampler.maxRunning + 2 {
            stage.store.start("t\(number)", leaseUntil: Self.start + 30)
        }
        #expect(try stage.sample("q") == [10.5, 10.5])
    }

    @Test("A lease narrows the start to the second in which it was taken, and to what is left of it in the window")
    func lease() {
        func time(_ milliseconds: Int64) -> WallTime { WallTime(nanoseconds: milliseconds * 1_000_000) }
        let window = LookWindow(from: time(10_200), to: time(13_400))
        #expect(window.middle == time(11_800))
        #expect(window.middle(inSecond: 11) == time(11_500))
        #expect(window.middle(inSecond: 10) == time(10_600))
        #expect(window.middle(inSecond: 13) == time(13_200))
        #expect(window.middle(inSecond: 9) == window.middle && window.middle(inSecond: 14) == window.middle)
    }

    @Test("A time of a whole second of nanoseconds is none")
    func nanoseconds() throws {
        func start(_ nanoseconds: Int64) throws -> WallTime? {
            try WorkerSnapshot(workerInfo: Self.worker(startedAt: 5, nanoseconds: nanoseconds)).start
        }
        #expect(try start(999_999_999) == WallTime(nanoseconds: 5_999_999_999))
        #expect(try start(1_000_000_000) == nil)
        #expect(try start(-1) == nil)
    }
}
