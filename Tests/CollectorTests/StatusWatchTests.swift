import Attention
import Logging
import Model
import Platform
import TestSupport
import Testing

@testable import Collector

@Suite("What the collector sees over time")
struct StatusWatchTests {
    private let clock = TestClock()
    private let lines = LinesLog()

    private func makeWatch() -> StatusWatch {
        StatusWatch(interval: .seconds(5), clock: clock.clock, logger: Logger(label: "attention") { _ in lines })
    }

    private func snapshot(_ queues: [String], deadLettered: UInt64 = 0) -> RedisSnapshot {
        let snapshots = queues.map { name in
            var queue = QueueSnapshot(name: QueueName(name))
            queue.deadLettered = deadLettered
            return queue
        }
        return RedisSnapshot(queues: snapshots, takenAt: clock.clock.wall(), partialErrors: [])
    }

    /// Scrapes every five seconds.
    private func run(_ watch: StatusWatch, seconds: Int, _ snapshot: () -> RedisSnapshot) {
        for _ in 0..<seconds / 5 {
            clock.advance(seconds: 5)
            let snapshot = snapshot()
            watch.record(snapshot, waits: [:])
            #expect(watch.isJudgementDue)
            watch.judge(redis: .read(snapshot), letters: [], spans: SpanPath(), pushes: nil)
            #expect(!watch.isJudgementDue)
        }
    }

    @Test("A trouble is logged once when it begins and once when it ends")
    func log() {
        let watch = makeWatch()
        run(watch, seconds: 60) { snapshot(["emails"]) }
        #expect(lines.all == [])
        run(watch, seconds: 600) { snapshot(["emails"], deadLettered: 3) }
        #expect(lines.all == ["trouble began AsynqDeadLetters emails"])
        run(watch, seconds: 600) { snapshot(["emails"], deadLettered: 3) }
        #expect(lines.all == ["trouble began AsynqDeadLetters emails", "trouble ended AsynqDeadLetters emails"])
    }

    @Test("Very many troubles at a time are a few lines, and a number")
    func manyTroubles() {
        let watch = makeWatch()
        let names = (0..<500).map { "q\($0)" }
        run(watch, seconds: 5) { snapshot(names) }
        run(watch, seconds: 120) { snapshot(names, deadLettered: 1) }
        #expect(watch.current.troubles.count == 500)
        #expect(lines.all.count == 21 && lines.all.last == "more troubles began or ended 480")
    }

    @Test("The last known state stays when Redis can't be read, and troubles are judged again after a while")
    func outage() {
        let watch = makeWatch()
        run(watch, seconds: 10) { snapshot(["a", "b"]) }
        let taken = watch.current.lastKnown?.takenAt
        for _ in 0..<30 {
            clock.advance(milliseconds: 4999)
            #expect(!watch.isJudgementDue)
            clock.advance(milliseconds: 1)
            #expect(watch.isJudgementDue)
            watch.judge(redis: .unread("refused"), letters: [], spans: SpanPath(), pushes: nil)
        }
        let state = watch.current
        #expect(state.lastKnown?.takenAt == taken && state.rows.map(\.name.text) == ["a", "b"])
        #expect(state.troubles.map(\.condition) == [.redisUnreachable] && state.troubles[0].severity == .critical)
        #expect(watch.historyBytes == state.history.bytes && state.history.count == 2)
    }

    @Test("Rows, troubles and the reading of Redis are of one moment; what is not is judged first")
    func oneMoment() throws {
        let watch = makeWatch()
        #expect(watch.judged(.unread(nil)) == nil)
        watch.judge(redis: .unread(nil), letters: [], spans: SpanPath(), pushes: nil)
        #expect(watch.judged(.unread(nil)) != nil && watch.judged(.unread("refused")) == nil)
        let (first, second) = (snapshot(["a"]), snapshot(["a", "b"]))
        watch.record(first, waits: [:])
        #expect(watch.judged(.read(first)) == nil)
        // The thread of Redis has a newer snapshot that is not recorded yet.
        let state = watch.judge(redis: .read(second), letters: [], spans: SpanPath(), pushes: nil)
        #expect(state.redis.snapshot?.queues.count == 1 && state.rows.count == 1)
        #expect(watch.judged(.read(second))?.rows.count == 1)
        watch.record(second, waits: [:])
        #expect(watch.judged(.read(second)) == nil)
        watch.judge(redis: .read(second), letters: [], spans: SpanPath(), pushes: nil)
        let known = try #require(watch.judged(.read(second)))
        #expect(known.redis.snapshot?.queues.count == 2 && known.rows.count == 2)
        #expect(watch.judged(.unread("refused")) == nil)
        clock.advance(seconds: 5)
        #expect(watch.judged(.read(second)) == nil)
    }

    @Test("Since when the trace backend has been down")
    func backend() {
        let watch = makeWatch()
        var spans = SpanPath()
        var since: [WallTime?] = []
        for isUp in [nil, true, true, false, false, true] as [Bool?] {
            clock.advance(seconds: 5)
            spans.backend = Backend(isUp: isUp, lastFailure: nil, requests: 0, failedRequests: 0)
            watch.judge(redis: .off, letters: [], spans: spans, pushes: nil)
            since.append(watch.current.backend?.since)
        }
        #expect(since[0] == nil && since[1] == since[2] && since[3] == since[4] && since[5] == clock.clock.wall())
    }
}
