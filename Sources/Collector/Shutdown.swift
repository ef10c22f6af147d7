import AsynqRedis
import Glibc
import HTTPService
import Logging
import Model
import Platform
import Spool
import Synchronization

/// The end of the process, against the flow: no new requests, those in flight are answered, the content of the spool is
/// sent for a while.
extension Collector {
    /// The time for requests in flight and the last spans together.
    static let shutdown = Duration.seconds(5)
    /// The time for the last push of metrics where the spans took all of the other.
    private static let lastPush = Duration.seconds(2)

    /// Ends everything, in at most about five seconds, or seven where metrics are pushed. Spans that could not be sent stay in the spool.
    ///
    /// - Parameter isStarted: False where the start has failed: the caller says last why.
    package func stop(isStarted: Bool = true) {
        let deadline = clock.monotonic().advanced(by: Self.shutdown)
        let (web, otlp) = servers.withLock { ($0.web, $0.otlp) }
        redis?.monitor.beginStop()
        for server in otlp { server.quiesce() }
        let patience = clock.monotonic().advanced(by: Self.shutdown / 2)
        while otlp.contains(where: { $0.openConnections > 0 }) && clock.monotonic() < patience { usleep(5000) }
        for server in otlp { server.close() }
        // Requests in flight were waiting for it until now.
        redis?.lookup.beginStop()
        receiverWork.stop(until: deadline)
        tempo?.stop(drainUntil: deadline)
        push?.stop(until: max(deadline, clock.monotonic().advanced(by: Self.lastPush)))
        redis?.awaitStop(until: deadline)
        web?.quiesce()
        web?.close()
        // The event loops end with the process. NIO ends them by way of libdispatch, which traps where there is no /proc.
        if !isStarted { return }
        if let left = tempo?.spool.statistics(patience: Books.patience)?.spans, left > 0 {
            logger.notice("stopped; spans wait in the spool for the next start", metadata: ["spans": "\(left)"])
        } else {
            logger.notice("stopped")
        }
    }
}
