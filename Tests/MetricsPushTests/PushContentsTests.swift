import Metrics
import Model
import OTLPClient
import Synchronization
import TestSupport
import Testing

@testable import MetricsPush

@Suite("The requests of a push")
struct PushContentsTests {
    /// Makes counters that all have the same value.
    private final class Source: MetricSource {
        let count: Int
        let value = Mutex(1.0)

        init(count: Int) { self.count = count }

        func metricFamilies() -> [MetricFamily] {
            let value = value.withLock { $0 }
            var counters = MetricFamily(FamilyDeclaration("c_total", .counter, "Counter."))
            for number in 0..<count { counters.add(value, LabelSet(["queue": "queue \(number)"])) }
            return [counters, MetricFamily(FamilyDeclaration("g", .gauge, "Gauge."), value: value)]
        }
    }

    private static let source = OTLPMetrics.Source(attributes: [("service.name", "me")], scope: "s", version: "1")

    private func options(_ temporality: OTLPMetrics.Temporality, memoryBytes: Int) throws -> MetricsPushOptions {
        let endpoint = try OTLPEndpoint(base: "http://p", for: .metrics)
        let backend = OTLPBackend(
            endpoint: endpoint, headers: [], compression: .none, timeout: .seconds(1), userAgent: "t")
        return MetricsPushOptions(
            backend, interval: .seconds(1), temporality: temporality, histograms: .exponential, attributes: [],
            memoryBytes: memoryBytes)
    }

    /// The numbers of a request by the queue that they have.
    private func numbers(_ request: [UInt8]) throws -> [String: Double] {
        var found: [String: Double] = [:]
        let metrics = try Message(request).messages(1).flatMap { try $0.messages(2) }.flatMap { try $0.messages(2) }
        for metric in metrics where metric.text(1) == "c" {
            for point in try metric.messages(7).flatMap({ try $0.messages(1) }) {
                let queue = try #require(try point.messages(7).first?.messages(2).first?.text(1))
                #expect(found[queue] == nil)
                found[queue] = point.double(4)
            }
        }
        return found
    }

    @Test("A push that is larger than its memory is several requests, in which each series is once")
    func divided() throws {
        let registry = MetricsRegistry([Source(count: 20_000)])
        let options = try options(.cumulative, memoryBytes: 1_400_000)
        var contents = PushContents(options, Self.source, startedAt: WallTime(seconds: 1))
        contents.beginPush(registry.chunks, at: WallTime(seconds: 2))
        var all: [String: Double] = [:]
        var requests = 0
        while contents.writeRequest(at: WallTime(seconds: 2)) {
            let body = contents.takeBody()
            // A request ends at the first piece that fills it.
            #expect(body.count < options.budget.bodyBytes + 140 << 10)
            let found = try numbers(body)
            // The last request has two gauges, too.
            #expect(contents.pointCount - found.count == (all.count + found.count == 20_000 ? 2 : 0))
            all.merge(found) { _, _ in
                Issue.record("a series twice")
                return 0
            }
            contents.settleRequest(isAcknowledged: true)
            requests += 1
        }
        #expect(requests > 3 && all.count == 20_000 && all.values.allSatisfy { $0 == 1 })
        #expect(contents.takeBody().isEmpty && contents.acknowledged.bytes == 0)
    }

    @Test("Series whose numbers can't be remembered are left out of differences, and the others are pushed")
    func leftOut() throws {
        let registry = MetricsRegistry([Source(count: 20_000)])
        var contents = PushContents(
            try options(.delta, memoryBytes: 1 << 20), Self.source, startedAt: WallTime(seconds: 1))
        for _ in 0..<2 {
            contents.beginPush(registry.chunks, at: WallTime(seconds: 2))
            var found = 0
            while contents.writeRequest(at: WallTime(seconds: 2)) {
                found += try numbers(contents.takeBody()).count
                contents.settleRequest(isAcknowledged: true)
            }
            #expect(found > 1000 && contents.acknowledged.leftOut == 20_000 - found)
            #expect(contents.acknowledged.bytes <= 3 << 18)
            _ = contents.endPush(isAcknowledged: true)
        }
    }

    @Test("Differences lose nothing, whichever requests of a push fail")
    func failures() throws {
        var random = SeededGenerator.fresh(for: "failed requests of pushes")
        let source = Source(count: 5000)
        let registry = MetricsRegistry([source])
        let options = try options(.delta, memoryBytes: 6 << 20)
        var contents = PushContents(options, Self.source, startedAt: WallTime(seconds: 1))
        var sums: [String: Double] = [:]
        for push in 0..<12 {
            let time = WallTime(seconds: Int64(10 + push))
            contents.beginPush(registry.chunks, at: time)
            var isComplete = true
            var requests = 0
            while contents.writeRequest(at: time) {
                let isAccepted = push == 11 || Bool.random(using: &random)
                let sent = try numbers(contents.takeBody())
                if isAccepted { sums.merge(sent, uniquingKeysWith: +) }
                contents.settleRequest(isAcknowledged: isAccepted)
                isComplete = isComplete && isAccepted
                requests += 1
            }
            #expect(requests > 2)
            if isComplete { #expect(contents.endPush(isAcknowledged: true) == time) }
            if push < 10 { source.value.withLock { $0 += Double.random(in: 0...9, using: &random).rounded() } }
        }
        let value = source.value.withLock { $0 }
        #expect(sums.count == 5000 && sums.values.allSatisfy { $0 == value })
        #expect(contents.acknowledged.leftOut == 0 && contents.acknowledged.bytes > 0)
    }

    /// Makes a histogram with an exemplar of one time.
    private struct Observed: MetricSource {
        func metricFamilies() -> [MetricFamily] {
            var histogram = Histogram(HistogramBounds(ascending: 1))
            let span = SpanReference(trace: TraceID(high: 1, low: 2), span: SpanID(3))
            histogram.observe(0.5, of: Exemplar.Origin(span: span, time: WallTime(seconds: 50)))
            var family = MetricFamily(FamilyDeclaration("h", .histogram, "Histogram."))
            family.add(histogram)
            return [family]
        }
    }

    @Test("Exemplars of a push that came to its end are not sent again, though a part of it was refused")
    func exemplars() throws {
        let registry = MetricsRegistry([Observed()])
        var contents = PushContents(
            try options(.delta, memoryBytes: 1 << 20), Self.source, startedAt: WallTime(seconds: 1))
        var found: [Int] = []
        for push in 0..<3 as Range<Int64> {
            contents.beginPush(registry.chunks, at: WallTime(seconds: 60 + push))
            while contents.writeRequest(at: WallTime(seconds: 60 + push)) {
                let metrics = try Message(contents.takeBody()).messages(1).flatMap { try $0.messages(2) }
                    .flatMap { try $0.messages(2) }
                found.append(
                    try metrics.flatMap { try $0.messages(10) }.flatMap { try $0.messages(1) }
                        .flatMap { try $0.messages(11) }.count)
                contents.settleRefusedRequest()
            }
            // The first one ends with an outage.
            if push > 0 { #expect(contents.endPush(isAcknowledged: false) == WallTime(seconds: 60 + push)) }
        }
        #expect(found == [1, 1, 0])
    }
}
