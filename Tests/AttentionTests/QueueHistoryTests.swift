import Model
import Testing

@testable import Attention

@Suite("An hour of history")
struct QueueHistoryTests {
    private let name = QueueName("q")

    private func reading(
        _ name: String = "q", pending: Int64 = 0, active: Int64 = 0, processed: Int64 = 0, failed: Int64 = 0,
        wait: [Double]? = nil
    ) -> QueueReading {
        var queue = QueueSnapshot(name: QueueName(name))
        queue.size = [.pending: pending, .active: active]
        queue.processed = processed
        queue.failed = failed
        queue.completed = processed - failed
        return QueueReading(name: QueueName(name), snapshot: queue, wait: wait)
    }

    private func time(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: UInt64(seconds * 1e9)) }

    @Test("A point has the last reading in it and what was counted in it")
    func points() {
        var history = QueueHistory(interval: .seconds(5))
        for step in 0..<4 {
            history.record(
                [
                    reading(
                        pending: Int64(10 * step), processed: Int64(50 * step), failed: Int64(5 * step),
                        wait: [1, 2, Double(step)])
                ], at: time(1000 + 5 * Double(step)))
        }
        #expect(history.value(.pending, of: name, at: 203) == 30)
        #expect(history.value(.waitP99, of: name, at: 202) == 2)
        // What was done from second 1000 to 1005 lies in the point of these seconds.
        for point in 200...202 {
            #expect(history.value(.completed, of: name, at: point) == 45)
            #expect(history.value(.failed, of: name, at: point) == 5)
            #expect(history.value(.enqueued, of: name, at: point) == 60)
        }
        #expect(history.value(.completed, of: name, at: 199) == nil)
        #expect(history.rate(.completed, of: name) == 9 && history.rate(.failed, of: name) == 1)
        #expect(history.rate(.enqueued, of: name) == 12)
        #expect(history.sum(.completed, of: name, over: .seconds(600)) == 135)
    }

    @Test("What came between two scrapes is shared by the points that they lie in")
    func shares() {
        var history = QueueHistory(interval: .seconds(5))
        history.record([reading()], at: time(1003))
        history.record([reading(processed: 100)], at: time(1008))
        #expect(history.value(.completed, of: name, at: 200) == 40)
        #expect(history.value(.completed, of: name, at: 201) == 60)
    }

    @Test("A scrape that comes a little late leaves no gap, an outage does; its attempts are spread over it")
    func gaps() {
        var history = QueueHistory(interval: .seconds(5))
        history.record([reading(pending: 1)], at: time(1000))
        history.record([reading(pending: 2)], at: time(1010.1))
        #expect(history.value(.pending, of: name, at: 201) == 2)
        history.record([reading(pending: 3, processed: 600)], at: time(1070.1))
        #expect(history.value(.pending, of: name, at: 207) == nil && history.value(.pending, of: name, at: 214) == 3)
        #expect(history.value(.completed, of: name, at: 207).map { abs($0 - 50) < 0.01 } == true)
        #expect(history.sum(.completed, of: name, over: .seconds(3600)).map { abs($0 - 600) < 0.1 } == true)
    }

    @Test("Counters that fall are those of a new queue of this name, deletions are no arrivals")
    func resets() {
        var history = QueueHistory(interval: .seconds(5))
        history.record([reading(pending: 100, processed: 1000)], at: time(1000))
        history.record([reading(pending: 0, processed: 7)], at: time(1005))
        #expect(history.sum(.completed, of: name, over: .seconds(60)) == 7)
        #expect(history.sum(.enqueued, of: name, over: .seconds(60)) == 0)
    }

    @Test("An hour is kept, and no more")
    func hour() {
        var history = QueueHistory(interval: .seconds(5))
        for step in 0..<1000 { history.record([reading(pending: Int64(step))], at: time(1000 + 5 * Double(step))) }
        let last = 200 + 999
        #expect(history.value(.pending, of: name, at: last) == 999)
        #expect(history.value(.pending, of: name, at: last - 719) == 280)
        #expect(history.value(.pending, of: name, at: last - 721) == nil)
        #expect(history.earliest(.pending, of: name, within: .seconds(300))?.value == 939)
    }

    @Test("Queues that are gone are forgotten, and what they took is free")
    func gone() {
        var history = QueueHistory(interval: .seconds(5))
        history.record([reading("a"), reading("b")], at: time(1000))
        #expect(history.count == 2)
        let bytes = history.bytes
        history.record([reading("b")], at: time(1005))
        #expect(history[QueueName("a")] == nil && history[QueueName("b")] != nil && history.bytes * 2 == bytes)
    }

    @Test(
        "5,000 queues fit into the limit, with an hour in longer steps, and come back to short ones with fewer queues")
    func manyQueues() {
        var history = QueueHistory(interval: .seconds(5))
        let few = [reading(pending: 4)]
        for step in 0..<64 { history.record(few, at: time(1000 + 5 * Double(step))) }
        let many = (0..<5000).map { reading("q\($0)", pending: 3) } + [reading(pending: 9, processed: 640)]
        history.record(many, at: time(1320))
        #expect(history.bytes <= QueueHistory.maxBytes && history.bytes > QueueHistory.maxBytes / 4)
        #expect(history.steps.seconds == 80)
        #expect(history.value(.pending, of: name, at: 1000 / 80 + 1) == 4)
        #expect(history.value(.pending, of: name, at: 1320 / 80) == 9)
        #expect(history.sum(.completed, of: name, over: .seconds(3600)).map { abs($0 - 640) < 0.1 } == true)
        for step in 1...45 { history.record(many, at: time(1320 + 80 * Double(step))) }
        #expect(history[QueueName("q7")]?.value(.pending, at: 1400 / 80) == 3)
        history.record([reading(pending: 5, processed: 1280)], at: time(5000))
        #expect(history.steps.seconds == 5 && history.value(.pending, of: name, at: 1000) == 5)
        #expect(history.value(.pending, of: name, at: 960) == 9)
        #expect(history.sum(.completed, of: name, over: .seconds(3600)).map { abs($0 - 640) < 1 } == true)
    }

    @Test("However many queues there are, the history keeps its limit as long as two points of each fit")
    func tinyLimit() {
        for count in [1, 3, 50, 700] {
            var history = QueueHistory(interval: .seconds(1), maxBytes: 700 * 3 * 64)
            let readings = (0..<count).map { reading("q\($0)") }
            for step in 0..<100 { history.record(readings, at: time(1000 + Double(step))) }
            #expect(history.bytes <= 700 * 3 * 64, "\(count)")
        }
    }

    @Test("Several points as one have the sum a second, the last reading and the longest wait")
    func groups() throws {
        var history = QueueHistory(interval: .seconds(5))
        for step in 0..<9 {
            history.record(
                [reading(pending: Int64(step), processed: Int64(10 * step), wait: [0, step == 5 ? 99 : 1, 0])],
                at: time(1000 + 5 * Double(step)))
        }
        let columns = try #require(history[name])
        #expect(columns.value(.pending, group: 50, factor: 4, seconds: 20) == 3)
        #expect(columns.value(.completed, group: 50, factor: 4, seconds: 20) == 2)
        #expect(columns.value(.waitP95, group: 51, factor: 4, seconds: 20) == 99)
        #expect(columns.value(.pending, group: 53, factor: 4, seconds: 20) == nil)
    }

    @Test("The first dead letters of a queue that was not there before count")
    func firstDeaths() {
        var history = QueueHistory(interval: .seconds(5))
        var first = reading()
        first.snapshot?.deadLettered = 3
        history.record([first], at: time(1000))
        #expect(history.sum(.deadLettered, of: name, over: .seconds(60)) == 3)
        first.snapshot?.deadLettered = 5
        history.record([first], at: time(1005))
        #expect(history.sum(.deadLettered, of: name, over: .seconds(60)) == 5)
    }
}
