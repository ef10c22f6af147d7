import Foundation
import Model
import Testing

@testable import Attention
@testable import Web

@Suite("The overview document")
struct OverviewDocumentTests {
    private let name = QueueName("emails")
    private let start = MonotonicTime(nanoseconds: 100_000_000_000_000)
    private let wallStart = WallTime(seconds: 1_700_000_000)

    /// A queue whose tasks come and go for a while, observed every five seconds.
    private func content(seconds: UInt64, queues: Int = 1) -> OverviewContent {
        var content = OverviewContent.sample
        for second in stride(from: 0, through: seconds, by: 5) {
            let now = start.advanced(by: .seconds(Int64(second)))
            content.now = (wallStart.advanced(by: .seconds(Int64(second))), now)
            let snapshots = (0..<queues).map { number in
                var queue = QueueSnapshot(name: number == 0 ? name : QueueName("q\(number)"))
                queue.size = [.pending: 600 - Int64(second), .active: 0]
                queue.processed = 3 * Int64(second)
                queue.completed = 2 * Int64(second)
                queue.failed = Int64(second)
                return queue
            }
            var snapshot = RedisSnapshot(queues: snapshots, takenAt: content.now.wall, partialErrors: [])
            snapshot.servers = [
                ServerSnapshot(
                    host: ForeignText("h"), pid: 7, id: ForeignText("s"), concurrency: 10, queues: [name],
                    status: ForeignText("active"), busyWorkers: 4)
            ]
            content.rows = QueueReading.all(snapshot, waits: [name: MeasuredWaits(quantiles: [0.1, 0.25, 1])])
            content.history.record(content.rows, at: now)
            content.redis = .read(snapshot)
            content.lastKnown = snapshot
        }
        return content
    }

    private func object(_ content: OverviewContent, since: Int64? = nil) throws -> [String: Any] {
        let (bytes, changing) = OverviewDocument.json(content, since: since)
        #expect(String(decoding: bytes[..<changing], as: UTF8.self).hasPrefix("{\"now\":\"20"))
        return try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    }

    @Test("It has rates, when the backlog is gone, and who works")
    func queue() throws {
        let content = content(seconds: 300)
        let found = try object(content)
        let queue = try #require((found["queues"] as? [[String: Any]])?.first)
        #expect(queue["queue"] as? String == "emails" && queue["pending"] as? Int == 300)
        #expect(queue["completed_per_second"] as? Double == 2 && queue["failed_per_second"] as? Double == 1)
        #expect(queue["enqueued_per_second"] as? Double == 2)
        #expect(queue["drains"] as? String == "yes")
        #expect((queue["drain_seconds"] as? Double).map { abs($0 - 300) < 10 } == true)
        #expect(
            queue["consumers"] as? Int == 1 && queue["concurrency"] as? Int == 10 && queue["busy_workers"] as? Int == 4)
        #expect(queue["trouble"] is NSNull && queue["wait_p95_seconds"] as? Double == 0.25)
        #expect(queue["wait_origin"] as? String == "spans")
        let totals = try #require(found["totals"] as? [String: Any])
        #expect(totals["pending"] as? Int == 300 && totals["completed_per_second"] as? Double == 2)
        #expect(found["looked_at"] as? String == "1 queue, 1 server and Redis")
        #expect(found["attention_total"] as? Int == 0)
    }

    @Test("History has the points that are over; with `since` only those that came later")
    func since() throws {
        let content = content(seconds: 300)
        let found = try object(content)
        let history = try #require(found["history"] as? [String: Any])
        #expect(history["step"] as? Int == 5 && history["points"] as? Int == 60)
        #expect(history["start"] as? Int == 1_700_000_000 && history["end"] as? Int == 1_700_000_300)
        let queue = try #require((found["queues"] as? [[String: Any]])?.first?["history"] as? [String: Any])
        let pending = try #require(queue["pending"] as? [Int])
        #expect(pending.count == 60 && pending[0] == 600 && pending[59] == 305)
        #expect(queue["completed"] as? [Double] == [Double](repeating: 2, count: 60))
        #expect(queue["wait_p95"] as? [Double] == [Double](repeating: 0.25, count: 60))

        let later = try object(content, since: 1_700_000_280)
        let newer = try #require(later["history"] as? [String: Any])
        #expect(newer["start"] as? Int == 1_700_000_280 && newer["points"] as? Int == 4)
        let none = try #require(try object(content, since: 1_700_000_300)["history"] as? [String: Any])
        #expect(none["start"] as? Int == 1_700_000_300 && none["points"] as? Int == 0)
        for since in [1_700_000_282, 1_699_990_000, 1_700_009_000, 0, .max, .min] as [Int64] {
            let whole = try #require(try object(content, since: since)["history"] as? [String: Any])
            #expect(whole["start"] as? Int == 1_700_000_000 && whole["points"] as? Int == 60, "\(since)")
        }
    }

    @Test("An hour, and very many queues, have fewer points in longer steps")
    func coarse() throws {
        let hour = try #require(try object(content(seconds: 4000))["history"] as? [String: Any])
        #expect(hour["step"] as? Int == 40 && hour["points"] as? Int == 90)
        #expect((hour["end"] as? Int ?? 0) - (hour["start"] as? Int ?? 0) == 3600)
        let many = content(seconds: 600, queues: 2000)
        let (bytes, _) = OverviewDocument.json(many, since: nil)
        #expect(bytes.count < 2000 * 1200, "\(bytes.count)")
        let history = try #require(try object(many)["history"] as? [String: Any])
        #expect((history["points"] as? Int ?? 0) <= 22)
    }

    @Test("While Redis can't be read, the state is stale and the queues are the last known ones")
    func stale() throws {
        var content = content(seconds: 20)
        content.redis = .unread("connection refused")
        var found = try object(content)
        var redis = try #require(found["redis"] as? [String: Any])
        #expect(redis["state"] as? String == "stale" && redis["error"] as? String == "connection refused")
        #expect(redis["read_at"] as? String == "2023-11-14T22:13:40.000Z")
        #expect((found["queues"] as? [[String: Any]])?.count == 1)
        content.lastKnown = nil
        content.rows = []
        found = try object(content)
        redis = try #require(found["redis"] as? [String: Any])
        #expect(redis["state"] as? String == "unread" && redis["read_at"] is NSNull)
    }

    @Test("A server has its queues of the highest priority, and how many there are")
    func queuesOfServers() throws {
        var content = content(seconds: 5)
        var server = ServerSnapshot(
            host: ForeignText("h"), pid: 7, id: ForeignText("s"), concurrency: 10,
            queues: (1...500).map { QueueName("q\(1000 - $0)") }, status: ForeignText("active"), busyWorkers: 4)
        server.priorities = [QueueName("q777"): 9, QueueName("q600"): 2]
        content.lastKnown?.servers = [server]
        let found = try #require((try object(content)["servers"] as? [[String: Any]])?.first)
        let queues = try #require(found["queues"] as? [String: Any])
        #expect(found["queues_total"] as? Int == 500)
        #expect(Set(queues.keys) == Set(["q777", "q600"] + (500..<598).map { "q\($0)" }))
        #expect(queues["q777"] as? Int == 9 && queues["q500"] is NSNull)
        let text = String(decoding: OverviewDocument.json(content, since: nil).bytes, as: UTF8.self)
        #expect(text.contains(#""queues":{"q777":9,"q600":2,"q500":null,"q501":null,"#))
    }

    @Test(
        "Servers and cron entries that can't be read are null, with the reason; those that are none are an empty list")
    func unreadable() throws {
        var content = content(seconds: 5)
        content.lastKnown?.servers = []
        content.lastKnown?.schedulerEntries = []
        let none = try object(content)
        #expect((none["servers"] as? [Any])?.isEmpty == true && none["servers_problem"] is NSNull)
        #expect((none["cron"] as? [Any])?.isEmpty == true && none["cron_problem"] is NSNull)
        content.lastKnown?.serversProblem = "asynq:servers: no"
        let (partial, _) = try #require(QueueDocument.json(content, name))
        #expect(String(decoding: partial, as: UTF8.self).contains(#""servers":null"#))
        content.lastKnown?.servers = nil
        content.lastKnown?.schedulerEntries = nil
        content.lastKnown?.cronProblem = "asynq:schedulers: no"
        let found = try object(content)
        #expect(found["servers"] is NSNull && found["servers_problem"] as? String == "asynq:servers: no")
        #expect(found["cron"] is NSNull && found["cron_problem"] as? String == "asynq:schedulers: no")
        let plain = PlainPage(content).html
        #expect(plain.contains("Servers that can't be read: <bdi>asynq:servers: no</bdi>"))
        #expect(plain.contains("Cron entries that can't be read: <bdi>asynq:schedulers: no</bdi>"))
        #expect(!plain.contains("workers busy"))
    }

    @Test("Troubles have what they are about, and queues the worst of theirs")
    func troubles() throws {
        var content = content(seconds: 20)
        func trouble(_ condition: Condition, _ severity: Severity) -> Trouble {
            Trouble(
                condition: condition, queue: name, severity: severity, isFiring: severity != .info, sentence: "\"é\n",
                since: WallTime(seconds: 1_700_000_000))
        }
        content.troubles = [trouble(.queueStalled, .critical), trouble(.backlogGrowing, .info)]
        let found = try object(content)
        let troubles = try #require(found["attention"] as? [[String: Any]])
        #expect(troubles.map { $0["alert"] as? String } == ["AsynqQueueStalled", nil])
        #expect(troubles.map { $0["firing"] as? Bool } == [true, false])
        #expect(
            troubles[0]["runbook"] as? String == "asynqqueuestalled" && troubles[0]["sentence"] as? String == "\"é\n")
        #expect(
            troubles[0]["since"] as? String == "2023-11-14T22:13:20.000Z"
                && troubles[0]["subject"] as? String == "queue")
        #expect((found["queues"] as? [[String: Any]])?.first?["trouble"] as? String == "critical")
        content.troubles = [Trouble](repeating: trouble(.deadLetters, .warning), count: 500)
        let many = try object(content)
        #expect((many["attention"] as? [Any])?.count == 200 && many["attention_total"] as? Int == 500)
        #expect(many["attention_firing"] as? Int == 500 && found["attention_firing"] as? Int == 1)
        #expect((found["queues"] as? [[String: Any]])?.first?["trouble_sentence"] as? String == "\"é\n")
        let (bytes, _) = try #require(QueueDocument.json(content, name))
        let own = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        #expect((own["attention"] as? [Any])?.count == 500, "all of them, though the overview lists 200")
        #expect(own["trouble_sentence"] as? String == "\"é\n")
    }

    @Test("One queue has an hour of each state, rate and quantile; by its bytes, or by its name as people read it")
    func oneQueue() throws {
        var content = content(seconds: 300)
        let (bytes, _) = try #require(QueueDocument.json(content, name))
        let found = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        let history = try #require(found["history"] as? [String: Any])
        for member in TaskState.allCases.map({ $0 == .completed ? "completed_tasks" : $0.rawValue })
            + ["enqueued", "completed", "failed", "wait_p50", "wait_p95", "wait_p99"]
        {
            #expect((history[member] as? [Any])?.count == 60, "\(member)")
        }
        #expect(found["servers"] as? [[String: String]] == nil && (found["servers"] as? [Any])?.count == 1)
        #expect(QueueDocument.json(content, QueueName("none")) == nil)
        content.rows = [QueueReading(name: QueueName([0xFF]), snapshot: nil, wait: nil)]
        #expect(
            QueueDocument.json(content, QueueName([0xFF])) != nil
                && QueueDocument.json(content, QueueName("\\xFF")) != nil)
    }

    @Test("The document of one queue has more points than the overview has of each")
    func pointsOfOneQueue() throws {
        let content = content(seconds: 1000)
        let (bytes, _) = try #require(QueueDocument.json(content, name))
        let found = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        let history = try #require(found["history"] as? [String: Any])
        #expect(history["step"] as? Int == 5 && (history["pending"] as? [Any])?.count == 200)
        #expect((try object(content)["history"] as? [String: Any])?["points"] as? Int ?? 0 <= 90)
    }

    @Test(
        "A backlog drains never without a server or while nothing is finished, and is steady while as much is finished as comes",
        arguments: [
            (pending: 5, servers: 0, done: 0, drains: "no"), (500, 0, 0, "no"), (500, 1, 0, "no"),
            (500, 1, 2, "steady"),
            (5, 1, 2, "steady"), (0, 0, 0, "yes"),
        ] as [(pending: Int64, servers: Int, done: Int64, drains: String)])
    func drains(pending: Int64, servers: Int, done: Int64, drains: String) throws {
        var content = content(seconds: 0)
        content.history = QueueHistory(interval: .seconds(5))
        for second in stride(from: 0, through: 90, by: 5) as StrideThrough<Int64> {
            content.now.monotonic = start.advanced(by: .seconds(second))
            var queue = QueueSnapshot(name: name)
            (queue.size, queue.processed) = ([.pending: pending, .active: 0], done * second)
            (queue.completed, queue.failed) = (done * second, 0)
            var snapshot = RedisSnapshot(queues: [queue], takenAt: content.now.wall, partialErrors: [])
            snapshot.servers = Array((content.lastKnown?.servers ?? []).prefix(servers))
            content.rows = QueueReading.all(snapshot, waits: [:])
            content.history.record(content.rows, at: content.now.monotonic)
            (content.redis, content.lastKnown) = (.read(snapshot), snapshot)
        }
        let queue = try #require((try object(content)["queues"] as? [[String: Any]])?.first)
        #expect(queue["drains"] as? String == drains)
    }

    @Test("What concerns everything is listed, however many queues are worse off")
    func globals() throws {
        func trouble(_ condition: Condition, _ queue: String?) -> Trouble {
            Trouble(
                condition: condition, queue: queue.map { QueueName($0) }, severity: .info, isFiring: false,
                sentence: "s",
                since: WallTime(seconds: 0))
        }
        var content = content(seconds: 0)
        content.troubles = (0..<250).map { trouble(.orphanedTasks, "q\($0)") } + [trouble(.forwardingFails, nil)]
        let found = try object(content)
        let listed = try #require(found["attention"] as? [[String: Any]])
        #expect(listed.count == 201 && found["attention_total"] as? Int == 251)
        #expect(listed[200]["subject"] as? String == "tempo" && listed[200]["global"] as? Bool == true)
        #expect(listed[199]["queue"] as? String == "q199" && listed[199]["global"] as? Bool == false)
    }

    @Test("A document that differs in its time alone is the same to a client")
    func tag() {
        var content = content(seconds: 20)
        let first = OverviewDocument.json(content, since: nil)
        content.now.wall = content.now.wall.advanced(by: .milliseconds(200))
        let second = OverviewDocument.json(content, since: nil)
        #expect(first.bytes != second.bytes)
        let tags = [first, second].map { CachedDocument($0.bytes, changing: $0.changing).etag }
        #expect(tags[0] == tags[1])
    }

    @Test("A document is made once for each version of the state, at most once a second, however many ask")
    func cache() {
        let cache = DocumentCache()
        var made = 0
        func ask(_ key: String, version: UInt64 = 2, at milliseconds: Int64) -> CachedDocument {
            cache.document(key, version: version, at: start.advanced(by: .milliseconds(milliseconds))) {
                made += 1
                return (Array("\(made)".utf8), 0)
            }
        }
        let first = ask("a", version: 1, at: 0)
        #expect(ask("a", at: 999) === first && made == 1)
        #expect(ask("b", at: 999) !== first && ask("a", at: 1000) !== first && made == 3)
        let second = ask("a", at: 1000)
        #expect(ask("a", at: 600_000) === second && made == 3)
        #expect(cache.existing("none", version: 1, at: start) { nil } == nil)
    }
}
