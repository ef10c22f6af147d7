import InMemoryLogging
import Logging
import Metrics
import Model
import OTLPClient
import Platform
import TestSupport
import Testing

@testable import MetricsPush
@testable import OTLPClient

/// Pushes of a registry, as the loop drives them, with answers that a test gives.
private struct Pushes: ~Copyable {
    static let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

    let kept = InMemoryLogHandler()
    let counters = PushCounters()
    var progress: PushProgress
    private let registry: MetricsRegistry

    init(_ temporality: OTLPMetrics.Temporality = .cumulative, series: Int = 1, memoryBytes: Int = 8 << 20) throws {
        let backend = OTLPBackend(
            endpoint: try OTLPEndpoint(base: "http://p", for: .metrics), headers: [], compression: .none,
            timeout: .seconds(1), userAgent: "t")
        let options = MetricsPushOptions(
            backend, interval: .seconds(30), temporality: temporality, histograms: .exponential, attributes: [],
            memoryBytes: memoryBytes)
        let kept = kept
        progress = PushProgress(
            options, OTLPMetrics.Source(attributes: [], scope: "s", version: "1"), counters: counters,
            log: PushLog(Logger(label: "test") { _ in kept }, backend), startedAt: WallTime(seconds: 1), now: Self.start
        )
        registry = MetricsRegistry([Series(count: series)])
    }

    static func at(_ seconds: Int64) -> MonotonicTime { start.advanced(by: .seconds(seconds)) }

    static func answer(_ status: Int, retryAfter: UInt64 = 0) -> OTLPAnswer {
        var answer = OTLPAnswer()
        answer.status = status
        answer.retryAfterSeconds = retryAfter
        return answer
    }

    var lines: [String] { kept.entries.map { "\($0.message)" } }

    /// Pushes once. Each request takes a quarter of a second, and has the next of these answers, the last one again
    /// where there are no more. Returns the number of requests, and whether the push came to its end.
    mutating func push(
        _ answers: [OTLPAnswer?], at seconds: Int64, isLast: Bool = false
    ) -> (requests: Int, isWhole: Bool) {
        progress.beginPush(registry.chunks, at: WallTime(seconds: 100 + seconds))
        var requests = 0
        while progress.nextRequest(at: WallTime(seconds: 100 + seconds)) != nil {
            requests += 1
            let sentAt = Self.at(seconds)
            let answer = answers[min(requests, answers.count) - 1]
            let now = sentAt.advanced(by: .milliseconds(250))
            guard progress.settleRequest(answer, isLastPush: isLast, sentAt: sentAt, now: now) else {
                return (requests, false)
            }
        }
        progress.endPush(at: Self.at(seconds + 1))
        return (requests, true)
    }
}

private struct Series: MetricSource {
    let count: Int

    func metricFamilies() -> [MetricFamily] {
        var counters = MetricFamily(FamilyDeclaration("c_total", .counter, "Counter."))
        for number in 0..<count { counters.add(1, LabelSet(["queue": "queue \(number)"])) }
        return [counters]
    }
}

@Suite("What the answers of a push lead to")
struct PushProgressTests {
    private static let many = 20_000
    private static let littleMemory = 1_400_000

    @Test("A push is complete when all requests were accepted: its begin counts, and each request's time")
    func complete() throws {
        var pushes = try Pushes(series: Self.many, memoryBytes: Self.littleMemory)
        let push = pushes.push([Pushes.answer(200)], at: 5)
        #expect(push.requests > 2 && push.isWhole)
        let found = pushes.counters.statistics
        #expect(found.lastSuccess == WallTime(seconds: 105) && found.lastFailure == nil)
        #expect(found.requests == ["200": UInt64(push.requests)] && found.failedRequests == 0)
        #expect(found.durations.count == UInt64(push.requests))
        #expect(found.durations.sum == Double(push.requests) / 4)
        #expect(pushes.lines.isEmpty)
    }

    @Test("After a refused request the others are sent, but the push is not complete")
    func refused() throws {
        var pushes = try Pushes(series: Self.many, memoryBytes: Self.littleMemory)
        let push = pushes.push([Pushes.answer(200), Pushes.answer(400), Pushes.answer(200)], at: 5)
        #expect(push.requests > 2 && push.isWhole)
        let found = pushes.counters.statistics
        #expect(found.lastSuccess == nil && found.lastFailure == "400" && found.isPartlyAccepted)
        #expect(found.requests == ["200": UInt64(push.requests - 1), "400": 1] && found.failedRequests == 1)
        #expect(pushes.lines == ["the backend does not take these metrics"])
        // The next push is judged by itself.
        _ = pushes.push([Pushes.answer(200)], at: 35)
        #expect(pushes.counters.statistics.lastSuccess == WallTime(seconds: 135))
        #expect(pushes.lines.last == "metrics are pushed again")
    }

    @Test("Any other failure ends the push", arguments: [(503, "503"), (401, "401"), (500, "500"), (302, "302")])
    func failed(status: Int, code: String) throws {
        var pushes = try Pushes(series: Self.many, memoryBytes: Self.littleMemory)
        let push = pushes.push([Pushes.answer(200), Pushes.answer(status)], at: 5)
        #expect(push.requests == 2 && !push.isWhole)
        let found = pushes.counters.statistics
        #expect(found.requests == ["200": 1, code: 1] && found.lastSuccess == nil && found.durations.sum == 0.5)
        #expect(found.isPartlyAccepted)
        #expect(found.lastFailure?.hasPrefix(code) == true && pushes.lines.count == 1)
    }

    @Test("Without memory for a request, the push ends and says so")
    func noMemory() throws {
        var pushes = try Pushes()
        let push = pushes.push([OTLPAnswer.failed(.noMemory)], at: 5)
        #expect(push.requests == 1 && !push.isWhole && pushes.lines.count == 1)
        #expect(pushes.counters.statistics.failedRequests == 1 && !pushes.counters.statistics.isPartlyAccepted)
    }

    @Test("Data points that the backend rejects are counted and told; the push is complete")
    func rejected() throws {
        var pushes = try Pushes(series: 5)
        var answer = Pushes.answer(200)
        // ExportMetricsServiceResponse: partial_success {rejected_data_points: 3, error_message: "old"}.
        answer.body = [0x0A, 7, 0x08, 3, 0x12, 3] + Array("old".utf8)
        answer.contentType = "application/x-protobuf"
        let push = pushes.push([answer], at: 5)
        #expect(push.requests == 1 && push.isWhole)
        let found = pushes.counters.statistics
        #expect(found.rejectedPoints == 3 && found.lastSuccess == WallTime(seconds: 105))
        #expect(pushes.lines == ["the backend took a push of metrics but for some data points"])
        #expect(
            found.lastFailure == "3 data points rejected: old" && found.isPartlyAccepted && found.failedRequests == 0)
        _ = pushes.push([Pushes.answer(200)], at: 35)
        #expect(pushes.counters.statistics.lastFailure == nil && !pushes.counters.statistics.isPartlyAccepted)
    }

    @Test(
        "A request of which the backend rejects every data point has failed, however many it claims",
        arguments: [[0x08, 0x7F], [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]] as [[UInt8]])
    func allRejected(count: [UInt8]) throws {
        var pushes = try Pushes(series: 5)
        var answer = Pushes.answer(200)
        answer.body = [0x0A, UInt8(count.count + 5)] + count + [0x12, 3] + Array("old".utf8)
        answer.contentType = "application/x-protobuf"
        for second in [5, 35] as [Int64] {
            #expect(pushes.push([answer], at: second).isWhole)
        }
        let found = pushes.counters.statistics
        #expect(found.lastSuccess == nil && found.requests == ["rejected": 2] && found.failedRequests == 2)
        #expect(found.lastFailure == "the backend rejects every data point: old" && !found.isPartlyAccepted)
        let points = found.rejectedPoints
        #expect(points >= 10 && points < 100 && points % 2 == 0, "\(points)")
        #expect(pushes.lines == ["the backend does not take these metrics"])
    }

    @Test("Retry-After moves the next push, and the last one; an answer without it moves none")
    func retryAfter() throws {
        var pushes = try Pushes()
        #expect(pushes.progress.schedule.next == Pushes.at(5))
        _ = pushes.push([Pushes.answer(503)], at: 5)
        pushes.progress.advance(at: Pushes.at(5))
        #expect(pushes.progress.schedule.next == Pushes.at(35))
        _ = pushes.push([Pushes.answer(429, retryAfter: 90)], at: 35)
        pushes.progress.advance(at: Pushes.at(36))
        let next = Pushes.at(125).advanced(by: .milliseconds(250))
        #expect(pushes.progress.schedule.next == next)
        #expect(pushes.progress.lastPush(at: Pushes.at(100), deadline: Pushes.at(126)) == next)
        #expect(pushes.lines.count == 2, "a line for each status")
        #expect(pushes.progress.lastPush(at: Pushes.at(100), deadline: Pushes.at(125)) == nil)
        #expect(pushes.progress.lastPush(at: Pushes.at(100), deadline: Pushes.at(100)) == nil)
        #expect(
            pushes.kept.entries.suffix(2).map { $0.metadata["reason"] } == [
                "the backend asked for a longer pause by Retry-After", "no time was left for it",
            ])
        #expect(
            pushes.lines.suffix(2) == ["the last numbers could not be pushed", "the last numbers could not be pushed"])
    }

    @Test("A request that the end of the process cuts off ends the push; it is told of the last push only")
    func cutOff() throws {
        for isLast in [false, true] {
            var pushes = try Pushes(series: Self.many, memoryBytes: Self.littleMemory)
            let push = pushes.push([Pushes.answer(200), nil], at: 5, isLast: isLast)
            #expect(push.requests == 2 && !push.isWhole)
            let found = pushes.counters.statistics
            #expect(found.requests == ["200": 1] && found.failedRequests == 0 && found.lastSuccess == nil)
            #expect(pushes.lines == (isLast ? ["the last numbers could not be pushed"] : []))
            #expect(pushes.kept.entries.allSatisfy { $0.metadata["reason"] == "the backend did not answer in time" })
        }
    }

    @Test("Series that can't be remembered are a failure of the push, though all its requests were accepted")
    func leftOut() throws {
        var pushes = try Pushes(.delta, series: Self.many, memoryBytes: 1 << 20)
        let push = pushes.push([Pushes.answer(200)], at: 5)
        #expect(push.isWhole)
        let found = pushes.counters.statistics
        #expect(found.lastSuccess == WallTime(seconds: 105) && found.requests["memory"] == 1)
        #expect(found.failedRequests == 1 && found.durations.count == found.requests["200"])
        #expect(pushes.lines == ["series are left out of pushes"])
        let leftOut = pushes.progress.contents.acknowledged.leftOut
        let reason = "\(leftOut) series are more than can be remembered for differences"
        #expect(leftOut > 0 && found.lastFailure == reason && pushes.kept.entries[0].metadata["reason"] == "\(reason)")
        #expect(
            pushes.kept.entries[0].metadata["advice"]
                == "raise memory.limit, or set metrics.push.temporality to cumulative")
    }

    @Test("What is remembered of series is counted as held when a request is settled")
    func held() throws {
        var pushes = try Pushes(.delta, series: 1000)
        _ = pushes.push([Pushes.answer(503)], at: 5)
        #expect(pushes.counters.heldBytes == pushes.progress.contents.acknowledged.bytes)
        _ = pushes.push([Pushes.answer(200)], at: 35)
        #expect(pushes.counters.heldBytes == pushes.progress.contents.acknowledged.bytes)
        #expect(pushes.counters.heldBytes > 1000)
    }
}

@Suite("The end of the process, as pushes see it")
struct PushEndingTests {
    @Test(
        "A push that is under way gets half of the time, the last one all of it",
        arguments: [
            (false, 0, false), (false, 4, false), (false, 5, true), (false, 10, true), (true, 0, false),
            (true, 5, false), (true, 9, false), (true, 10, true), (true, 11, true),
        ] as [(Bool, Int64, Bool)])
    func isOver(isLastPush: Bool, seconds: Int64, isOver: Bool) {
        let ending = PushEnding(begin: Pushes.at(0), deadline: Pushes.at(10))
        #expect(ending.isOver(isLastPush: isLastPush, at: Pushes.at(seconds)) == isOver)
    }

    @Test("Without any time both are over at once")
    func none() {
        let ending = PushEnding(begin: Pushes.at(3), deadline: Pushes.at(3))
        #expect(ending.isOver(isLastPush: true, at: Pushes.at(3)) && ending.isOver(isLastPush: false, at: Pushes.at(3)))
    }
}
