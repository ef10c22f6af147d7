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
        return String(decoding: TextEncoder.encode(families), as: UTF8.self)
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

    @Test("After a failed scrape only the scrape's own families are left, and up is 0")
    func failedScrape() {
        var status = RedisStatus()
        status.errors = [.timeout: 3]
        let page = String(decoding: TextEncoder.encode(RedisMetrics.families(of: status)), as: UTF8.self)
        #expect(page.contains("asynq_redis_up 0\n"))
        #expect(page.contains("asynq_redis_scrape_errors_total{reason=\"timeout\"} 3\n"))
        #expect(page.contains("asynq_redis_scrape_errors_total{reason=\"connection\"} 0\n"))
        #expect(!page.contains("asynq_queue"))
    }
}
