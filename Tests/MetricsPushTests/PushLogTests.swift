import InMemoryLogging
import Logging
import Metrics
import Model
import Platform
import TestSupport
import Testing

@testable import MetricsPush
@testable import OTLPClient

@Suite("What is counted and logged of pushes")
struct PushLogTests {
    private static func moment(_ seconds: Int64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1).advanced(by: .seconds(seconds))
    }

    private static func backend(_ url: String = "http://u:p@mimir:4318") throws -> OTLPBackend {
        var backend = OTLPBackend(
            endpoint: try OTLPEndpoint(base: url, for: .metrics), headers: [], compression: .none, timeout: .seconds(5),
            userAgent: "test")
        backend.show = { $0.replacing("u:p@", with: "") }
        return backend
    }

    private let kept = InMemoryLogHandler()

    private func log() throws -> PushLog {
        PushLog(Logger(label: "test") { _ in kept }, try Self.backend())
    }

    private static let down = PushFailure(kind: .passing, reason: "503: try 17 later", retryAfterSeconds: 3)

    @Test("A failure is a line for each cause, whatever numbers it names, and the end of it is one")
    func failures() throws {
        var log = try log()
        log.recordCompletePush(at: Self.moment(0))
        log.recordFailure(Self.down, code: "503", at: Self.moment(1))
        log.recordFailure(
            PushFailure(kind: .passing, reason: "503: try 18 later", retryAfterSeconds: 2), code: "503",
            at: Self.moment(2))
        log.recordFailure(
            PushFailure(kind: .misconfigured, reason: "401: no token", advice: "a token"), code: "401",
            at: Self.moment(3))
        log.recordFailure(PushFailure(kind: .refused, reason: "400: no such thing"), code: "400", at: Self.moment(4))
        log.recordFailure(PushFailure(kind: .full, reason: "3 series are too many"), code: "memory", at: Self.moment(4))
        log.recordCompletePush(at: Self.moment(5))
        log.recordCompletePush(at: Self.moment(6))
        #expect(kept.entries.map(\.level) == [.warning, .error, .error, .error, .notice])
        #expect(
            kept.entries.map { "\($0.message)" } == [
                "metrics could not be pushed; the next push has them", "pushing metrics is misconfigured",
                "the backend does not take these metrics", "series are left out of pushes", "metrics are pushed again",
            ])
        #expect(
            kept.entries[0].metadata == [
                "endpoint": "http://mimir:4318/v1/metrics", "reason": "503: try 17 later", "more_since_last_line": "0",
                "pause_seconds": "3.0",
            ])
        #expect(kept.entries[1].metadata["advice"] == "a token" && kept.entries[2].metadata["advice"] == nil)
    }

    @Test("A pause that the backend asks for is told, of whatever failure, an hour at most")
    func pauses() throws {
        var log = try log()
        for (second, kind) in [PushFailure.Kind.passing, .misconfigured, .refused].enumerated() {
            for seconds in [0, 1800, 900, .max] as [UInt64] {
                let failure = PushFailure(kind: kind, reason: "no", advice: "a key", retryAfterSeconds: seconds)
                log.recordFailure(failure, code: "429", at: Self.moment(Int64(second)))
            }
        }
        #expect(kept.entries.map { $0.metadata["pause_seconds"] } == [nil, "1800.0", nil, "1800.0", nil, "1800.0"])
        log.recordFailure(
            PushFailure(kind: .passing, reason: "no", retryAfterSeconds: .max), code: "429", at: Self.moment(9))
        #expect(kept.entries.last?.metadata["pause_seconds"] == "3600.0")
    }

    @Test("A cause whose words vary is one line; other words come a minute later, and three times an hour at most")
    func varyingWords() throws {
        var log = try log()
        for second in 0..<7200 as Range<Int64> {
            let word = String(repeating: "x", count: Int(second) % 83)
            log.recordFailure(
                PushFailure(kind: .refused, reason: "400: pod \(word)z"), code: "400", at: Self.moment(second))
            log.recordRemark(rejectedPoints: 1, message: "pod \(word)z", at: Self.moment(second))
            if second == 59 { #expect(kept.entries.count == 2) }
        }
        let reasons = kept.entries.filter { $0.level == .error }.map { "\($0.metadata["reason"] ?? "")" }
        #expect(reasons.count == 6 && reasons[0] == "400: pod z" && Set(reasons).count > 3)
        #expect(kept.entries.count == 12)
    }

    @Test("Causes that take turns are all told: by kind, code, advice and endpoint")
    func turns() throws {
        var log = try log()
        func record(_ kind: PushFailure.Kind, _ code: String, _ advice: String? = nil, at second: Int64) {
            log.recordFailure(
                PushFailure(kind: kind, reason: code, advice: advice), code: code, at: Self.moment(second))
        }
        for second in 1...20 as ClosedRange<Int64> {
            record(.misconfigured, "401", "a token", at: second)
            record(.misconfigured, "404", "a path", at: second)
            record(.refused, "400", at: second)
            record(.refused, "400", "native histograms", at: second)
        }
        #expect(kept.entries.map { $0.metadata["reason"] } == ["401", "404", "400", "400"])
        log.endpoint = try OTLPEndpoint(base: "http://other:4318", for: .metrics)
        record(.refused, "400", at: 21)
        #expect(kept.entries.last?.metadata["endpoint"] == "http://other:4318/v1/metrics" && kept.entries.count == 5)
    }

    /// The lines where each second's answer is told by its letter: `.` for a success, others for words of the same status.
    private func lines(_ seconds: String) throws -> [String] {
        var log = try log()
        for (second, answer) in seconds.enumerated() {
            let now = Self.moment(Int64(second))
            if answer == "." {
                log.recordCompletePush(at: now)
            } else {
                let failure = PushFailure(kind: .passing, reason: answer == "a" ? "503" : "503: second thing entirely")
                log.recordFailure(failure, code: "503", at: now)
            }
        }
        return kept.entries.map { $0.level == .notice ? "again" : "\($0.metadata["reason"] ?? "")" }
    }

    @Test("A failure that comes back after one good push is told a minute later")
    func comesBack() throws {
        #expect(try lines("aa." + String(repeating: "a", count: 100)) == ["503", "again", "503"])
    }

    @Test("The end of other words is told, too")
    func endOfOtherWords() throws {
        let (failures, successes) = (String(repeating: "a", count: 60), String(repeating: ".", count: 100))
        #expect(
            try lines("\(failures).b\(successes)") == ["503", "again", "503: second thing entirely", "again"])
    }

    @Test("That series are left out has an end of its own, which a complete push is not")
    func leftOut() throws {
        var log = try log()
        for second in 0..<200 as Range<Int64> {
            log.recordCompletePush(at: Self.moment(second))
            log.recordFailure(
                PushFailure(kind: .full, reason: "\(second) series are too many"), code: "memory",
                at: Self.moment(second))
        }
        log.recordAllSeries(at: Self.moment(200))
        log.recordAllSeries(at: Self.moment(201))
        #expect(
            kept.entries.map { "\($0.message)" } == [
                "series are left out of pushes", "no series are left out of pushes any more",
            ])
    }

    @Test("What the backend leaves out, or remarks, is a line; a push without either is none")
    func remarks() throws {
        var log = try log()
        log.recordRemark(rejectedPoints: 3, message: "too old", at: Self.moment(1))
        log.recordRemark(rejectedPoints: 9, message: "too old", at: Self.moment(2))
        log.recordRemark(rejectedPoints: 0, message: "hello", at: Self.moment(3))
        log.recordRemark(rejectedPoints: 1, message: "", at: Self.moment(4))
        log.recordRemark(rejectedPoints: 0, message: "", at: Self.moment(5))
        #expect(
            kept.entries.map { "\($0.message)" } == [
                "the backend took a push of metrics but for some data points",
                "the backend took a push of metrics with a remark",
                "the backend took a push of metrics but for some data points",
            ])
        #expect(kept.entries.allSatisfy { $0.level == .warning })
        #expect(kept.entries[0].metadata == ["points": "3", "reason": "too old", "more_since_last_line": "0"])
    }

    @Test("A lost name is told once a minute, the last push that could not be made always")
    func otherLines() throws {
        var log = try log()
        let address = LastAddress(endpoint: try Self.backend().endpoint, address: "192.0.2.7")
        for second in [1, 60, 61] as [Int64] { log.recordLostName(address, "no\nsuch name", at: Self.moment(second)) }
        log.recordNoLastPush("it is late")
        #expect(kept.entries.map { "\($0.message)" }.dropFirst(2) == ["the last numbers could not be pushed"])
        #expect(
            kept.entries[0].message == "the name of metrics.push.endpoint can't be looked up; its last address is used")
        #expect(
            kept.entries[1].metadata == [
                "endpoint": "http://mimir:4318/v1/metrics", "address": "192.0.2.7", "reason": "no such name",
                "more_since_last_line": "1",
            ])
        #expect(kept.entries[2].metadata == ["endpoint": "http://mimir:4318/v1/metrics", "reason": "it is late"])
    }

    @Test("A backend that claims to leave out more than there is ends no count")
    func rejected() {
        let counters = PushCounters()
        for _ in 0..<3 { counters.recordSuccess(code: "200", seconds: 0, rejectedPoints: .max) }
        counters.recordSuccess(code: "200", seconds: 0, rejectedPoints: -5)
        #expect(counters.statistics.rejectedPoints == .max && counters.statistics.requests == ["200": 4])
    }

    @Test("Pushes are counted by their code, with their time where they were sent; a success ends the failure")
    func counters() {
        let counters = PushCounters()
        let time = WallTime(seconds: 5)
        counters.recordFailure(code: "503", seconds: 0.25, reason: "503: busy")
        counters.recordFailure(code: "memory", seconds: nil, reason: "too many")
        var found = counters.statistics
        #expect(found.requests == ["503": 1, "memory": 1] && found.failedRequests == 2)
        #expect(found.durations.count == 1 && found.durations.sum == 0.25)
        #expect(found.lastFailure == "too many" && found.lastSuccess == nil)
        counters.recordSuccess(code: "200", seconds: 0.5, rejectedPoints: 3)
        counters.recordSuccess(code: "200", seconds: 0.5, rejectedPoints: 4)
        #expect(counters.statistics.lastFailure == "too many", "a request is not yet a push")
        counters.recordCompletePush(at: time.advanced(by: .seconds(30)))
        found = counters.statistics
        #expect(found.requests == ["503": 1, "memory": 1, "200": 2] && found.failedRequests == 2)
        #expect(found.durations.count == 3 && found.durations.sum == 1.25)
        #expect(found.rejectedPoints == 7 && found.lastFailure == nil && found.lastSuccess == WallTime(seconds: 35))
    }

    // MARK: The last push

    /// The counters once a pusher was started and stopped at once. No program listens at the port.
    private func stopped(patience: Duration = .seconds(30)) throws -> PushStatistics {
        let options = MetricsPushOptions(
            try Self.backend("http://127.0.0.1:1"), interval: .seconds(3600), temporality: .cumulative,
            histograms: .explicit, attributes: [], memoryBytes: 8 << 20)
        let counters = PushCounters()
        let clock = Clock.system
        let pusher = MetricsPusher(
            options, source: .init(attributes: [], scope: "test", version: "1"), counters: counters,
            startedAt: clock.wall(), clock: clock, logger: Logger(label: "test") { _ in kept },
            chunks: { MetricsRegistry([]).chunks })
        try pusher.start()
        pusher.stop(until: clock.monotonic().advanced(by: patience))
        return counters.statistics
    }

    @Test("The end of the process pushes once more, and says where that failed")
    func lastPush() throws {
        let found = try stopped()
        #expect(found.requests == ["connect": 1] && found.failedRequests == 1 && found.durations.count == 1)
        #expect(found.lastFailure?.isEmpty == false)
        #expect(kept.entries.map { "\($0.message)" } == ["metrics could not be pushed; the next push has them"])
    }

    @Test("Where no time is left, nothing is pushed")
    func noTime() throws {
        #expect(try stopped(patience: .zero).requests == [:])
        #expect(kept.entries.map { "\($0.message)" } == ["the last numbers could not be pushed"])
    }
}
