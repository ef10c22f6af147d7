import Metrics
import Model
import Testing

@testable import AsynqRedis
@testable import Collector

@Suite("Families read from Redis")
struct RedisMetricsTests {
    private static func page(_ queues: [QueueSnapshot]) -> String {
        let snapshot = RedisSnapshot(queues: queues, takenAt: WallTime(nanoseconds: 0), partialErrors: [])
        let families = RedisMetrics.families(of: snapshot).filter { !$0.samples.isEmpty }
        return String(decoding: PageFormat.text.encode(families), as: UTF8.self)
    }

    @Test("Absent values are absent samples; the largest counters overflow nothing")
    func samples() {
        var queue = QueueSnapshot(name: QueueName("q"))
        queue.size[.pending] = 5
        (queue.completed, queue.failed) = (.max, .max)
        let page = Self.page([queue])
        #expect(page.contains("asynq_queue_size{queue=\"q\",state=\"pending\"} 5\n"))
        #expect(!page.contains("state=\"active\"") && !page.contains("asynq_queue_paused"))
        #expect(page.contains("asynq_tasks_processed_total{queue=\"q\",status=\"completed\"} 9.22337203685477"))
        (queue.completed, queue.failed) = (nil, 5)
        #expect(!Self.page([queue]).contains("asynq_tasks_processed_total"))
    }

    @Test("Each value of a queue is a sample of its family")
    func everyValue() {
        var queue = QueueSnapshot(name: QueueName("q"))
        for (index, state) in TaskState.allCases.enumerated() { queue.size[state] = Int64(11 + index) }
        (queue.groups, queue.latencyNanoseconds, queue.isPaused, queue.isRegistered) = (2, 2_500_000_000, true, false)
        (queue.orphaned, queue.longestRunning) = (3, .milliseconds(4500))
        queue.overdue = [.scheduled: 5, .retry: 6]
        (queue.memoryBytes, queue.completed, queue.failed) = (7000, 80, 9)
        (queue.deadLettered, queue.size[.archived]) = (10, 2500)
        let lines = Self.page([queue]).split(separator: "\n").filter {
            $0.hasPrefix("asynq_queue") || $0.hasPrefix("asynq_tasks")
        }
        .sorted()
        #expect(
            lines == [
                #"asynq_queue_archive_fill_ratio{queue="q"} 0.25"#, #"asynq_queue_groups{queue="q"} 2"#,
                #"asynq_queue_latency_seconds{queue="q"} 2.5"#,
                #"asynq_queue_longest_running_seconds{queue="q"} 4.5"#,
                #"asynq_queue_memory_usage_approx_bytes{queue="q"} 7000"#,
                #"asynq_queue_orphaned_tasks{queue="q"} 3"#, #"asynq_queue_overdue_tasks{queue="q",state="retry"} 6"#,
                #"asynq_queue_overdue_tasks{queue="q",state="scheduled"} 5"#, #"asynq_queue_paused{queue="q"} 1"#,
                #"asynq_queue_registered{queue="q"} 0"#, #"asynq_queue_size{queue="q",state="active"} 12"#,
                #"asynq_queue_size{queue="q",state="aggregating"} 17"#,
                #"asynq_queue_size{queue="q",state="archived"} 2500"#,
                #"asynq_queue_size{queue="q",state="completed"} 16"#,
                #"asynq_queue_size{queue="q",state="pending"} 11"#,
                #"asynq_queue_size{queue="q",state="retry"} 14"#, #"asynq_queue_size{queue="q",state="scheduled"} 13"#,
                #"asynq_tasks_dead_lettered_total{queue="q"} 10"#,
                #"asynq_tasks_processed_total{queue="q",status="completed"} 80"#,
                #"asynq_tasks_processed_total{queue="q",status="failed"} 9"#,
            ])
        (queue.isPaused, queue.isRegistered, queue.latencyNanoseconds) = (false, true, 0)
        let page = Self.page([queue])
        #expect(page.contains("asynq_queue_paused{queue=\"q\"} 0\n"))
        #expect(page.contains("asynq_queue_registered{queue=\"q\"} 1\n"))
        #expect(page.contains("asynq_queue_latency_seconds{queue=\"q\"} 0\n"))
    }

    @Test(
        "Schedulers with the same spec and task type are counted, not entries of one scheduler; what is unknown is absent"
    )
    func schedulers() {
        func entry(_ id: String, _ scheduler: String, spec: String = "@every 1m", enqueued: Int64?)
            -> SchedulerEntrySnapshot
        {
            var entry = SchedulerEntrySnapshot(
                id: ForeignText(id), spec: ForeignText(spec), taskType: ForeignText("mail"),
                scheduler: Array(scheduler.utf8),
                nextEnqueue: nil, previousEnqueue: WallTime(seconds: 100))
            entry.lastEnqueued = enqueued.map { WallTime(seconds: $0) }
            return entry
        }
        let families = ServerMetrics.families(of: [
            entry("a", "1", enqueued: 101), entry("b", "2", enqueued: nil), entry("c", "2", enqueued: nil),
            entry("d", "2", spec: "0 * * * *", enqueued: 40), entry("e", "2", spec: "0 * * * *", enqueued: 40),
        ])
        let page = String(decoding: PageFormat.text.encode(families), as: UTF8.self)
        let series = page.split(separator: "\n").filter {
            $0.contains("_schedulers{") || $0.contains("_enqueued_timestamp_seconds{")
        }
        #expect(
            series == [
                #"asynq_scheduler_entry_last_enqueued_timestamp_seconds{task_type="mail",spec="@every 1m",entry_id="a"} 101"#,
                #"asynq_scheduler_entry_last_enqueued_timestamp_seconds{task_type="mail",spec="0 * * * *",entry_id="d"} 40"#,
                #"asynq_scheduler_entry_last_enqueued_timestamp_seconds{task_type="mail",spec="0 * * * *",entry_id="e"} 40"#,
                #"asynq_scheduler_entry_schedulers{task_type="mail",spec="0 * * * *"} 1"#,
                #"asynq_scheduler_entry_schedulers{task_type="mail",spec="@every 1m"} 2"#,
            ])
    }

    @Test("After a failed scrape only the scrape's own families are left, and up is 0")
    func failedScrape() {
        var status = RedisStatus()
        status.errors = [.timeout: 3]
        let page = String(decoding: PageFormat.text.encode(RedisMetrics.families(of: status)), as: UTF8.self)
        #expect(page.contains("asynq_redis_up 0\n"))
        #expect(page.contains("asynq_redis_scrape_errors_total{reason=\"timeout\"} 3\n"))
        #expect(page.contains("asynq_redis_scrape_errors_total{reason=\"connection\"} 0\n"))
        #expect(!page.contains("asynq_queue"))
    }

    @Test("Asynq's own names are the same numbers, on the text page only")
    func asynqmonNames() {
        var queue = QueueSnapshot(name: QueueName("q"))
        queue.size = [.pending: 5, .aggregating: 7]
        queue.isPaused = true
        queue.failed = 3
        var unread = QueueSnapshot(name: QueueName("r"))
        unread.size = [.active: 1]
        let snapshot = RedisSnapshot(queues: [queue, unread], takenAt: WallTime(nanoseconds: 0), partialErrors: [])
        let families = AsynqmonMetrics.families(of: snapshot.queues, snapshot.queues.map { QueueLabelSets($0.name) })
        let page = String(decoding: PageFormat.text.encode(families), as: UTF8.self)
        let series = page.split(separator: "\n").filter { !$0.hasPrefix("# HELP") }
        #expect(
            series == [
                "# TYPE asynq_tasks_enqueued_total gauge", #"asynq_tasks_enqueued_total{queue="q",state="pending"} 5"#,
                #"asynq_tasks_enqueued_total{queue="r",state="active"} 1"#, "# TYPE asynq_queue_paused_total gauge",
                #"asynq_queue_paused_total{queue="q"} 1"#, "# TYPE asynq_tasks_failed_total counter",
                #"asynq_tasks_failed_total{queue="q"} 3"#,
            ])
        #expect(PageFormat.openMetrics.encode(families) == Array("# EOF\n".utf8))
        #expect(PageFormat.protobuf.encode(families) == [])
    }

    @Test("Label sets are made once for a queue, and forgotten with it")
    func labelCache() {
        let cache = QueueLabelSets.Cache()
        let queues = ["a", "b"].map { QueueSnapshot(name: QueueName($0)) }
        func places(_ labels: [QueueLabelSets]) -> [UnsafeRawPointer?] {
            labels.map { $0.queue.withUnsafeBytes { $0.baseAddress } }
        }
        let first = cache.labels(of: queues)
        #expect(places(cache.labels(of: queues.reversed())) == places(first).reversed())
        #expect(cache.labels(of: []).isEmpty)
        #expect(places(cache.labels(of: queues)) != places(first))
    }

    private static func view(
        _ names: [[UInt8]], size: Int64 = 1, maxLabelBytes: Int = RedisLabelBudget.maxBytes
    ) -> RedisView {
        let queues = names.map { name in
            var queue = QueueSnapshot(name: QueueName(name))
            queue.size[.pending] = size
            queue.latencyNanoseconds = 5
            return queue
        }
        let snapshot = RedisSnapshot(queues: queues, takenAt: WallTime(nanoseconds: 0), partialErrors: [])
        return RedisView(
            snapshot, queues.map { QueueLabelSets($0.name) }, maxLabelBytes: maxLabelBytes, hasAsynqmonNames: false)
    }

    @Test("Queues whose names look alike once they are cut, or are called _other, are one: their counts are added")
    func alike() {
        let begin = [UInt8](repeating: 0x61, count: 300)
        let view = Self.view([Array("_other".utf8), Array("b".utf8), begin, begin + [1], begin + [2]], size: 3)
        let found = series(view.queueFamilies, named: "asynq_queue_size")
        let cut = String(repeating: "a", count: 253) + "…"
        #expect(
            Set(found) == [
                #"asynq_queue_size{queue="b",state="pending"} 3"#,
                #"asynq_queue_size{queue="\#(cut)",state="pending"} 3"#,
                #"asynq_queue_size{queue="_other",state="pending"} 9"#,
            ])
        // An age can't be added.
        #expect(series(view.queueFamilies, named: "asynq_queue_latency").count == 2)
        #expect(
            series(view.smallFamilies, named: "asynq_redis_unlabeled_names{label=\"queue\"").last?.hasSuffix(" 3")
                == true)
    }

    @Test("The labels of queues have a bound in bytes, beyond which they are _other")
    func labelBytes() {
        let names = (0..<20_000).map { number in
            [UInt8](repeating: 0x61, count: 240) + Array(String(100_000 + number).utf8)
        }
        let found = series(Self.view(names).queueFamilies, named: "asynq_queue_size")
        #expect(found.count > 10_000 && found.count < 12_000)
        #expect(found.last == "asynq_queue_size{queue=\"_other\",state=\"pending\"} \(20_001 - found.count)")
        #expect(found.reduce(0) { $0 + $1.utf8.count } < 2 * RedisLabelBudget.maxBytes)
        let small = Self.view(names, maxLabelBytes: 1 << 20)
        #expect(small.labelBytes > 1 << 20 - 512 && small.labelBytes <= 1 << 20)
        #expect(series(small.queueFamilies, named: "asynq_queue_size").count < found.count / 3)
    }

    @Test("A page in portions goes on behind the last queue, also when others are there meanwhile")
    func portions() {
        func names(_ numbers: some Sequence<Int>) -> [[UInt8]] { numbers.map { Array("q\(1000 + $0)".utf8) } }
        let all = Self.view(names(0..<300))
        let fewer = Self.view(names(stride(from: 1, to: 400, by: 2)))
        var found: [String] = []
        var last: QueueName?
        var view = all
        repeat {
            last = view.forPortion(behind: last) { places in
                found += series([view.samples(ofFamily: 0, places)], named: "asynq_queue_size")
            }
            view = fewer
        } while last != nil
        #expect(found.count == Set(found).count)
        let expected = Array(0..<128) + stride(from: 129, to: 400, by: 2)
        #expect(found == expected.map { "asynq_queue_size{queue=\"q\(1000 + $0)\",state=\"pending\"} 1" })
    }
}
