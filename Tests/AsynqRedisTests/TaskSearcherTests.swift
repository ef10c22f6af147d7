import Model
import Redis
import Testing

@testable import AsynqRedis

@Suite("A task of which only the id is known")
struct TaskSearcherTests {
    private static func search(_ store: TaskStore, _ count: Int) throws -> TaskSearch {
        try TaskSearcher.search(
            id: Array("i".utf8), in: (0..<count).map { QueueName("q\($0)") }, store, deadline: .init(nanoseconds: 1))
    }

    /// How many queues each round trip asked.
    private static func sizes(_ store: TaskStore) -> [Int] { store.asked.map(\.count) }

    @Test(
        "Queues are asked a thousand at a time, 10,000 at most; the rest is told of",
        arguments: [
            (0, []), (1, [1]), (1000, [1000]), (1001, [1000, 1]), (10_001, [Int](repeating: 1000, count: 10)),
        ])
    func bounds(count: Int, sizes: [Int]) throws {
        let store = TaskStore()
        let found = try Self.search(store, count)
        #expect(Self.sizes(store) == sizes)
        #expect(found.found.isEmpty && found.lookedAt == min(count, 10_000) && found.queues == count)
    }

    @Test("Queues that have it are found, in their order; one whose node does not answer was not looked at")
    func found() throws {
        let store = TaskStore()
        for queue in ["q1", "q3"] { store.lists["asynq:{\(queue)}:t:i"] = ["x"] }
        store.instead["EXISTS asynq:{q2}:t:i"] = .unanswered
        let found = try Self.search(store, 5)
        #expect(found.found == [QueueName("q1"), QueueName("q3")] && found.lookedAt == 4 && found.queues == 5)
        #expect(store.asked.first?.first == "EXISTS asynq:{q0}:t:i")
    }

    @Test("A failure ends the search")
    func failure() {
        let store = TaskStore()
        store.failsAfter = 1
        #expect(throws: RedisError.self) { try Self.search(store, 1001) }
    }
}
