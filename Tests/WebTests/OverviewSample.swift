import Attention
import Model

@testable import Web

extension OverviewContent {
    /// A collector that reads an empty Redis.
    static var sample: OverviewContent {
        OverviewContent(
            collector: CollectorIdentity(
                version: "1.2.3", host: "worker-1", pid: 42, startedAt: WallTime(seconds: 1_700_000_000 - 3600),
                redis: "redis://127.0.0.1:6379/0", tempo: nil, interval: .seconds(5)),
            now: (WallTime(seconds: 1_700_000_000), MonotonicTime(nanoseconds: 100_000_000_000_000)),
            links: TraceLinks(grafana: "", dataSource: ""), redis: .off, history: QueueHistory(interval: .seconds(5)))
    }
}
