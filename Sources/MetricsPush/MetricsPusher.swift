package import Logging
package import Metrics
package import Model
import OTLPClient
package import Platform
import Synchronization

/// Pushes the families of the page to a backend of OTLP metrics, on a thread of its own.
package final class MetricsPusher: Sendable {
    let options: MetricsPushOptions
    let source: OTLPMetrics.Source
    let counters: PushCounters
    let startedAt: WallTime
    let clock: Clock
    let logger: Logger
    let chunks: @Sendable () -> FamilyChunks
    let ending: Mutex<PushEnding?> = Mutex(nil)
    let multi: CurlMulti
    package let heartbeat = Heartbeat()
    private let thread: Mutex<OSThread?> = Mutex(nil)

    /// - Parameters:
    ///   - startedAt: The time since when counters count.
    ///   - chunks: Begins to read the families of the page.
    package init(
        _ options: MetricsPushOptions, source: OTLPMetrics.Source, counters: PushCounters, startedAt: WallTime,
        clock: Clock, logger: Logger,
        chunks: @escaping @Sendable () -> FamilyChunks
    ) {
        self.options = options
        self.source = source
        self.counters = counters
        self.startedAt = startedAt
        self.clock = clock
        self.logger = logger
        self.chunks = chunks
        multi = CurlMulti()
    }

    /// - Throws: `SystemError` where the system can't start another thread.
    package func start() throws(SystemError) {
        let started = try OSThread(name: "metrics-push") { [self] in
            var loop = PushLoop(self)
            loop.run()
        }
        thread.withLock { $0 = started }
    }

    /// Pushes the last numbers, and ends the thread, at the deadline at the latest.
    package func stop(until deadline: MonotonicTime) {
        let now = clock.monotonic()
        ending.withLock { $0 = PushEnding(begin: now, deadline: deadline) }
        multi.wake()
        thread.withLock { $0 }?.join()
    }
}
