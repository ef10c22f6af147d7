import Foundation
import Model
import Platform
import Testing

@testable import Attention
@testable import WaitTime
@testable import Web

/// Every value is another one, so that a member that is missing or has its neighbour's value is seen. Members that are new do not
/// stand here: they have tests of their own.
@Suite("The values of the documents")
struct DocumentValuesTests {
    private static let at: Int64 = 1_700_000_000
    private static let name = QueueName("q")
    private static let reference = SpanReference(trace: TraceID(high: 0, low: 0xAB), span: SpanID(0xCD))

    private static func time(_ seconds: Int64) -> WallTime { WallTime(seconds: at + seconds) }

    private static var queue: QueueSnapshot {
        var queue = QueueSnapshot(name: name)
        queue.size = [
            .pending: 1, .active: 2, .scheduled: 3, .retry: 4, .archived: 5, .completed: 6, .aggregating: 7,
        ]
        (queue.groups, queue.isPaused, queue.latencyNanoseconds, queue.orphaned) = (8, true, 9_500_000_000, 10)
        queue.overdue = [.scheduled: 11, .retry: 12]
        (queue.completed, queue.failed, queue.deadLettered, queue.memoryBytes) = (13, 14, 15, 16)
        (queue.longestRunning, queue.processed, queue.unreadDeadLetters) = (.seconds(17), 27, 9)
        return queue
    }

    private static var content: OverviewContent {
        var content = OverviewContent.sample
        content.collector.tempo = "http://tempo:4318/v1/traces"
        content.collector.interval = .milliseconds(2500)
        content.links = TraceLinks(grafana: "https://g.example/", dataSource: "uid-1")
        let server = ServerSnapshot(
            host: ForeignText("h"), pid: 20, id: ForeignText("s"), concurrency: 21, queues: [name],
            status: ForeignText("active"), busyWorkers: 22)
        var busy = server
        busy.priorities = [name: 23]
        busy.startedAt = time(-24)
        busy.running = [
            RunningTask(
                queue: name, id: ForeignText("r"), type: TaskType("run"), startedAt: time(-25), deadlineAt: time(26))
        ]
        var snapshot = RedisSnapshot(queues: [queue], takenAt: time(-1), partialErrors: [])
        snapshot.servers = [busy]
        var entry = SchedulerEntrySnapshot(
            id: ForeignText("e"), spec: ForeignText("@hourly"), taskType: TaskType("cron"), scheduler: [],
            nextEnqueue: time(30), previousEnqueue: time(-31))
        entry.lastEnqueued = time(-32)
        snapshot.schedulerEntries = [entry]
        content.lastKnown = snapshot
        content.redis = .read(snapshot)
        content.rows = [QueueReading(name: name, snapshot: queue, wait: [0.25, 0.5, 0.75])]
        content.deadLetters = [
            DeadLetter(
                task: TaskName(queue: name, id: Array("d".utf8)), type: TaskType("dead"), archivedAt: time(-40),
                errorMessage: ForeignText("no route"), retried: 41, lastFailedAt: time(-42),
                context: TraceContext(reference: reference, isSampled: true), isArrival: true)
        ]
        content.spans = SpanTotals(
            accepted: 50, duplicates: 51, refused: ["bad_id": 52],
            spooled: SpanTotals.Spooled(forwarded: 53, inSpool: 54, dropped: ["expired": 55]))
        content.forwarder = ForwarderState(text: "sending", isUp: true, since: time(-56))
        content.spool = SpoolState(bytes: 57, capacityBytes: 58, oldestAgeSeconds: 59.5, fullInSeconds: 60.5)
        content.memory = [MemoryPart(part: "history", bytes: 61, limitBytes: 62)]
        return content
    }

    /// `path value` for each value; of a list the first one.
    private static func values(_ bytes: [UInt8]) throws -> Set<String> {
        var found: Set<String> = []
        func add(_ value: Any, _ path: String) {
            switch value {
            case let object as [String: Any]:
                for (name, value) in object { add(value, path.isEmpty ? name : path + "." + name) }
            case let list as [Any]: if let first = list.first { add(first, path) }
            case is NSNull: found.insert(path + " null")
            case let number as NSNumber where isBool(number): found.insert("\(path) \(number.boolValue)")
            default: found.insert("\(path) \(value)")
            }
        }
        add(try JSONSerialization.jsonObject(with: Data(bytes)), "")
        return found
    }

    private static func isBool(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }

    private static let ofQueue = """
        queue q
        pending 1
        active 2
        scheduled 3
        retry 4
        archived 5
        completed 6
        aggregating 7
        groups 8
        paused true
        oldest_wait_seconds 9.5
        orphaned 10
        overdue_scheduled 11
        overdue_retry 12
        completed_total 13
        failed_total 14
        dead_lettered_total 15
        unread_dead_letters_total 9
        memory_usage_approx_bytes 16
        wait_p50_seconds 0.25
        wait_p95_seconds 0.5
        wait_p99_seconds 0.75
        """
    private static let ofDocuments = """
        trouble null
        consumers 1
        concurrency 21
        busy_workers 22
        longest_running_seconds 17
        drains unknown
        drain_seconds null
        """
    private static let ofLetter = """
        queue q
        id d
        type dead
        error no route
        retried 41
        archived_at 2023-11-14T22:12:40.000Z
        last_failed_at 2023-11-14T22:12:38.000Z
        trace_id 000000000000000000000000000000ab
        """

    private static func lines(_ text: String, _ prefix: String = "") -> [String] {
        text.split(separator: "\n").map { prefix + $0 }
    }

    private func expect(_ expected: [String], in found: Set<String>) {
        let missing = expected.filter { !found.contains($0) }
        #expect(missing == [], "of \(found.sorted())")
    }

    @Test("The overview has each value under its name")
    func overview() throws {
        let found = try Self.values(OverviewDocument.json(Self.content, since: nil).bytes)
        let expected = """
            now 2023-11-14T22:13:20.000Z
            collector.version 1.2.3
            collector.host worker-1
            collector.pid 42
            collector.started_at 2023-11-14T21:13:20.000Z
            collector.redis redis://127.0.0.1:6379/0
            collector.tempo http://tempo:4318/v1/traces
            collector.interval_seconds 2.5
            links.trace \(Self.content.links.address(ofTrace: "{trace_id}") ?? "none")
            links.trace_hint null
            links.queue https://g.example/d/asynq-queues?var-queue={queue}
            links.runbook runbook#
            redis.state read
            redis.read_at 2023-11-14T22:13:19.000Z
            redis.error null
            attention_total 0
            attention_firing 0
            looked_long_enough true
            totals.pending 1
            totals.active 2
            totals.scheduled 3
            totals.retry 4
            totals.archived 5
            totals.completed 6
            totals.aggregating 7
            servers.host h
            servers.pid 20
            servers.id s
            servers.status active
            servers.started_at 2023-11-14T22:12:56.000Z
            servers.concurrency 21
            servers.busy_workers 22
            servers.queues.q 23
            servers.queues_total 1
            servers.running.queue q
            servers.running.id r
            servers.running.type run
            servers.running.started_at 2023-11-14T22:12:55.000Z
            servers.running.deadline_at 2023-11-14T22:13:46.000Z
            cron.id e
            cron.spec @hourly
            cron.task_type cron
            cron.next_at 2023-11-14T22:13:50.000Z
            cron.overdue false
            cron.previous_at 2023-11-14T22:12:49.000Z
            cron.last_enqueued_at 2023-11-14T22:12:48.000Z
            spans.received 102
            spans.accepted 50
            spans.duplicates 51
            spans.refused.bad_id 52
            spans.forwarded 53
            spans.dropped.expired 55
            spans.in_spool 54
            forwarder.state sending
            forwarder.up true
            forwarder.since 2023-11-14T22:12:24.000Z
            spool.bytes 57
            spool.capacity_bytes 58
            spool.oldest_age_seconds 59.5
            spool.full_in_seconds 60.5
            memory.part history
            memory.bytes 61
            memory.limit_bytes 62
            """
        expect(
            Self.lines(expected) + Self.lines(Self.ofQueue + "\n" + Self.ofDocuments, "queues.")
                + Self.lines(Self.ofLetter, "dead_letters."), in: found)
        #expect(
            OverviewDocument.lookedAt(Self.content) == "1 queue, 1 server, 1 cron entry, Redis, Tempo and the spool")
    }

    @Test("The document of a queue has each value under its name, and of the others' things none")
    func queueDocument() throws {
        var content = Self.content
        for (index, letter) in content.deadLetters.enumerated().reversed() {
            let other = DeadLetter(
                task: TaskName(queue: QueueName("r"), id: [UInt8(ascii: "x")]), type: letter.type,
                archivedAt: letter.archivedAt, errorMessage: letter.errorMessage, retried: 0, lastFailedAt: nil,
                context: nil, isArrival: true)
            content.deadLetters.insert(other, at: index)
        }
        let example = ErrorGroup.Example(
            error: ForeignText("no"), taskID: ForeignText(""), trace: nil, span: nil, at: Self.time(0))
        content.errors = ["r", "q"].map { queue in
            ErrorGroup(
                queue: QueueName(queue), taskType: TaskType("of " + queue), error: ForeignText("no"), example: example,
                seenAt: Self.time(0))
        }
        let waits = ["r", "q"].map { queue in
            SlowWait(
                seconds: queue == "q" ? 70 : 71, queue: QueueName(queue), type: TaskType("slow"), span: Self.reference,
                observedAt: MonotonicTime(nanoseconds: 100_000_000_000_000 - 72_000_000_000))
        }
        content.slowestWaits = [waits[0]]
        let message = TaskMessageDetails(
            type: TaskType("again"), retried: 80, maxRetry: 81, lastError: ForeignText("once"), lastFailedAt: nil,
            deadlineAt: nil, completedAt: nil, payloadBytes: 0, trace: Self.reference.trace)
        let type = TaskTypeSummary(type: TaskType("mail"), attempts: 90, failed: 91, waitP95: 92.5, runP95: 93.5)
        let (bytes, changing) = try #require(
            QueueDocument.json(
                content, Self.name, retries: [DueRetry(id: ForeignText("t"), at: Self.time(82), message: message)],
                taskTypes: [type], slowestWaits: [waits[1]]))
        #expect(String(decoding: bytes[..<changing], as: UTF8.self) == "{\"now\":\"2023-11-14T22:13:20.000Z\"")
        let expected = """
            errors.task_type of q
            slowest_waits.queue q
            slowest_waits.type slow
            slowest_waits.seconds 70
            slowest_waits.observed_at 2023-11-14T22:12:08.000Z
            slowest_waits.trace_id 000000000000000000000000000000ab
            slowest_waits.span_id 00000000000000cd
            retries_due.id t
            retries_due.type again
            retries_due.error once
            retries_due.retried 80
            retries_due.max_retry 81
            retries_due.at 2023-11-14T22:14:42.000Z
            retries_due.trace_id 000000000000000000000000000000ab
            task_types.type mail
            task_types.attempts 90
            task_types.failed 91
            task_types.wait_p95_seconds 92.5
            task_types.run_p95_seconds 93.5
            dead_lettered_per_second null
            servers.host h
            servers.pid 20
            servers.id s
            """
        expect(
            Self.lines(expected) + Self.lines(Self.ofQueue + "\n" + Self.ofDocuments)
                + Self.lines(Self.ofLetter, "dead_letters."), in: try Self.values(bytes))
    }

    @Test("The list of queues and that of dead letters have each value under its name, and are lists of any length")
    func lists() throws {
        expect(Self.lines(Self.ofQueue), in: try Self.values(QueueDocuments.queues(Self.content.rows)))
        expect(Self.lines(Self.ofLetter), in: try Self.values(QueueDocuments.deadLetters(Self.content.deadLetters)))
        for count in 0..<4 {
            let letter = Self.content.deadLetters[0]
            let bytes = QueueDocuments.deadLetters([DeadLetter](repeating: letter, count: count))
            #expect((try JSONSerialization.jsonObject(with: Data(bytes)) as? [Any])?.count == count)
        }
    }

    @Test("The link to a trace opens one pane of Grafana that asks that data source for it")
    func traceLink() throws {
        let address = try #require(Self.content.links.address(ofTrace: "ab"))
        let encoded = try #require(address.split(separator: "panes=").last?.split(separator: "&").first)
        let panes = try #require(String(encoded).removingPercentEncoding)
        let query = """
            {"refId":"A","datasource":{"type":"tempo","uid":"uid-1"},"queryType":"traceql","query":"ab"}
            """
        #expect(
            panes == """
                {"t":{"datasource":"uid-1","queries":[\(query)],"range":{"from":"now-24h","to":"now"}}}
                """)
    }
}
