import AsynqRedis
import Forwarder
import HTTPService
import MetricsPush
import Platform

extension MemoryUse {
    /// Makes the readers of what each part of a collector holds now, read where the part is.
    init(
        _ ledger: MemoryLedger, http: HTTPMemory, limits: [HTTPLimits], requests: ByteBudget,
        aggregator: LockedAggregator,
        redis: RedisSide?, tempo: TempoSide?, pushes: PushCounters?, recentTraces: RecentTraces?, watch: StatusWatch,
        errors: RecentErrors
    ) {
        self.init(
            ledger,
            [
                .bodies: { http.heldBodyBytes },
                .streams: { http.heldStreamBytes },
                .requests: { requests.heldBytes },
                .pages: { limits.reduce(0) { $0 + $1.heldAnswerBytes } },
                .pushes: { pushes?.heldBytes ?? 0 },
                .labels: { aggregator.seriesBytes + (redis?.views.labelBytes ?? 0) },
                .pairing: { aggregator.tableBytes },
                .lookAhead: { redis?.monitor.seenTasks.bytes ?? 0 },
                .recentSpans: { recentTraces?.bytes ?? 0 },
                .redisReplies: { redis?.replyMemory?.heldBytes ?? 0 },
                .deliveries: { tempo?.forwarder.statistics.heldBytes ?? 0 },
                .history: { watch.historyBytes },
                .errors: { errors.bytes },
            ])
    }
}
