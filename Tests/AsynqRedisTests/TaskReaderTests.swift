import Model
import ProtobufWire
import Redis
import Testing

@testable import AsynqRedis

@Suite("Where a task is")
struct TaskReaderTests {
    private static let start: Int64 = 1_800_000_000
    private static let trace = "0af7651916cd43dd8448eb211c80319c"

    private static func message(payload: Int = 0, retried: Int64 = 2) -> [UInt8] {
        var writer = WireWriter()
        writer.string(TaskMessageField.type.rawValue, "mail")
        writer.data(TaskMessageField.payload.rawValue, [UInt8](repeating: 7, count: payload))
        writer.int(TaskMessageField.retry.rawValue, 5)
        writer.int(TaskMessageField.retried.rawValue, retried)
        writer.string(TaskMessageField.errorMessage.rawValue, "no route")
        writer.int(TaskMessageField.deadlineSeconds.rawValue, start + 600)
        writer.int(TaskMessageField.lastFailedAt.rawValue, start - 60)
        writer.int(TaskMessageField.completedAt.rawValue, start - 5)
        writer.message(TaskMessageField.headers.rawValue) {
            $0.string(MapEntryField.key.rawValue, "traceparent")
            $0.string(MapEntryField.value.rawValue, "00-\(trace)-b7ad6b7169203331-01")
        }
        return writer.bytes
    }

    private static func time(_ seconds: Int64) -> WallTime { WallTime(seconds: start + seconds) }

    /// A store with one task; of every set it has another score.
    private static func store(_ state: String, _ message: [UInt8]?, since: String? = nil) -> TaskStore {
        let store = TaskStore()
        store.hashes["asynq:{q}:t:i"] = ["state": Array(state.utf8)]
        store.hashes["asynq:{q}:t:i"]?["msg"] = message
        store.hashes["asynq:{q}:t:i"]?["pending_since"] = since.map { Array($0.utf8) }
        for (index, set) in ["scheduled", "retry", "lease", "archived"].enumerated() {
            store.scores["asynq:{q}:\(set)"] = ["i": start + Int64(index + 1)]
        }
        return store
    }

    private static func read(_ store: TaskStore, id: String = "i") throws -> TaskDetails? {
        try TaskReader.read(
            TaskName(queue: QueueName("q"), id: Array(id.utf8)), store, names: CarriedNames(),
            deadline: .init(nanoseconds: 1))
    }

    @Test("Everything but the payload is told, in two round trips")
    func everything() throws {
        let store = Self.store("pending", Self.message(payload: 1000), since: "1800000000000000005")
        let task = try #require(try Self.read(store))
        #expect(
            task.state == ForeignText("pending")
                && task.pendingSince == WallTime(nanoseconds: 1_800_000_000_000_000_005))
        #expect(task.nextRunAt == nil && task.leaseExpiresAt == nil && task.archivedAt == nil && task.worker == nil)
        let message = try #require(task.message)
        #expect(message.type == TaskType("mail") && message.retried == 2 && message.maxRetry == 5)
        #expect(message.lastError == ForeignText("no route") && message.lastFailedAt == Self.time(-60))
        #expect(message.payloadBytes == 1000 && message.trace?.hex == Self.trace)
        #expect(message.completedAt == Self.time(-5) && task.deadlineAt == Self.time(600))
        #expect(
            store.asked == [
                ["HSTRLEN asynq:{q}:t:i msg"],
                [
                    "HMGET asynq:{q}:t:i state pending_since msg", "ZMSCORE asynq:{q}:scheduled i",
                    "ZMSCORE asynq:{q}:retry i", "ZMSCORE asynq:{q}:lease i", "ZMSCORE asynq:{q}:archived i",
                ],
            ])
    }

    @Test("The time of its state is told, and of no other one")
    func times() throws {
        func task(_ state: String) throws -> TaskDetails? { try Self.read(Self.store(state, Self.message())) }
        #expect(try task("scheduled")?.nextRunAt == Self.time(1))
        #expect(try task("retry")?.nextRunAt == Self.time(2))
        #expect(try task("active")?.leaseExpiresAt == Self.time(3))
        #expect(try task("archived")?.archivedAt == Self.time(4))
        for state in ["pending", "completed", "aggregating", "new state"] {
            let found = try task(state)
            #expect(found?.state == ForeignText(state) && found?.nextRunAt == nil && found?.archivedAt == nil)
        }
    }

    @Test("A task that is not there is none, also where it goes between the two round trips")
    func absent() throws {
        #expect(try Self.read(TaskStore()) == nil)
        #expect(try Self.read(Self.store("pending", Self.message()), id: "other") == nil)
        let store = Self.store("pending", Self.message())
        store.instead["HMGET asynq:{q}:t:i"] = .array([.null, .null, .null])
        #expect(try Self.read(store) == nil)
    }

    @Test("A message that is too large is not read; one that is none says nothing")
    func unread() throws {
        let large = Self.store("retry", Self.message())
        large.instead["HSTRLEN asynq:{q}:t:i"] = .integer(Int64(TaskReader.maxMessageBytes) + 1)
        let task = try #require(try Self.read(large))
        #expect(task.message == nil && task.nextRunAt == Self.time(2))
        #expect(large.asked[1][0] == "HMGET asynq:{q}:t:i state pending_since")
        #expect(try Self.read(Self.store("retry", [0x0A, 0x7F]))?.message == nil)
    }

    @Test("A message of exactly the most bytes that are read is read")
    func largestMessage() throws {
        let store = Self.store("retry", Self.message())
        store.instead["HSTRLEN asynq:{q}:t:i"] = .integer(Int64(TaskReader.maxMessageBytes))
        #expect(try Self.read(store)?.message?.maxRetry == 5)
    }

    @Test(
        "A score from the first second after the epoch to the year 2255 is a time, no other one is",
        arguments: [(0, false), (1, true), (8_999_999_999, true), (9_000_000_000, false), (-1, false)]
            as [(Int64, Bool)])
    func scores(score: Int64, isTime: Bool) throws {
        let time = isTime ? WallTime(seconds: score) : nil
        let store = Self.store("retry", Self.message())
        store.scores["asynq:{q}:retry"] = ["i": score]
        #expect(try Self.read(store)?.nextRunAt == time)
        #expect(try Self.retries(store).map(\.at) == [time].compactMap(\.self))
    }

    @Test(
        "A task has been pending since a moment after the epoch, or its field says nothing",
        arguments: [("0", nil), ("1", 1), ("-1", nil), ("x", nil), ("", nil)] as [(String, Int64?)])
    func pendingSince(field: String, nanoseconds: Int64?) throws {
        let store = Self.store("pending", Self.message(), since: field)
        #expect(try Self.read(store)?.pendingSince == nanoseconds.map { WallTime(nanoseconds: $0) })
    }

    @Test("What Redis refuses is why there is no answer; a set that can't be read costs its time only")
    func errors() throws {
        let store = Self.store("retry", Self.message())
        store.instead["ZMSCORE asynq:{q}:retry"] = .error("WRONGTYPE no set")
        let task = try #require(try Self.read(store))
        #expect(task.nextRunAt == nil && task.message?.maxRetry == 5)
        for (command, reply) in [("HSTRLEN", RedisReply.error("NOPERM no")), ("HMGET", .unanswered)] {
            let store = Self.store("retry", Self.message())
            store.instead["\(command) asynq:{q}:t:i"] = reply
            #expect(throws: RedisError.self) { try Self.read(store) }
        }
    }

    // MARK: Retries

    private static func retries(_ store: TaskStore) throws -> [DueRetry] {
        try RetryReader.read(QueueName("q"), store, names: CarriedNames(), deadline: .init(nanoseconds: 1))
    }

    private static func store(retries count: Int) -> TaskStore {
        let store = TaskStore()
        for number in 0..<count {
            store.hashes["asynq:{q}:t:\(number)"] = [
                "state": Array("retry".utf8), "msg": message(retried: Int64(number)),
            ]
            store.scores["asynq:{q}:retry", default: [:]]["\(number)"] = start + Int64(number)
        }
        return store
    }

    @Test("The twenty retries that are due next, the soonest first, in three round trips")
    func dueRetries() throws {
        let store = Self.store(retries: 30)
        let found = try Self.retries(store)
        #expect(found.map(\.id.text) == (0..<20).map(String.init) && found.map(\.at) == (0..<20).map { Self.time($0) })
        #expect(found.map { $0.message?.retried } == (0..<20).map { Int64($0) })
        #expect(store.asked.map(\.count) == [1, 20, 20])
        let none = TaskStore()
        #expect(try Self.retries(none).isEmpty && none.asked.count == 1)
    }

    @Test("A retry whose message is too large is told without it; one that has left meanwhile is not told")
    func unreadRetries() throws {
        let store = Self.store(retries: 4)
        store.instead["HSTRLEN asynq:{q}:t:1"] = .integer(Int64(TaskReader.maxMessageBytes))
        store.hashes["asynq:{q}:t:2"]?["state"] = Array("pending".utf8)
        let found = try Self.retries(store)
        #expect(found.map(\.id.text) == ["0", "1", "3"] && found.map { $0.message == nil } == [false, true, false])
        for length in [Int64.max, .min] {
            store.instead["HSTRLEN asynq:{q}:t:1"] = .integer(length)
            store.instead["HSTRLEN asynq:{q}:t:3"] = .integer(length)
            #expect(try Self.retries(store).map(\.id.text) == ["0", "1", "3"])
        }
    }

    @Test("Messages of exactly the most bytes that are read are read; the one that fits no more is told without it")
    func allBytes() throws {
        let store = Self.store(retries: 3)
        let half = TaskReader.maxMessageBytes / 2
        for (id, length) in [("0", half), ("1", half), ("2", 1)] {
            store.instead["HSTRLEN asynq:{q}:t:\(id)"] = .integer(Int64(length))
        }
        #expect(try Self.retries(store).map { $0.message == nil } == [false, false, true])
        store.instead["HSTRLEN asynq:{q}:t:1"] = .integer(Int64(half) - 1)
        #expect(try Self.retries(store).map { $0.message == nil } == [false, false, false])
    }
}

@Suite("Inquiries within limits")
struct RedisInquiriesTests {
    private static func second(_ seconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: seconds * 1_000_000_000)
    }
    private static let inquiry = RedisInquiry.dueRetries(QueueName("q")) { _ in }

    @Test("Sixteen wait at a time, and twenty are taken in a second")
    func limits() {
        var inquiries = RedisInquiries()
        func add(at second: UInt64) -> InquiryRefusal? { inquiries.add(Self.inquiry, at: Self.second(second)) }
        for _ in 0..<16 { #expect(add(at: 1) == nil) }
        #expect(add(at: 1) == .busy && !inquiries.isEmpty)
        #expect(inquiries.takeAll().count == 16 && inquiries.isEmpty)
        for _ in 0..<4 { #expect(add(at: 1) == nil) }
        #expect(add(at: 1) == .busy)
        #expect(add(at: 2) == nil)
        #expect(inquiries.close().count == 5)
        #expect(add(at: 9) == .unavailable("the collector is stopping"))
    }

    @Test("Retries are told again for three seconds, of thirty-two queues")
    func retries() {
        var inquiries = RedisInquiries()
        for number in 0..<40 { inquiries.keep([], of: QueueName("\(number)"), at: Self.second(1)) }
        #expect(inquiries.knownRetries(of: QueueName("0"), at: Self.second(3)) == [])
        #expect(inquiries.knownRetries(of: QueueName("0"), at: Self.second(4)) == nil)
        #expect(inquiries.knownRetries(of: QueueName("39"), at: Self.second(1)) == nil)
        inquiries.keep([], of: QueueName("39"), at: Self.second(4))
        #expect(inquiries.knownRetries(of: QueueName("39"), at: Self.second(4)) == [])
    }
}
