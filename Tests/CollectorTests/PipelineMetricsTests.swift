import Logging
import Metrics
import Model
import Platform
import Synchronization
import TestSupport
import Testing
import WaitTime
import Web

@testable import Collector
@testable import Forwarder
@testable import HTTPService
@testable import SpanReceiver
@testable import Spool

@Suite("What the receiver, the spool and the forwarder did, on the page")
struct PipelineMetricsTests {
    private static let prefix = "asynq_collector_"

    private let counters = ReceiverCounters()
    /// The limits of the receiver and of the web endpoints.
    private let limits = (0..<2).map { _ in HTTPLimits(maxConnections: 1, maxAnswerBytes: 1) }
    private let clock = TestClock()
    private let aggregator: LockedAggregator

    init() {
        let options = TaskAggregatorOptions(
            bounds: HistogramBounds(ascending: 1), maxTaskTypes: 1, maxQueues: 1, quantileWindow: .seconds(60))
        aggregator = LockedAggregator(options, clock: clock.clock)
    }

    private func lines(_ family: String, tempo: TempoSide? = nil, makesSpans: Bool = false) -> [String] {
        let source = PipelineMetrics(
            counters: counters, limits: limits, aggregator: aggregator, tempo: tempo, clock: clock.clock,
            makesSpans: makesSpans)
        return series(source.metricFamilies(), named: Self.prefix + family).map {
            String($0.dropFirst(Self.prefix.count))
        }
    }

    @Test("Each reason for which requests are refused has a series of its own, over both listeners")
    func refusedRequests() {
        for (index, reason) in BadRequestReason.allCases.enumerated() {
            for _ in 0...index { counters.recordRefusedRequest(reason) }
        }
        for (index, limits) in limits.enumerated() {
            let weight = index == 0 ? 1 : 10
            for _ in 0..<1 * weight { limits.recordSlowRequest() }
            for _ in 0..<2 * weight { limits.recordProtocolError() }
            #expect(limits.holdAnswer(5))
            for _ in 0..<3 * weight { #expect(!limits.holdAnswer(5)) }
            for _ in 0..<4 * weight { limits.recordRefusedConnection(from: nil) }
        }
        let expected = [
            ("malformed", 1), ("too_large", 2), ("encoding", 3), ("media_type", 4), ("path", 5), ("method", 6),
            ("unauthenticated", 7), ("origin", 8), ("overloaded", 9), ("deadline", 10), ("slow", 11), ("protocol", 22),
            ("unread", 33),
        ]
        #expect(lines("refused_requests") == expected.map { "refused_requests_total{reason=\"\($0.0)\"} \($0.1)" })
        #expect(lines("refused_connections") == ["refused_connections_total 44"])
    }

    private func record(_ source: SpanSource, _ spans: Int, badIDs: Int = 0, refusal: RefusalReason? = nil) {
        let partial = PartialSuccess(badIDs: badIDs)
        if let refusal {
            counters.recordRefused(source, spanCount: spans, refused: partial, reason: refusal)
        } else {
            counters.recordAccepted(source, spanCount: spans, refused: partial)
        }
    }

    @Test("Spans are received by transport and encoding, and accepted or refused by reason: the books balance")
    func spans() {
        record(.httpProtobuf, 1)
        record(.httpJSON, 2, badIDs: 4)
        record(.grpcProtobuf, 8, refusal: .spoolFull)
        record(.grpcProtobuf, 16, refusal: .tooLarge)
        record(.httpJSON, 32, refusal: .unavailable)
        record(.made, 64)
        let received = [("http", "protobuf", 1), ("http", "json", 38), ("grpc", "protobuf", 24)].map {
            "received_spans_total{transport=\"\($0.0)\",encoding=\"\($0.1)\"} \($0.2)"
        }
        let made = "received_spans_total{transport=\"internal\",encoding=\"protobuf\"} 64"
        #expect(lines("received_spans") == received, "no spans are made")
        #expect(lines("received_spans", makesSpans: true) == received + [made])
        #expect(lines("accepted_spans") == ["accepted_spans_total 67"])
        let refused = [("bad_id", 4), ("bad_value", 0), ("spool_full", 8), ("too_large", 16), ("unavailable", 32)]
        #expect(lines("refused_spans") == refused.map { "refused_spans_total{reason=\"\($0.0)\"} \($0.1)" })
    }

    @Test("A process span that comes again is counted as a duplicate")
    func duplicates() {
        var span = TaskSpan()
        span.reference = SpanReference(trace: TraceID(high: 1, low: 1), span: SpanID(2))
        for _ in 0..<3 {
            _ = [UInt8]().withUnsafeBytes { aggregator.observe([span], in: $0, areForwarded: false) }
        }
        #expect(lines("duplicate_spans") == ["duplicate_spans_total 2"])
    }

    private func makeTempo(in directory: TemporaryDirectory) throws -> TempoSide {
        let options = try #require(
            try options([
                "--tempo-endpoint=http://127.0.0.1:1", "--spool-directory=\(directory.path)", "--spool-max-bytes=2MiB",
            ]))
        return try TempoSide(try #require(options.forwarder), options, clock: clock.clock) { label in
            Logger(label: label) { _ in SwiftLogNoOpLogHandler() }
        }
    }

    private func append(_ spans: Int, to tempo: TempoSide) throws {
        try [UInt8](repeating: 1, count: 10).withUnsafeBytes { try tempo.spool.append($0, spanCount: spans) }
    }

    @Test("The spool's numbers are what it holds, held and gave away, each under its own name")
    func spool() throws {
        let directory = try TemporaryDirectory()
        try append(4, to: try makeTempo(in: directory))
        let tempo = try makeTempo(in: directory)
        clock.advance(seconds: 10)
        for spans in [1, 8, 16] { try append(spans, to: tempo) }
        let frames = try tempo.spool.readBatch(maxBytes: 1 << 20, maxSpans: 1000).frames
        tempo.spool.settle(frames[1...1])
        tempo.spool.settle(frames[2...2], dropping: (spans: 3, reason: "rejected"))
        tempo.spool.settle(frames[3...3], dropping: (spans: 16, reason: "refused"))
        clock.advance(milliseconds: 2500)
        #expect(lines("spool_stalled", tempo: tempo) == ["spool_stalled 0"])
        #expect(lines("spool_recovered", tempo: tempo) == ["spool_recovered_spans 4"])
        #expect(lines("forwarded", tempo: tempo) == ["forwarded_spans_total 6"])
        #expect(lines("spool_spans", tempo: tempo) == ["spool_spans 4"])
        #expect(lines("spool_oldest", tempo: tempo) == ["spool_oldest_age_seconds 12.5"])
        #expect(lines("spool_capacity", tempo: tempo) == ["spool_capacity_bytes 2097152"])
        #expect(lines("spool_bytes", tempo: tempo) == ["spool_bytes \(tempo.spool.statistics.bytes)"])
        for name in ["spool_corrupt_frames_total", "spool_errors_total", "spool_quarantined_segments"] {
            #expect(lines(name, tempo: tempo) == ["\(name) 0"])
        }
        let dropped = [
            ("corrupt", 0), ("evicted", 0), ("expired", 0), ("refused", 16), ("rejected", 3), ("unanswered", 0),
            ("unreadable", 0), ("unsynced", 0),
        ]
        #expect(lines("dropped", tempo: tempo) == dropped.map { "dropped_spans_total{reason=\"\($0.0)\"} \($0.1)" })
    }

    @Test("The forwarder's requests are counted by status, and tempo_up is absent before the first answer")
    func forwarder() throws {
        let directory = try TemporaryDirectory()
        let tempo = try makeTempo(in: directory)
        #expect(lines("tempo_up", tempo: tempo) == [] && lines("forward_requests", tempo: tempo) == [])
        for isUp in [true, false] {
            tempo.forwarder.control.withLock { control in
                control.statistics.isBackendUp = isUp
                control.statistics.requests = ["200": 3, "503": 5, "timeout": 7]
                control.statistics.copies = [.kept: 1, .tooLarge: 2]
                control.statistics.durations.observe(0.2)
            }
            #expect(lines("tempo_up", tempo: tempo) == ["tempo_up \(isUp ? 1 : 0)"])
        }
        let requests = [("200", 3), ("503", 5), ("timeout", 7)]
        #expect(
            lines("forward_requests", tempo: tempo)
                == requests.map { "forward_requests_total{code=\"\($0.0)\"} \($0.1)" })
        let copies = [("kept", 1), ("failed", 0), ("too_large", 2)]
        #expect(
            lines("set_aside", tempo: tempo) == copies.map { "set_aside_requests_total{outcome=\"\($0.0)\"} \($0.1)" })
        #expect(lines("forward_duration_seconds_count", tempo: tempo) == ["forward_duration_seconds_count 2"])
        #expect(lines("forward_duration_seconds_sum", tempo: tempo) == ["forward_duration_seconds_sum 0.4"])
    }

    @Test("Without a trace backend there is no spool and no forwarder on the page")
    func withoutTempo() {
        for name in ["spool", "forward", "dropped", "tempo", "set_aside"] { #expect(lines(name) == []) }
        #expect(lines("build_info") == ["build_info{version=\"\(BuildInfo.version)\"} 1"])
    }

    @Test("The books of the status page are those of the metrics page")
    func totals() throws {
        record(.httpProtobuf, 5, badIDs: 2)
        record(.httpProtobuf, 8, refusal: .spoolFull)
        let alone = try #require(Books.read(counters, nil)?.totals(duplicates: 1))
        let refused: [String: UInt64] = ["bad_id": 2, "spool_full": 8]
        #expect(alone == SpanTotals(accepted: 5, duplicates: 1, refused: refused, spooled: nil))
        #expect(alone.received == 15)
        let directory = try TemporaryDirectory()
        let tempo = try makeTempo(in: directory)
        for spans in [1, 8, 16] { try append(spans, to: tempo) }
        let frames = try tempo.spool.readBatch(maxBytes: 1 << 20, maxSpans: 1000).frames
        tempo.spool.settle(frames[...0])
        tempo.spool.settle(frames[1...1], dropping: (spans: 3, reason: "rejected"))
        let spooled = try #require(Books.read(counters, tempo.spool)?.totals(duplicates: 0).spooled)
        #expect(spooled == SpanTotals.Spooled(forwarded: 6, inSpool: 16, dropped: ["rejected": 3]))
    }
}
