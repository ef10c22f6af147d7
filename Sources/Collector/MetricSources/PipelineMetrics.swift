import Forwarder
import HTTPService
import Metrics
import Model
import Platform
import SpanReceiver
import Spool

/// The collector's own families: what the receiver, the spool and the forwarder did.
///
/// The books balance on every page: received = accepted + refused, and recovered + accepted = forwarded + dropped + in
/// the spool, because the receiver's and the spool's numbers are read under one lock. While the spool's disk hangs, they
/// are not on the page.
final class PipelineMetrics: MetricSource {
    private static let prefix = "asynq_collector_"

    private let counters: ReceiverCounters
    /// Of the receiver and of the web endpoints.
    private let limits: [HTTPLimits]
    private let aggregator: LockedAggregator
    private let tempo: TempoSide?
    private let clock: Clock
    private let makesSpans: Bool

    init(
        counters: ReceiverCounters, limits: [HTTPLimits], aggregator: LockedAggregator, tempo: TempoSide?, clock: Clock,
        makesSpans: Bool
    ) {
        self.counters = counters
        self.limits = limits
        self.aggregator = aggregator
        self.tempo = tempo
        self.clock = clock
        self.makesSpans = makesSpans
    }

    func metricFamilies() -> [MetricFamily] {
        var build = family(
            "build_info", .info, "Always 1; the version is in the label: are all sidecars on the same one?")
        build.add(1.0, LabelSet(["version": BuildInfo.version]))
        var families = [build]
        let books = Books.read(counters, tempo?.spool)
        if tempo != nil {
            var stalled = family(
                "spool_stalled", .gauge,
                "1 while the spool's disk does not answer: what is received and spooled is not on the page then.")
            stalled.add(books == nil ? 1 : 0)
            families.append(stalled)
        }
        if let books { families += receiverFamilies(books.received) }
        if let spooled = books?.spooled { families += spoolFamilies(spooled) }
        if let tempo { families += forwarderFamilies(tempo.forwarder.statistics) }
        return families
    }

    private func family(_ name: String, _ kind: MetricKind, _ help: String) -> MetricFamily {
        MetricFamily(Self.prefix + name, kind, help)
    }

    private func receiverFamilies(_ values: ReceiverCounters.Values) -> [MetricFamily] {
        var received = family(
            "received_spans_total", .counter,
            "Spans in requests that could be read, accepted or not; none while workers work: they send elsewhere.")
        for source in SpanSource.all + (makesSpans ? [.made] : []) {
            received.add(
                values.received[source] ?? 0,
                LabelSet(["transport": source.transport.rawValue, "encoding": source.encoding.rawValue]))
        }
        var accepted = family(
            "accepted_spans_total", .counter,
            "Spans that were acknowledged to their sender (those dropped as unsynced were refused at last).")
        accepted.add(values.accepted)
        var refused = family(
            "refused_spans_total", .counter,
            "Spans that were not accepted, by reason; spool_full: the backend is too slow or down, and senders have "
                + "to wait; bad_id: a sender makes ids that no backend takes.")
        for reason in RefusalReason.allCases {
            refused.add(values.refused[reason] ?? 0, LabelSet(["reason": reason.rawValue]))
        }
        var bad = family(
            "refused_requests_total", .counter,
            "Requests that were refused before their spans were counted, by reason: a client has no token, speaks "
                + "another protocol, sends too much at a time, or does not read its answers.")
        for reason in BadRequestReason.allCases {
            bad.add(values.badRequests[reason] ?? 0, LabelSet(["reason": reason.rawValue]))
        }
        bad.add(limits.map(\.slowRequests).reduce(0, +), LabelSet(["reason": "slow"]))
        bad.add(limits.map(\.protocolErrors).reduce(0, +), LabelSet(["reason": "protocol"]))
        bad.add(limits.map(\.unreadAnswers).reduce(0, +), LabelSet(["reason": "unread"]))
        var duplicates = family(
            "duplicate_spans_total", .counter,
            "Process spans that came again; they are observed once. Rising: senders do not hear the answer in time "
                + "and send again.")
        duplicates.add(aggregator.duplicates)
        var connections = family(
            "refused_connections_total", .counter,
            "Connections that were closed at once because 1,024 were open; is there a client that never closes its own?"
        )
        connections.add(limits.map(\.refusedConnections).reduce(0, +))
        return [received, accepted, refused, bad, connections, duplicates]
    }

    private func spoolFamilies(_ statistics: SpoolStatistics) -> [MetricFamily] {
        var recovered = family(
            "spool_recovered_spans", .gauge,
            "Spans that the spool held at the start of the process: what the one before could not send.")
        recovered.add(statistics.recoveredSpans)
        var forwarded = family(
            "forwarded_spans_total", .counter,
            "Spans that the trace backend took; slower than accepted: the spool fills.")
        forwarded.add(statistics.deliveredSpans)
        var dropped = family(
            "dropped_spans_total", .counter, "Accepted spans that were given up, by reason; above 0, traces have holes."
        )
        for reason in Set(SpoolDrop.allCases.map(\.rawValue) + ForwardDrop.allCases.map(\.rawValue)).sorted() {
            dropped.add(statistics.droppedSpans[reason] ?? 0, LabelSet(["reason": reason]))
        }
        var bytes = family(
            "spool_bytes", .gauge,
            "Size of the spool on disk; near its capacity spans are refused, or the oldest dropped (spool.when-full).")
        bytes.add(statistics.bytes)
        var capacity = family("spool_capacity_bytes", .gauge, "Largest size that the spool may have (spool.max-bytes).")
        capacity.add(statistics.capacityBytes)
        var spans = family(
            "spool_spans", .gauge,
            "Spans that wait to be forwarded, those in flight included; rising: the backend is away or too slow.")
        spans.add(statistics.spans)
        var quarantined = family(
            "spool_quarantined_segments", .gauge,
            "Files of the spool that the disk does not give back; their spans are dropped as unreadable, the files kept."
        )
        quarantined.add(statistics.quarantinedSegments)
        var age = family(
            "spool_oldest_age_seconds", .gauge,
            "Age of the oldest span that waits, 0 when none does: so far behind are the traces.")
        let oldest = statistics.oldestUnsettled.map { max(0, clock.wall().nanoseconds(since: $0)) } ?? 0
        age.add(Double(oldest) / 1e9)
        var corrupt = family(
            "spool_corrupt_frames_total", .counter, "Frames whose checksum was wrong; the disk is failing.")
        corrupt.add(statistics.corruptFrames)
        var errors = family(
            "spool_errors_total", .counter,
            "Reads, writes and syncs of the spool that failed; the log says which. Look at the disk.")
        errors.add(statistics.errors)
        return [recovered, forwarded, dropped, bytes, capacity, spans, age, corrupt, quarantined, errors]
    }

    private func forwarderFamilies(_ statistics: ForwarderStatistics) -> [MetricFamily] {
        var requests = family(
            "forward_requests_total", .counter,
            "Requests to the trace backend, by HTTP status, or by what broke the connection; 429: it wants less, 4xx:"
                + " it does not want what it gets.")
        for (code, count) in statistics.requests.sorted(by: { $0.key < $1.key }) {
            requests.add(count, LabelSet(["code": code]))
        }
        var duration = family(
            "forward_duration_seconds", .histogram,
            "Time from sending a request to its answer; near tempo.timeout requests are sent again.")
        duration.add(statistics.durations)
        var up = family(
            "tempo_up", .gauge,
            "0 while the trace backend is away or takes nothing (503, 429, 401), absent before the first answer; spans wait in"
                + " the spool then.")
        if let isUp = statistics.isBackendUp { up.add(isUp ? 1 : 0) }
        var copies = family(
            "set_aside_requests_total", .counter,
            "Requests that the backend refused for good, by what became of the copy in the spool's directory refused/.")
        for outcome in RefusedCopy.allCases {
            copies.add(statistics.copies[outcome] ?? 0, LabelSet(["outcome": outcome.rawValue]))
        }
        return [requests, duration, up, copies]
    }
}
