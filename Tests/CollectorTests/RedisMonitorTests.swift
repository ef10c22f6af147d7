import Logging
import Model
import Platform
import Redis
import Synchronization
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("What the thread that reads Redis leaves")
struct RedisMonitorTests {
    private final class Flag: Sendable {
        private let value = Mutex(false)

        var isSet: Bool { value.withLock { $0 } }
        func set() { value.withLock { $0 = true } }
    }

    /// Answers as a Redis that has one queue and no task; each key takes 64 bytes.
    private static func answer(_ words: [String]) -> FakeAnswer {
        switch words[0] {
        case "SMEMBERS" where words[1] == "asynq:queues": .send("*1\r\n$1\r\nq\r\n")
        case "LLEN", "ZCARD", "ZCOUNT", "SCARD", "EXISTS": .send(":0\r\n")
        case "MEMORY": .send(":64\r\n")
        case "GET", "INFO": .send("$-1\r\n")
        case "MGET": .send("*2\r\n$-1\r\n$-1\r\n")
        default: .send("*0\r\n")
        }
    }

    private static func waitUntil(_ isTrue: () -> Bool) async throws {
        for _ in 0..<3000 where !isTrue() { try await Task.sleep(nanoseconds: 10_000_000) }
        #expect(isTrue())
    }

    @Test("After a sampling of memory that failed as a whole, no queue has the number of one before")
    func failedSampling() async throws {
        let isBroken = Flag()
        let redis = try FakeRedis { _, words in
            words[0] == "MEMORY" && isBroken.isSet ? .close : Self.answer(words)
        }
        var options = RedisMonitorOptions(
            target: RedisTarget(redis.endpoint), interval: .milliseconds(10), timeout: .seconds(30))
        options.memoryInterval = .milliseconds(10)
        let monitor = try RedisMonitor(
            options, clock: .system, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try monitor.start()
        defer {
            monitor.beginStop()
            monitor.awaitStop(until: .soon)
        }
        func queues() -> [QueueSnapshot] { monitor.current.snapshot?.queues ?? [] }
        try await Self.waitUntil { queues().map(\.memoryBytes) == [6 * 64] }
        isBroken.set()
        try await Self.waitUntil { queues().map(\.memoryBytes) == [nil] }
    }
}
