import AsynqRedis
import Attention
import Glibc
import Logging
import Model
import Platform
import Top
import Web

/// The documents of the terminal view, within the process.
extension Collector {
    /// The documents of the web endpoints, without asking over HTTP.
    var topSource: TopSource {
        { [self] question throws(TopFailure) in
            let content = overviewContent
            switch question {
            case .overview: return .document(OverviewDocument.json(content, since: nil).bytes)
            case .queue(let name):
                guard let queue = content.rows.first(where: { $0.name.printable == name })?.name,
                    let document = QueueDocument.json(content, queue)
                else { throw TopFailure("no such queue") }
                return .document(document.bytes)
            }
        }
    }

    /// Makes a collector that reads Redis and does nothing else. Returns once Redis was read.
    ///
    /// - Throws: `TopFailure` with the reason why Redis can't be read.
    static func readingRedis(_ options: CollectorOptions) throws(TopFailure) -> Collector {
        guard let timeout = options.redis?.timeout else {
            throw TopFailure("redis.url is none; there is nothing to read")
        }
        let collector: Collector
        do {
            // Log lines would spoil the picture, which shows errors itself.
            let silence = RunCommand.loggerFactory(options, CollectorLogHandler.Level(.critical))
            collector = try Collector(options, clock: .system, makeLogger: silence)
            try collector.startReading()
        } catch {
            throw TopFailure("\(error)")
        }
        collector.awaitFirstScrape(for: timeout + .seconds(1))
        if collector.watch.current.lastKnown == nil {
            collector.stop(isStarted: false)
            throw TopFailure(collector.queries.reading.unreadReason ?? "Redis was not read yet")
        }
        // The judgement at the start had no reading to go by.
        collector.judge()
        return collector
    }

    /// Waits until the first scrape is recorded where documents are made from, or has failed. The monitor counts a scrape
    /// before its observers have it.
    private func awaitFirstScrape(for patience: Duration) {
        let deadline = clock.monotonic().advanced(by: patience)
        while watch.current.lastKnown == nil && redis?.monitor.current.lastError == nil && clock.monotonic() < deadline
        {
            usleep(10_000)
        }
    }
}
