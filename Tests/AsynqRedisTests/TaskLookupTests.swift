import InMemoryLogging
import Logging
import Model
import Platform
import Redis
import Synchronization
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("Tasks that spans name, looked up in Redis", .timeLimit(.minutes(1)))
struct TaskLookupTests {
    private let clock = TestClock()
    private let seen = SeenTasks()
    private let log = InMemoryLogHandler()

    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(bytes.count)] + bytes
    }

    /// A task's message whose headers are these.
    private static func message(_ headers: [(String, String)] = []) -> String {
        let fields = headers.flatMap { name, value in
            field(15, field(1, Array(name.utf8)) + field(2, Array(value.utf8)))
        }
        return String(decoding: field(1, Array("x".utf8)) + fields, as: UTF8.self)
    }

    private static let context = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    private static let time = ("enqueued_at", "1800000000")

    private static func fields(_ message: String) -> FakeAnswer {
        .send("*1\r\n$\(message.utf8.count)\r\n\(message)\r\n")
    }

    /// A Redis with one task of each kind, by its id.
    private static func answer(_ words: [String]) -> FakeAnswer {
        let id = words.count > 1 ? words[1].split(separator: ":").last : nil
        if words[0] == "HSTRLEN" {
            switch id {
            case "error": return .send("-WRONGTYPE no hash\r\n")
            case "none": return .send(":0\r\n")
            case "large": return .send(":52428800\r\n")
            default: return .send(":100\r\n")
            }
        }
        guard words[0] == "HMGET" else { return .send("*0\r\n") }
        switch id {
        case "context": return fields(message([context]))
        case "time": return fields(message([time]))
        case "both": return fields(message([context, time]))
        case "empty": return fields(message())
        case "error": return .send("-WRONGTYPE no hash\r\n")
        case "broken": return fields("\u{0A}\u{7F}")
        default: return .send("*1\r\n$-1\r\n")
        }
    }

    private func makeLookup(_ redis: FakeRedis, patience: Duration = .seconds(60)) throws -> TaskLookup {
        let log = log
        let lookup = try TaskLookup(
            RedisTarget(redis.endpoint), tasks: seen, clock: clock.clock, logger: Logger(label: "test") { _ in log },
            patience: patience)
        try lookup.start()
        return lookup
    }

    private func stop(_ lookup: TaskLookup) {
        lookup.beginStop()
        lookup.awaitStop(until: .soon)
    }

    /// Asks for tasks of queue "q", and waits for the end of it; false where they are not asked for.
    private func ask(
        _ lookup: TaskLookup, _ ids: [String], wantsContext: Bool = true, wantsTime: Bool = true
    ) async -> Bool {
        let questions = ids.map { id in
            TaskQuestion(
                task: TaskName(queue: QueueName("q"), id: Array(id.utf8)), wantsContext: wantsContext,
                wantsTime: wantsTime)
        }
        return await withCheckedContinuation { continuation in
            if !lookup.lookUp(questions, whenDone: { continuation.resume(returning: true) }) {
                continuation.resume(returning: false)
            }
        }
    }

    private func outcomes(_ lookup: TaskLookup) -> [TaskLookup.Outcome: UInt64] {
        lookup.outcomes.filter { $0.value > 0 }
    }

    @Test("What became of each task is counted, and what its message carries is remembered")
    func kinds() async throws {
        let redis = try FakeRedis { _, words in Self.answer(words) }
        let lookup = try makeLookup(redis)
        defer { stop(lookup) }
        #expect(await ask(lookup, ["both", "context", "time", "empty", "none", "error", "broken"]))
        #expect(outcomes(lookup) == [.found: 3, .empty: 1, .gone: 1, .unreadable: 2])
        #expect(redis.commands.contains(["HMGET", "asynq:{q}:t:both", "msg"]))
        for (id, hasContext, hasTime) in [("both", true, true), ("context", true, false), ("time", false, true)] {
            let message = seen.look(id).message
            #expect((message?.context != nil) == hasContext && (message?.enqueuedAt != nil) == hasTime)
        }
        #expect(log.entries.count == 2, "one line for each cause")
        #expect(!redis.commands.contains(["HMGET", "asynq:{q}:t:none", "msg"]))
    }

    @Test("A message that is too large is told and not asked for; one that has gone since it was measured is gone")
    func sizes() async throws {
        let redis = try FakeRedis { _, words in Self.answer(words) }
        let lookup = try makeLookup(redis)
        defer { stop(lookup) }
        #expect(await ask(lookup, ["large", "time", "gone meanwhile"]))
        #expect(outcomes(lookup) == [.unreadable: 1, .found: 1, .gone: 1])
        #expect(log.entries.count == 1 && !redis.commands.contains(["HMGET", "asynq:{q}:t:large", "msg"]))
    }

    @Test("A message that carries something else than what was asked for is of no use")
    func useless() async throws {
        let redis = try FakeRedis { _, words in Self.answer(words) }
        let lookup = try makeLookup(redis)
        defer { stop(lookup) }
        #expect(await ask(lookup, ["both", "context", "time"], wantsTime: false))
        #expect(outcomes(lookup) == [.found: 2, .empty: 1])
        #expect(await ask(lookup, ["both", "context", "time"], wantsContext: false))
        #expect(outcomes(lookup) == [.found: 4, .empty: 2])
    }

    @Test("After a failure nothing is asked until Redis is there again; each cause is told once")
    func outage() async throws {
        let isBroken = Mutex(true)
        let redis = try FakeRedis { _, words in
            words[0] == "HMGET" && isBroken.withLock { $0 } ? .close : Self.answer(words)
        }
        let lookup = try makeLookup(redis)
        defer { stop(lookup) }
        #expect(await ask(lookup, ["both", "time"]))
        #expect(outcomes(lookup) == [.failed: 2])
        #expect(await !ask(lookup, ["both", "time", "empty"]))
        #expect(outcomes(lookup) == [.failed: 2, .down: 3])
        #expect(log.entries.map { "\($0.message)" } == ["tasks named by spans can't be looked up"])
        isBroken.withLock { $0 = false }
        clock.advance(seconds: 60)
        while await !ask(lookup, ["both"]) { await Task.yield() }
        #expect(outcomes(lookup)[.found] == 1 && outcomes(lookup)[.failed] == 2)
    }

    @Test("A request that Redis does not answer in time goes on without it")
    func patience() async throws {
        let isAsked = AsyncStream.makeStream(of: Void.self)
        let redis = try FakeRedis { _, words in
            if words[0] != "HMGET" { return Self.answer(words) }
            isAsked.continuation.yield()
            return .silence
        }
        let lookup = try makeLookup(redis, patience: .milliseconds(50))
        defer { stop(lookup) }
        async let isAdmitted = ask(lookup, ["both"])
        for await _ in isAsked.stream { break }
        clock.advance(seconds: 1)
        #expect(await isAdmitted)
        #expect(outcomes(lookup) == [.failed: 1])
    }

    @Test("At the end what waits goes on at once, and what comes then is not asked for")
    func end() async throws {
        let isAsked = AsyncStream.makeStream(of: Void.self)
        let redis = try FakeRedis { _, words in
            if words[0] != "HMGET" { return Self.answer(words) }
            isAsked.continuation.yield()
            return .silence
        }
        let lookup = try makeLookup(redis)
        async let first = ask(lookup, ["both"])
        for await _ in isAsked.stream { break }
        async let second = ask(lookup, ["both"])
        lookup.beginStop()
        #expect(await first)
        _ = await second
        lookup.awaitStop(until: .soon)
        #expect(await !ask(lookup, ["both"]))
        #expect(outcomes(lookup)[.down, default: 0] >= 1)
    }
}
