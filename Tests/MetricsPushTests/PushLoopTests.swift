import InMemoryLogging
import Logging
import Metrics
import Model
import OTLPClient
import Platform
import TestSupport
import Testing

@testable import MetricsPush

@Suite("The thread that pushes", .timeLimit(.minutes(1)))
struct PushLoopTests {
    private final class One: MetricSource {
        func metricFamilies() -> [MetricFamily] {
            [MetricFamily(FamilyDeclaration("g", .gauge, "Gauge."), value: 1)]
        }
    }

    private let kept = InMemoryLogHandler()
    private let counters = PushCounters()

    private func pusher(_ backend: FakeBackend, interval: Duration) throws -> MetricsPusher {
        let backend = OTLPBackend(
            endpoint: try OTLPEndpoint(base: "http://127.0.0.1:\(backend.port)", for: .metrics),
            headers: [("X-Scope-OrgID", "a")], compression: .none, timeout: .seconds(30), userAgent: "test")
        let options = MetricsPushOptions(
            backend, interval: interval, temporality: .cumulative, histograms: .explicit, attributes: [],
            memoryBytes: 8 << 20)
        let registry = MetricsRegistry([One()])
        let kept = kept
        return MetricsPusher(
            options, source: .init(attributes: [], scope: "test", version: "1"), counters: counters,
            startedAt: Clock.system.wall(), clock: .system, logger: Logger(label: "test") { _ in kept },
            chunks: { registry.chunks })
    }

    private func waitUntil(_ isTrue: () -> Bool) async throws {
        for _ in 0..<3000 where !isTrue() { try await Task.sleep(nanoseconds: 10_000_000) }
        #expect(isTrue())
    }

    private func stop(_ pusher: MetricsPusher) {
        pusher.stop(until: Clock.system.monotonic().advanced(by: .seconds(30)))
    }

    @Test("It pushes at its interval until it is stopped, and once more then")
    func pushes() async throws {
        let backend = try FakeBackend([200])
        let pusher = try pusher(backend, interval: .milliseconds(10))
        #expect(pusher.heartbeat.isResting)
        try pusher.start()
        try await waitUntil { counters.statistics.requests["200"] ?? 0 >= 3 }
        #expect(!pusher.heartbeat.isResting)
        stop(pusher)
        let found = counters.statistics
        #expect(found.requests.keys.sorted() == ["200"] && found.failedRequests == 0 && found.lastSuccess != nil)
        #expect(found.durations.count == found.requests["200"] && counters.heldBytes == 0)
        #expect(pusher.heartbeat.isResting && kept.entries.isEmpty)
        let heads = backend.heads
        #expect(heads.count == Int(found.requests["200"] ?? 0))
        #expect(heads.allSatisfy { $0.first == "POST /v1/metrics HTTP/1.1" && $0.contains("X-Scope-OrgID: a") })
    }

    @Test("The last push comes at once, however far the next one is")
    func lastPush() throws {
        let backend = try FakeBackend([200])
        let pusher = try pusher(backend, interval: .seconds(3600))
        try pusher.start()
        stop(pusher)
        #expect(counters.statistics.requests == ["200": 1] && counters.statistics.lastSuccess != nil)
        #expect(backend.heads.count == 1)
    }

    @Test("A push that failed is followed by another one, and its end is told")
    func recovery() async throws {
        let backend = try FakeBackend([503, 200])
        let pusher = try pusher(backend, interval: .milliseconds(10))
        try pusher.start()
        try await waitUntil { counters.statistics.requests["200"] ?? 0 >= 1 }
        stop(pusher)
        let found = counters.statistics
        #expect(found.requests["503"] == 1 && found.failedRequests == 1 && found.lastFailure == nil)
        #expect(
            kept.entries.map { "\($0.message)" } == [
                "metrics could not be pushed; the next push has them", "metrics are pushed again",
            ])
    }
}
