import Metrics
import Model
import Testing

@testable import Collector

@Suite("Families about servers, schedulers and Redis itself")
struct ServerMetricsTests {
    private static func server(
        _ id: String, _ status: String = "active", concurrency: Int64, busy: Int64 = 0, queues: [String] = []
    ) -> ServerSnapshot {
        ServerSnapshot(
            host: ForeignText("h-" + id), pid: 7, id: ForeignText(id), concurrency: concurrency,
            queues: queues.map { QueueName($0) }, status: ForeignText(status), busyWorkers: busy)
    }

    private static func entry(_ id: String, next: Int64?, previous: Int64?) -> SchedulerEntrySnapshot {
        SchedulerEntrySnapshot(
            id: ForeignText(id), spec: ForeignText("@every 1m"), taskType: TaskType("t"), scheduler: Array("s".utf8),
            nextEnqueue: next.map { WallTime(seconds: $0) }, previousEnqueue: previous.map { WallTime(seconds: $0) })
    }

    @Test("A queue's consumers are the active servers that name it, each once, with their concurrency")
    func consumers() {
        let queues = ["idle", "q", "r"].map { QueueSnapshot(name: QueueName($0)) }
        let servers = [
            Self.server("a", concurrency: 10, queues: ["q", "q", "r", "unknown"]),
            Self.server("b", concurrency: 5, queues: ["q"]),
            Self.server("c", "stopped", concurrency: 100, queues: ["q", "r", "idle"]),
        ]
        let families = ServerMetrics.consumers(of: queues, queues.map { QueueLabelSets($0.name) }, by: servers)
        #expect(
            series(families) == [
                #"asynq_queue_consumers{queue="idle"} 0"#, #"asynq_queue_consumers{queue="q"} 2"#,
                #"asynq_queue_consumers{queue="r"} 1"#, #"asynq_queue_concurrency{queue="idle"} 0"#,
                #"asynq_queue_concurrency{queue="q"} 15"#, #"asynq_queue_concurrency{queue="r"} 10"#,
            ])
        let some = ServerMetrics.consumers(
            of: queues, queues.map { QueueLabelSets($0.name) }, by: servers, areAll: false)
        #expect(
            series(some) == [
                #"asynq_queue_consumers{queue="q"} 2"#, #"asynq_queue_consumers{queue="r"} 1"#,
                #"asynq_queue_concurrency{queue="q"} 15"#, #"asynq_queue_concurrency{queue="r"} 10"#,
            ], "where others can't be read, who serves the rest is unknown")
    }

    @Test("Servers are counted by status, those that are active also where there is none")
    func statuses() {
        #expect(series(ServerMetrics.families(of: [ServerSnapshot]())) == [#"asynq_servers{status="active"} 0"#])
        let servers = [
            Self.server("a", "stopped", concurrency: 1), Self.server("b", concurrency: 2),
            Self.server("c", "stopped", concurrency: 3),
        ]
        #expect(
            series(ServerMetrics.families(of: servers), named: "asynq_servers") == [
                #"asynq_servers{status="active"} 1"#, #"asynq_servers{status="stopped"} 2"#,
            ])
    }

    @Test("A server that is listed twice is one series: Prometheus refuses a page with two of the same")
    func serverTwice() {
        let servers = [
            Self.server("b", concurrency: 2, busy: 1), Self.server("a", concurrency: 5, busy: 4),
            Self.server("b", concurrency: 2, busy: 1),
        ]
        let labels = ["a", "b"].map { #"{host="h-\#($0)",pid="7",server_id="\#($0)"}"# }
        #expect(
            series(ServerMetrics.families(of: servers), named: "asynq_server_") == [
                "asynq_server_concurrency\(labels[0]) 5", "asynq_server_concurrency\(labels[1]) 2",
                "asynq_server_busy_workers\(labels[0]) 4", "asynq_server_busy_workers\(labels[1]) 1",
            ])
    }

    @Test("A scheduler's entry that is listed twice is one series; times that it does not say are absent")
    func entries() {
        let entries = [
            Self.entry("b", next: 20, previous: nil), Self.entry("a", next: 10, previous: 5),
            Self.entry("b", next: 20, previous: nil), Self.entry("c", next: nil, previous: 7),
        ]
        func line(_ name: String, _ id: String, _ value: Int) -> String {
            #"asynq_scheduler_entry_\#(name)_enqueue_timestamp_seconds{task_type="t",spec="@every 1m",entry_id="\#(id)"} \#(value)"#
        }
        #expect(
            series(ServerMetrics.families(of: entries), named: "asynq_scheduler_entry_") == [
                line("next", "a", 10), line("next", "b", 20), line("prev", "a", 5), line("prev", "c", 7),
                #"asynq_scheduler_entry_schedulers{task_type="t",spec="@every 1m"} 1"#,
            ])
    }

    @Test("What Redis says of itself stands under its own name, and what it does not say is absent")
    func info() {
        var info = RedisInfo()
        #expect(series(ServerMetrics.families(of: info)) == [])
        info.usedMemoryBytes = 1
        info.maxMemoryBytes = 0
        #expect(
            series(ServerMetrics.families(of: info)) == [
                "asynq_redis_used_memory_bytes 1", "asynq_redis_max_memory_bytes 0",
            ])
        info.evictedKeys = 3
        info.connectedClients = 4
        #expect(
            series(ServerMetrics.families(of: info)).suffix(2) == [
                "asynq_redis_evicted_keys_total 3", "asynq_redis_connected_clients 4",
            ])
    }
}
