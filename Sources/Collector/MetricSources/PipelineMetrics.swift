import Forwarder
import HTTPService
import Metrics
import Model
import Platform
import SpanReceiver
import Spool

/// The collector's own families: the work of the receiver, the spool and the forwarder.
///
/// The books balance on every page: received = accepted + refused, and recovered + accepted = forwarded + dropped + in
/// the spool, because the receiver's and the spool's numbers are read under one lock. While the spool's disk hangs, they
/// are not on the page.
final class PipelineMetrics: MetricSource {
    static let families = PipelineFamilies()

    private let counters: ReceiverCounters
    /// The limits of the receiver and of the web endpoints.
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
        var build = MetricFamily(Self.families.buildInfo)
        build.add(1.0, LabelSet(["version": BuildInfo.version]))
        var families = [build]
        let books = Books.read(counters, tempo?.spool)
        if tempo != nil {
            var stalled = MetricFamily(Self.families.spoolStalled)
            stalled.add(books == nil ? 1 : 0)
            families.append(stalled)
        }
        if let books { families += receiverFamilies(books.received) }
        if let spooled = books?.spooled { families += spoolFamilies(spooled) }
        if let tempo { families += forwarderFamilies(tempo.forwarder.statistics) }
        return families
    }

    private func receiverFamilies(_ values: ReceiverCounters.Values) -> [MetricFamily] {
        var received = MetricFamily(Self.families.receivedSpansTotal)
        for source in SpanSource.all + (makesSpans ? [.made] : []) {
            received.add(
                values.received[source] ?? 0,
                LabelSet(["transport": source.transport.rawValue, "encoding": source.encoding.rawValue]))
        }
        var accepted = MetricFamily(Self.families.acceptedSpansTotal)
        accepted.add(values.accepted)
        var refused = MetricFamily(Self.families.refusedSpansTotal)
        for reason in RefusalReason.allCases {
            refused.add(values.refused[reason] ?? 0, LabelSet(["reason": reason.rawValue]))
        }
        var bad = MetricFamily(Self.families.refusedRequestsTotal)
        for reason in BadRequestReason.allCases {
            let heads = reason == .overloaded ? limits.map(\.refusedHeads).reduce(0, +) : 0
            bad.add((values.badRequests[reason] ?? 0) + heads, LabelSet(["reason": reason.rawValue]))
        }
        bad.add(limits.map(\.slowRequests).reduce(0, +), LabelSet(["reason": "slow"]))
        bad.add(limits.map(\.protocolErrors).reduce(0, +), LabelSet(["reason": "protocol"]))
        bad.add(limits.map(\.unreadAnswers).reduce(0, +), LabelSet(["reason": "unread"]))
        var empty = MetricFamily(Self.families.emptyRequestsTotal)
        empty.add(values.emptyRequests)
        var duplicates = MetricFamily(Self.families.duplicateSpansTotal)
        duplicates.add(aggregator.duplicates)
        var connections = MetricFamily(Self.families.refusedConnectionsTotal)
        connections.add(limits.map(\.refusedConnections).reduce(0, +))
        return [received, accepted, refused, bad, empty, connections, duplicates]
    }

    private func spoolFamilies(_ statistics: SpoolStatistics) -> [MetricFamily] {
        var recovered = MetricFamily(Self.families.spoolRecoveredSpans)
        recovered.add(statistics.recoveredSpans)
        var forwarded = MetricFamily(Self.families.forwardedSpansTotal)
        forwarded.add(statistics.deliveredSpans)
        var dropped = MetricFamily(Self.families.droppedSpansTotal)
        for reason in Set(SpoolDrop.allCases.map(\.rawValue) + ForwardDrop.allCases.map(\.rawValue)).sorted() {
            dropped.add(statistics.droppedSpans[reason] ?? 0, LabelSet(["reason": reason]))
        }
        var bytes = MetricFamily(Self.families.spoolBytes)
        bytes.add(statistics.bytes)
        var capacity = MetricFamily(Self.families.spoolCapacityBytes)
        capacity.add(statistics.capacityBytes)
        var spans = MetricFamily(Self.families.spoolSpans)
        spans.add(statistics.spans)
        var quarantined = MetricFamily(Self.families.spoolQuarantinedSegments)
        quarantined.add(statistics.quarantinedSegments)
        var age = MetricFamily(Self.families.spoolOldestAgeSeconds)
        age.add(max(.zero, statistics.oldestAge ?? .zero).inSeconds)
        var corrupt = MetricFamily(Self.families.spoolCorruptFramesTotal)
        corrupt.add(statistics.corruptFrames)
        var errors = MetricFamily(Self.families.spoolErrorsTotal)
        errors.add(statistics.errors)
        return [recovered, forwarded, dropped, bytes, capacity, spans, age, corrupt, quarantined, errors]
    }

    private func forwarderFamilies(_ statistics: ForwarderStatistics) -> [MetricFamily] {
        var requests = MetricFamily(Self.families.forwardRequestsTotal)
        for (code, count) in statistics.requests.sorted(by: { $0.key < $1.key }) {
            requests.add(count, LabelSet(["code": code]))
        }
        var duration = MetricFamily(Self.families.forwardDurationSeconds)
        duration.add(statistics.durations)
        var up = MetricFamily(Self.families.tempoUp)
        if let isUp = statistics.isBackendUp { up.add(isUp ? 1 : 0) }
        var copies = MetricFamily(Self.families.setAsideRequestsTotal)
        for outcome in RefusedCopy.allCases {
            copies.add(statistics.copies[outcome] ?? 0, LabelSet(["outcome": outcome.rawValue]))
        }
        return [requests, duration, up, copies]
    }
}
