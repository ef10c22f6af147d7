import Logging
import Model
import Platform
import Redis
import SpanReceiver
import Testing

@testable import AsynqRedis
@testable import Collector

@Suite("Which tasks that spans name are looked up")
struct FilteredTaskKnowledgeTests {
    private let seen = SeenTasks()
    private let lookup: TaskLookup

    /// Its thread is not started: what is admitted waits.
    init() throws {
        lookup = try TaskLookup(
            try RedisURL.parse("redis://127.0.0.1:1"), tasks: seen, clock: .system,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, patience: .nanoseconds(1))
    }

    private func questions(_ queues: [String]) -> [TaskQuestion] {
        queues.enumerated().map { number, queue in
            TaskQuestion(
                task: TaskName(queue: QueueName(queue), id: Array(String(number).utf8)), wantsContext: true,
                wantsTime: true)
        }
    }

    @Test("queues that the filter leaves out are not asked for, by the filter that is in force")
    func filter() {
        let tasks = FilteredTaskKnowledge(seen: seen, lookup: lookup, filter: QueueFilter(exclude: "^private"))
        func asks(_ queues: [String]) -> Bool { tasks.lookUp(questions(queues), whenDone: {}) }
        #expect(!asks(["private"]))
        #expect(asks(["private", "mail"]))
        tasks.setFilter(QueueFilter(include: "^private"))
        #expect(!asks(["mail"]))
        #expect(asks(["private"]))
        #expect(lookup.outcomes.isEmpty)
    }

    @Test("A filter that is read again holds for look-ups as well as for scrapes")
    func newFilter() throws {
        let all = try #require(try options(["--redis-queues-exclude=^private"]))
        let side = try RedisSide(
            try #require(all.redis), all, clock: .system,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        func asks(_ queue: String) -> Bool { side.knownTasks.lookUp(questions([queue]), whenDone: {}) }
        #expect(asks("mail") && !asks("private"))
        side.setFilter(QueueFilter(exclude: "^mail"))
        #expect(!asks("mail") && asks("private"))
    }

    private func asks(_ queues: [String]) -> Bool { lookup.lookUp(questions(queues), whenDone: {}) }

    @Test("of one request 1,000 tasks are asked for; the others are counted as beyond the limit")
    func oneRequest() {
        let queues = [String](repeating: "q", count: 1001)
        #expect(asks(Array(queues.dropLast())))
        #expect(lookup.outcomes.isEmpty)
        #expect(asks(queues))
        #expect(lookup.outcomes == [.limit: 1])
        for _ in 0..<2 { #expect(asks(queues)) }
        // 4,000 wait.
        #expect(!asks(["q"]))
        #expect(lookup.outcomes == [.limit: 4])
    }

    @Test("what SeenTasks knows is put on the spans")
    func look() {
        let tasks = FilteredTaskKnowledge(seen: seen, lookup: lookup, filter: .all)
        seen.record(queue: QueueName("q"), id: Array("t".utf8), ready: nil, task: StoredTask(retried: 4, context: nil))
        var span = TaskSpan()
        span.queue = ByteRange(offset: 0, count: 1)
        span.taskID = ByteRange(offset: 1, count: 1)
        var spans = [span]
        Array("qt".utf8).withUnsafeBytes { tasks.look(for: &spans, in: $0) }
        #expect(spans.first?.knowledge.message?.retried == 4)
    }
}
