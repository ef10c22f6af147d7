import Attention
import Foundation
import Model
import Testing

@testable import Web

private let second: UInt64 = 1_000_000_000

@Suite("What autoscalers are told")
struct ScaleTests {
    private let loads = QueueLoads(window: .seconds(60))
    private let name = QueueName("q")

    private func note(at seconds: UInt64, processed: Int64?, pending: Int64, active: Int64 = 0, queue: String = "q") {
        var queue = QueueSnapshot(name: QueueName(queue))
        queue.processed = processed
        queue.size = [.pending: pending, .active: active]
        loads.record([queue], at: MonotonicTime(nanoseconds: seconds * second))
    }

    @Test("arrivals are the attempts that ended and what the queue has grown by")
    func arrivals() {
        note(at: 100, processed: 1000, pending: 5, active: 2)
        #expect(loads.load(of: name) == nil)
        note(at: 110, processed: 1030, pending: 20, active: 7)
        #expect(loads.load(of: name)?.arrivalsPerSecond == 5)
    }

    @Test("a queue that is drained, or whose tasks are deleted, has no negative arrivals")
    func drained() {
        note(at: 100, processed: 0, pending: 100)
        note(at: 110, processed: 40, pending: 60)
        #expect(loads.load(of: name)?.arrivalsPerSecond == 0)
        note(at: 120, processed: 40, pending: 0)
        #expect(loads.load(of: name)?.arrivalsPerSecond == 0)
    }

    @Test("where more was taken back than came all the while, nobody knows what came")
    func onlyTakenBack() {
        note(at: 100, processed: 0, pending: 100, active: 2)
        note(at: 110, processed: 40, pending: 0, active: 2)
        #expect(loads.load(of: name) == QueueLoads.Load(arrivalsPerSecond: nil, meanRunSeconds: 0.5))
        note(at: 120, processed: 80, pending: 0, active: 2)
        #expect(loads.load(of: name)?.arrivalsPerSecond == 4)
    }

    @Test("a purge does not hide what comes all the while")
    func purge() {
        for step in 0...10 as ClosedRange<Int64> {
            note(at: UInt64(100 + 5 * step), processed: step * 500, pending: step < 6 ? 10_000 : 0)
        }
        #expect(loads.load(of: name)?.arrivalsPerSecond == 100)
    }

    @Test("only the window counts: what came before it is forgotten")
    func window() {
        for step in 0..<40 as Range<UInt64> {
            // A hundred a second up to 100 s, then one a second.
            let processed = step <= 20 ? Int64(step) * 500 : 10_000 + Int64(step - 20) * 5
            note(at: step * 5, processed: processed, pending: 0)
        }
        let rate = loads.load(of: name)?.arrivalsPerSecond
        #expect(rate == 1)
    }

    @Test("what came counts until the scrape after it is as old as the window")
    func endOfWindow() {
        for step in 0...6 as ClosedRange<UInt64> {
            note(at: 100 + 10 * step, processed: step == 0 ? 0 : 600, pending: 0)
        }
        #expect(loads.load(of: name)?.arrivalsPerSecond == 10)
        note(at: 170, processed: 600, pending: 0)
        #expect(loads.load(of: name)?.arrivalsPerSecond == 0)
    }

    @Test("the first scrapes count before the window is full")
    func soon() {
        for step in 0..<4 as Range<UInt64> { note(at: 100 + step, processed: Int64(step) * 7, pending: 0) }
        #expect(loads.load(of: name)?.arrivalsPerSecond == 7)
    }

    @Test("the mean run time is what ran at a time by what ended, by Little's law")
    func meanRunTime() {
        for step in 0..<10 as Range<UInt64> { note(at: step * 5, processed: Int64(step) * 10, pending: 0, active: 6) }
        // Six at a time, two a second: three seconds each.
        #expect(loads.load(of: name)?.meanRunSeconds == 3)
        #expect(loads.load(of: QueueName("other")) == nil)
    }

    @Test(
        "a counter that falls a little, at a failover to a replica that lagged, neither hides nor multiplies what comes"
    )
    func failover() {
        for step in 0...10 as ClosedRange<Int64> {
            // Ten a second are done; the replica lacks 44 of them, which are pending on it again and are done once more.
            let lost: Int64 = step >= 6 ? 44 : 0
            note(at: UInt64(100 + 5 * step), processed: 995_000 + step * 50 - lost, pending: lost)
        }
        #expect(loads.load(of: name)?.arrivalsPerSecond == 10)
    }

    @Test("a counter that fell, a queue that was away and one that could not be read begin anew")
    func anew() {
        note(at: 100, processed: 1000, pending: 0)
        note(at: 110, processed: 10, pending: 0)
        #expect(loads.load(of: name) == nil)
        note(at: 120, processed: 20, pending: 0)
        #expect(loads.load(of: name)?.arrivalsPerSecond == 1)
        note(at: 130, processed: 20, pending: 0, queue: "another")
        #expect(loads.load(of: name) == nil)
        note(at: 140, processed: 30, pending: 0)
        note(at: 150, processed: nil, pending: 0)
        #expect(loads.load(of: name) == nil)
    }

    @Test(
        "workers by Little's law, rounded up",
        arguments: [
            // Arrivals a second, seconds, utilization, open tasks → workers.
            (10.0, 2.0, 0.8, 5, 25), (10, 2, 1, 5, 20), (1, 0.1, 0.8, 1, 1), (0, 2, 0.8, 0, 0), (0, 2, 0.8, 3, 1),
            (5, 0, 0.8, 0, 0),
            (0.1, 1, 0.8, 0, 1), (3, 1, 0.75, 0, 4), (1e300, 1e300, 0.8, 2, 1), (1e20, 1, 0.8, 2, 1_000_000_000),
            (.nan, 1, 0.8, 2, 1), (-5, 1, 0.8, 0, 0),
        ] as [(Double, Double, Double, Int64, Int64)])
    func workers(arrivals: Double, seconds: Double, utilization: Double, open: Int64, workers: Int64) {
        for (pending, active) in [(open, 0), (0, min(open, 1))] as [(Int64, Int64)] {
            let desired = ScaleAdvice.desiredWorkers(
                arrivalsPerSecond: arrivals, runSeconds: seconds, targetUtilization: utilization, pending: pending,
                active: active)
            #expect(desired == workers)
        }
    }

    @Test(
        "as many workers as tasks run, where arrivals or run times are not known",
        arguments: [
            // Arrivals a second, seconds, pending, active → workers.
            (nil, nil, 0, 0, 0), (nil, nil, 50, 0, 1), (nil, 2, 50, 20, 20), (0, nil, 50, 20, 20), (10, nil, 0, 3, 3),
        ] as [(Double?, Double?, Int64, Int64, Int64)])
    func unknown(arrivals: Double?, seconds: Double?, pending: Int64, active: Int64, workers: Int64) {
        let desired = ScaleAdvice.desiredWorkers(
            arrivalsPerSecond: arrivals, runSeconds: seconds, targetUtilization: 0.8, pending: pending, active: active)
        #expect(desired == workers)
    }

    private func object(_ document: [UInt8]) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(document)) as? [String: Any])
    }

    @Test("the advice is JSON, whatever the queue is called, with numbers as numbers")
    func advice() throws {
        let advice = ScaleAdvice(pending: 7, oldestWaitSeconds: 1.5, waitP95Seconds: 1e-7, desiredWorkers: 3)
        for name in ["q", "\"\n\\", "ü 码", ""] {
            let found = try object(QueueDocuments.scale(advice, of: QueueName(name)))
            #expect(
                Set(found.keys) == ["queue", "pending", "oldest_wait_seconds", "wait_p95_seconds", "desired_workers"])
            #expect(found["queue"] as? String == name)
            #expect(found["pending"] as? Int == 7)
            #expect(found["oldest_wait_seconds"] as? Double == 1.5)
            #expect(found["wait_p95_seconds"] as? Double == 1e-7)
            #expect(found["desired_workers"] as? Int == 3)
        }
        #expect(try object(QueueDocuments.scale(advice, of: QueueName([0xFF])))["queue"] as? String == "\\xFF")
    }

    @Test("each queue is one object; what is not known is null, and infinity is no number")
    func queues() throws {
        var snapshot = QueueSnapshot(name: QueueName("b"))
        snapshot.size = [.pending: 4]
        snapshot.isPaused = true
        let rows = [
            QueueReading(name: QueueName("a\"\n"), snapshot: nil, wait: [1, 2, .infinity]),
            QueueReading(name: QueueName("b"), snapshot: snapshot, wait: nil),
        ]
        let read = try JSONSerialization.jsonObject(with: Data(QueueDocuments.queues(rows)))
        let found = try #require(read as? [[String: Any]])
        #expect(found.map { $0["queue"] as? String } == ["a\"\n", "b"])
        #expect(found[0]["wait_p95_seconds"] as? Double == 2)
        #expect(found[0]["wait_p99_seconds"] is NSNull)
        #expect(found[0]["pending"] is NSNull)
        #expect(found[1]["pending"] as? Int == 4)
        #expect(found[1]["active"] is NSNull)
        #expect(found[1]["paused"] as? Bool == true)
        #expect(found[1]["wait_p95_seconds"] is NSNull)
        #expect(String(decoding: QueueDocuments.queues([]), as: UTF8.self) == "[]\n")
    }

    private func answer(
        _ redis: RedisReading, wait: Double? = nil, run: Double? = nil, load: QueueLoads.Load? = nil,
        at seconds: Int64 = 0
    ) -> ScaleAnswer {
        ScaleQuestion(redis: redis, waitP95Seconds: wait, runP95Seconds: run, load: load).answer(
            for: name, at: WallTime(seconds: seconds), maxAge: .seconds(18), targetUtilization: 0.5)
    }

    private func reading(_ change: (inout QueueSnapshot) -> Void = { _ in }) -> RedisReading {
        var queue = QueueSnapshot(name: name)
        queue.size = [.pending: 7, .active: 2]
        queue.latencyNanoseconds = 1_500_000_000
        change(&queue)
        return .read(RedisSnapshot(queues: [queue], takenAt: WallTime(seconds: 0), partialErrors: []))
    }

    @Test("an answer needs a snapshot that is young enough, to the nanosecond")
    func age() {
        let advice = ScaleAdvice(pending: 7, oldestWaitSeconds: 1.5, waitP95Seconds: 0, desiredWorkers: 2)
        #expect(answer(reading(), at: 18) == .advice(advice))
        #expect(answer(reading(), at: 19) == .stale("the last scrape of Redis is too old"))
        #expect(answer(.unread("no route")) == .stale("Redis can't be read: no route"))
        #expect(answer(.unread(nil)) == .stale("Redis was not read yet"))
        #expect(answer(.off) == .stale("redis.url is none: how many tasks are pending is not known"))
    }

    @Test("a queue that Redis does not know is unknown; of one that was read in part the numbers that are known stay")
    func parts() {
        let empty = RedisSnapshot(queues: [], takenAt: WallTime(seconds: 0), partialErrors: [])
        #expect(answer(.read(empty)) == .unknownQueue)
        let whole = ScaleAdvice(pending: 7, oldestWaitSeconds: 1.5, waitP95Seconds: 0, desiredWorkers: 2)
        func without(_ change: (inout ScaleAdvice) -> Void) -> ScaleAnswer {
            var advice = whole
            change(&advice)
            return .advice(advice)
        }
        #expect(answer(reading { $0.latencyNanoseconds = nil }) == without { $0.oldestWaitSeconds = nil })
        #expect(answer(reading { $0.size[.active] = nil }) == without { $0.desiredWorkers = nil })
        #expect(
            answer(reading { $0.size[.pending] = nil })
                == without { ($0.pending, $0.desiredWorkers) = (nil, nil) })
        #expect(
            answer(reading { ($0.size, $0.latencyNanoseconds) = ([:], nil) }) == .stale("the queue could not be read"))
    }

    @Test("a number that is not known is not in the document, and the others are")
    func leftOut() throws {
        let advice = ScaleAdvice(pending: nil, oldestWaitSeconds: nil, waitP95Seconds: 2, desiredWorkers: nil)
        let found = try object(QueueDocuments.scale(advice, of: name))
        #expect(Set(found.keys) == ["queue", "wait_p95_seconds"] && found["wait_p95_seconds"] as? Double == 2)
    }

    @Test("run times come from spans where there are some, else from the scrapes")
    func sources() {
        let load = QueueLoads.Load(arrivalsPerSecond: 10, meanRunSeconds: 3)
        func workers(run: Double?) -> Int64? {
            if case .advice(let advice) = answer(reading(), wait: 4, run: run, load: load) {
                #expect(advice.waitP95Seconds == 4)
                return advice.desiredWorkers
            }
            return nil
        }
        #expect(workers(run: 1) == 20)
        #expect(workers(run: nil) == 60)
    }
}
