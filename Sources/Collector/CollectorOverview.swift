import AsynqRedis
import Attention
import Forwarder
import Glibc
import HTTPService
import MetricsPush
import Model
import OTLPClient
import Platform
import Redis
import Spool
import WaitTime
package import Web

/// The content of the status page and its documents.
extension Collector {
    /// The age up to which spans count as on their way to the trace backend.
    private static let leastBacklogSeconds = 30.0

    package var overviewContent: OverviewContent { content(of: judgedState) }

    /// The state whose troubles are judged.
    var judgedState: StatusWatch.State { watch.judged(queries.reading) ?? judge() }

    func content(of state: StatusWatch.State) -> OverviewContent {
        let now = (wall: clock.wall(), monotonic: clock.monotonic())
        var content = OverviewContent(
            collector: identity, now: now, links: options.traceLinks, redis: state.redis, history: state.history)
        content.lastKnown = state.lastKnown
        content.rows = state.rows
        content.troubles = state.troubles
        content.hasLookedLongEnough = state.hasLookedLongEnough
        content.errors = errors.all
        content.deadLetters = newestDeadLetters
        content.slowestWaits = aggregator.slowestWaits
        content.forwarder = tempo.map {
            ForwarderState(
                text: $0.forwarderState, isUp: $0.forwarder.statistics.isBackendUp, since: state.backend?.since)
        }
        if let books = Books.read(counters, tempo?.spool) {
            content.spans = books.totals(duplicates: aggregator.duplicates)
            content.spool = books.spooled.map { spooled in
                let age = spooled.oldestAge.map { max(0, $0.inSeconds) } ?? 0
                // If nothing waits, a segment of frames that are sent already grows; it is removed once it is full.
                let isBacklog = age > Self.leastBacklogSeconds || state.backend?.isUp == false
                return SpoolState(
                    bytes: spooled.bytes, capacityBytes: spooled.capacityBytes, oldestAgeSeconds: age,
                    fullInSeconds: isBacklog ? state.spoolFullInSeconds : nil)
            }
        }
        content.memory = memory.parts
        if let bytes = ProcessMetrics.residentBytes {
            content.memory.insert(MemoryPart(part: "process", bytes: bytes, limitBytes: nil), at: 0)
        }
        return content
    }

    private var identity: CollectorIdentity {
        CollectorIdentity(
            version: BuildInfo.version, host: ThisMachine.hostName, pid: Int64(getpid()), startedAt: startedAt,
            redis: options.redis?.target.url,
            tempo: options.forwarder.map {
                $0.backend.show((tempo?.forwarder.statistics.endpoint ?? $0.backend.endpoint).url)
            },
            interval: options.redis?.interval ?? Self.intervalWithoutRedis,
            receivesAt: otlpAddresses.map(\.description))
    }

    /// The pushes of metrics, as their trouble is judged; nil where nothing is pushed.
    var pushes: Backend? { push.map { Backend($0.counters.statistics) } }

    /// The way of spans, as its troubles are judged.
    var spanPath: SpanPath {
        if let books = Books.read(counters, tempo?.spool) { return books.path(tempo?.forwarder.statistics) }
        var path = SpanPath()
        path.isDiskHanging = true
        path.backend = tempo.map { Backend($0.forwarder.statistics) }
        return path
    }
}
