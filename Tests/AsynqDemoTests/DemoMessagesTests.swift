import TestSupport
import Testing

@testable import AsynqDemo

/// The fields have the numbers of asynq.proto.
@Suite("The messages that the demo stores as Asynq does")
struct DemoMessagesTests {
    private static let task = TaskMessage(
        type: "email:send", payload: Array("{}".utf8), id: "t1", queue: "emails", retry: 3, retried: 2,
        errorMessage: "smtp: 451", timeoutSeconds: 60, lastFailedAt: 1_800_000_001, retentionSeconds: 3600,
        completedAt: 1_800_000_002, headers: [("traceparent", "00-1-2-01"), ("a", "")])
    private static let server = ServerInfo(
        host: "demo", pid: 42, id: "s1", concurrency: 8, queues: [("emails", 6), ("reports", 1)],
        startedAtSeconds: 1_800_000_000, activeWorkers: 5)

    /// The seconds of the timestamp that a field is.
    private func seconds(_ message: Message, _ field: Int) throws -> [UInt64?] {
        try message.messages(field).map { $0.numbers[1]?.first }
    }

    @Test("A task has each of its fields, and a map entry for each header")
    func task() throws {
        let message = try Message(Self.task.encoded)
        #expect([1, 2, 3, 4, 7].map(message.text) == ["email:send", "{}", "t1", "emails", "smtp: 451"])
        #expect(
            message.numbers == [
                5: [3], 6: [2], 8: [60], 11: [1_800_000_001], 12: [3600], 13: [1_800_000_002],
            ])
        let headers = try message.messages(15)
        #expect(headers.map { $0.text(1) } == ["traceparent", "a"])
        #expect(headers.map { $0.text(2) ?? "" } == ["00-1-2-01", ""])
        let fresh = TaskMessage(type: "t", payload: [], id: "i", queue: "q", retry: 25)
        #expect(fresh.timeoutSeconds == 1800 && fresh.retried == 0 && fresh.lastFailedAt == 0)
        #expect(fresh.retentionSeconds == 0 && fresh.completedAt == 0 && fresh.headers.isEmpty)
    }

    @Test("A server has its identity, its queues with their priorities, and what it is doing")
    func server() throws {
        let message = try Message(Self.server.encoded)
        #expect([1, 3, 7].map(message.text) == ["demo", "s1", "active"])
        #expect(message.numbers == [2: [42], 4: [8], 9: [5]])
        #expect(try seconds(message, 8) == [1_800_000_000])
        let queues = try message.messages(5)
        #expect(queues.map { $0.text(1) } == ["emails", "reports"] && queues.map { $0.numbers[2] } == [[6], [1]])
        #expect(Self.server.keySuffix == "{demo:42:s1}")
    }

    @Test("A worker has its server, its task, its start, and its deadline behind it by the task's timeout")
    func worker() throws {
        let worker = WorkerInfo(server: Self.server, task: Self.task, startedAtSeconds: 1_800_000_100)
        let message = try Message(worker.encoded)
        #expect(
            [1, 3, 4, 5, 6, 7].map(message.text) == ["demo", "s1", "t1", "email:send", "{}", "emails"])
        #expect(message.numbers == [2: [42]])
        #expect(try seconds(message, 8) == [1_800_000_100] && seconds(message, 9) == [1_800_000_160])
    }

    @Test("A cron entry has its times, the queue among its options, and an event for its last tick")
    func scheduler() throws {
        let entry = SchedulerEntry(
            id: "e1", spec: "@every 1m", taskType: "report:daily", queue: "reports", nextSeconds: 1_800_000_060,
            previousSeconds: 1_800_000_000)
        let message = try Message(entry.encoded)
        #expect([1, 2, 3, 5].map(message.text) == ["e1", "@every 1m", "report:daily", #"Queue("reports")"#])
        #expect(try seconds(message, 6) == [1_800_000_060] && seconds(message, 7) == [1_800_000_000])
        let event = try Message(entry.lastEvent)
        #expect(event.text(1) == "e1 1800000000")
        #expect(try seconds(event, 2) == [1_800_000_000])
    }
}
