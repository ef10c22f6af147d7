import Model
import OTLP
import Testing

@Suite("Attributes of a task")
struct AttributeTests {
    private func scan(_ attributes: [UInt8]...) throws -> (scanned: Scanned, task: TaskSpan) {
        let scanned = try Scanned(request(ids + kind(5) + attributes.flatMap { $0 }))
        return (scanned, try #require(scanned.tasks.first))
    }

    @Test(
        "each name that the contract lists is read",
        arguments: [
            "messaging.destination.name", "asynq.queue", "queue",
        ])
    func queueNames(name: String) throws {
        let (scanned, task) = try scan(attribute(name, "mail"))
        #expect(scanned.text(task.queue) == "mail")
    }

    @Test(
        "the names of type, id and retry count are read",
        arguments: [
            ("asynq.task.type", "messaging.message.id", "asynq.task.retry_count"),
            ("messaging.destination.template", "asynq.task.id", "asynq.task.retried"),
            ("task_type", "task_id", "retry_count"),
        ])
    func otherNames(type: String, id: String, retries: String) throws {
        let (scanned, task) = try scan(attribute(type, "t"), attribute(id, "i"), attribute(retries, Value.int(3)))
        #expect(scanned.text(task.taskType) == "t")
        #expect(scanned.text(task.taskID) == "i")
        #expect(task.retryCount == .integer(3))
    }

    @Test("the older conventions' names of queue and id are read, behind all newer ones")
    func olderNames() throws {
        let queue = attribute("messaging.destination", "old")
        let id = attribute("messaging.message_id", "old")
        let (scanned, task) = try scan(queue, id)
        #expect(scanned.text(task.queue) == "old" && scanned.text(task.taskID) == "old")
        for (newQueue, newID) in [
            ("messaging.destination.name", "messaging.message.id"), ("asynq.queue", "asynq.task.id"),
            ("queue", "task_id"),
        ] {
            let newer = attribute(newQueue, "new") + attribute(newID, "new")
            for order in [[newer, queue + id], [queue + id, newer]] {
                let (scanned, task) = try scan(order[0], order[1])
                #expect(scanned.text(task.queue) == "new" && scanned.text(task.taskID) == "new", "\(newQueue)")
            }
        }
    }

    @Test(
        "of two names the first in the list wins, in either order",
        arguments: [
            ["messaging.destination.name", "asynq.queue", "queue"]
        ])
    func precedence(names: [String]) throws {
        for (rank, name) in names.enumerated() {
            for lower in names[(rank + 1)...] {
                let better = attribute(name, "better")
                let worse = attribute(lower, "worse")
                for order in [[better, worse], [worse, better]] {
                    let (scanned, task) = try scan(order[0], order[1])
                    #expect(scanned.text(task.queue) == "better", "\(name) against \(lower)")
                }
            }
        }
    }

    @Test("a name without a value, or with one that can't be used, does not hide another one")
    func uselessValues() throws {
        for useless in [[], Value.bool(true), Value.bytes([1]), Value.array(Value.int(1))] {
            for order in [true, false] {
                let queues = [attribute("messaging.destination.name", useless), attribute("queue", "q")]
                let retries = [attribute("asynq.task.retry_count", useless), attribute("retry_count", Value.int(2))]
                let stamps = [
                    attribute("asynq.task.ready_at", useless), attribute("enqueued_at", Value.int(1_700_000_000)),
                ]
                let waits = [attribute("asynq.task.wait_ms", useless), attribute("queue_wait_seconds", Value.int(4))]
                let all = [queues, retries, stamps, waits].flatMap { order ? $0 : $0.reversed() }.flatMap { $0 }
                let (scanned, task) = try scan(all)
                #expect(scanned.text(task.queue) == "q")
                #expect(task.retryCount == .integer(2))
                #expect(task.stamp == .integer(1_700_000_000))
                #expect(task.stampMeaning == .enqueued)
                #expect(task.wait == .integer(4))
                #expect(task.waitUnitSeconds == 1)
            }
        }
    }

    @Test("a wait or a stamp that can't be one does not hide the next, in either order")
    func impossibleValues() throws {
        let better: [[UInt8]] = [
            Value.text("fast"), Value.double(.nan), Value.double(.infinity), Value.double(4e11), Value.text("4e11"),
        ]
        let good = attribute("queue_wait_seconds", Value.int(4))
        for value in better {
            let bad = attribute("asynq.task.wait_ms", value)
            for order in [[bad, good], [good, bad]] {
                let (_, task) = try scan(order[0], order[1])
                #expect(task.wait == .integer(4) && task.waitUnitSeconds == 1)
            }
            #expect(try scan(bad).task.wait != .absent)
        }
        for value in [Value.text("yesterday"), Value.int(5), Value.double(-1)] {
            let bad = attribute("asynq.task.ready_at", value)
            let good = attribute("enqueued_at", Value.int(1_700_000_000))
            for order in [[bad, good], [good, bad]] {
                let (_, task) = try scan(order[0], order[1])
                #expect(task.stamp == .integer(1_700_000_000) && task.stampMeaning == .enqueued)
            }
        }
    }

    @Test("a stamp of uselessness alone is still seen, so that it can be counted as bad")
    func uselessStampAlone() throws {
        let (_, task) = try scan(attribute("enqueued_at", Value.bool(true)))
        #expect(task.stamp == .boolean(true))
    }

    @Test(
        "every wait attribute has its unit",
        arguments: [
            ("asynq.task.wait_seconds", 1.0), ("asynq.task.wait_ms", 1e-3), ("queue.wait_time_seconds", 1),
            ("queue.wait_time_ms", 1e-3), ("queue_wait_ms", 1e-3),
        ])
    func waitUnits(name: String, unit: Double) throws {
        let (_, task) = try scan(attribute(name, Value.int(5)))
        #expect(task.wait == .integer(5))
        #expect(task.waitUnitSeconds == unit)
    }

    @Test("of two waits the better name gives value and unit together, in either order")
    func waitPrecedence() throws {
        let better = attribute("asynq.task.wait_ms", Value.double(250))
        let worse = attribute("queue_wait_seconds", Value.double(3))
        for order in [[better, worse], [worse, better]] {
            let (_, task) = try scan(order[0], order[1])
            #expect(task.wait == .double(250))
            #expect(task.waitUnitSeconds == 1e-3)
        }
    }

    @Test("a ready stamp goes before an enqueue stamp, in either order")
    func readyBeforeEnqueued() throws {
        let ready = attribute("asynq.task.ready_at", Value.int(1_700_000_002))
        let enqueued = attribute("asynq.task.enqueued_at", Value.int(1_700_000_001))
        for order in [[ready, enqueued], [enqueued, ready]] {
            let (_, task) = try scan(order[0], order[1])
            #expect(task.stamp == .integer(1_700_000_002))
            #expect(task.stampMeaning == .ready)
        }
        let (_, alone) = try scan(enqueued)
        #expect(alone.stampMeaning == .enqueued)
    }

    @Test(
        "stamps and process_at keep the form they came in",
        arguments: [
            "asynq.task.enqueued_at", "enqueued_at", "messaging.message.enqueued_at",
        ])
    func stampForms(name: String) throws {
        #expect(try scan(attribute(name, Value.int(7))).task.stamp == .integer(7))
        #expect(try scan(attribute(name, Value.double(7.5))).task.stamp == .double(7.5))
        let (scanned, task) = try scan(attribute(name, "2026-11-20"), attribute("asynq.task.process_at", "later"))
        #expect(scanned.text(task.stamp) == "2026-11-20")
        #expect(scanned.text(task.processAt) == "later")
    }

    @Test(
        "keys that only resemble a known one say nothing",
        arguments: [
            "", "q", "queu", "queue2", "Queue", "messaging.destination.nam", "messaging.destination.name\0",
            "messaginX.destination.name", "messaging.destXnation.name", "asynq.task.Wait_ms",
        ])
    func lookalikes(name: String) throws {
        let (_, task) = try scan(attribute(name, "x"))
        #expect(task.queue.isEmpty)
        #expect(task.wait == .absent)
    }

    @Test("configured wait attributes replace the default ones, each with its unit")
    func configuredWaits() throws {
        let table = TaskAttributeTable(waitAttributes: [.init(name: "w", unit: .us), .init(name: "lag", unit: .ns)])
        let scanned = try Scanned(
            request([
                ids + kind(5) + attribute("lag", Value.int(9)), ids + kind(5) + attribute("w", Value.int(8)),
                ids + kind(5) + attribute("asynq.task.wait_ms", Value.int(7)),
            ]), table: table)
        #expect(scanned.tasks.map(\.wait) == [.integer(9), .integer(8), .absent])
        #expect(scanned.tasks.prefix(2).map(\.waitUnitSeconds) == [1e-9, 1e-6])
    }

    @Test("a hundred configured names are found, and the fixed ones beside them")
    func manyNames() throws {
        let names = (0..<100).map { "company.internal.queue.wait.\($0)" }
        let table = TaskAttributeTable(waitAttributes: names.map { .init(name: $0, unit: .s) })
        for name in names {
            let span = ids + kind(5) + attribute(name, Value.int(1)) + attribute("queue", "q")
            let scanned = try Scanned(request([span]), table: table)
            #expect(scanned.tasks.first?.wait == .integer(1))
            #expect(scanned.tasks.first.map { scanned.text($0.queue) } == "q")
        }
    }

    @Test("attributes of events, links, scope and resource are not the span's")
    func otherAttributes() throws {
        let queue = keyValue("queue", Value.text("wrong"))
        let span = Field.bytes(
            2,
            ids + kind(5) + Field.message(11, Field.bytes(3, queue))
                + Field.message(13, Field.bytes(4, queue)))
        let body = Field.message(
            1, Field.message(1, Field.bytes(1, queue)), Field.message(2, Field.message(1, Field.bytes(3, queue)), span))
        #expect(try Scanned(body).tasks.first?.queue.isEmpty == true)
    }
}
