import HTTPService
import Logging
import Metrics
import MetricsPush
import Model
import Platform
import Text

/// The parts that exist only where `metrics.push.endpoint` names a backend of metrics.
struct PushSide: Sendable {
    let counters: PushCounters
    private let pusher: MetricsPusher

    /// Makes the parts; returns nil where nothing is to be pushed.
    ///
    /// - Parameter counters: The counters that the page shows.
    init?(
        _ options: MetricsPushOptions?, counters: PushCounters?, listen: [ListenAddress], registry: MetricsRegistry,
        startedAt: WallTime, clock: Clock, logger: Logger
    ) {
        guard let options, let counters else { return nil }
        self.counters = counters
        let source = OTLPMetrics.Source(
            attributes: PushedResource.attributes(
                host: Collector.hostName, listen: listen, given: options.attributes),
            scope: PushedResource.service, version: BuildInfo.version)
        pusher = MetricsPusher(
            options, source: source, counters: counters, startedAt: startedAt, clock: clock, logger: logger
        ) { registry.chunks }
    }

    /// - Throws: `SystemError` where the system can't start another thread.
    func start() throws(SystemError) { try pusher.start() }

    /// The heartbeat of the thread that pushes.
    var heartbeat: Heartbeat { pusher.heartbeat }

    /// Pushes the last numbers, until the deadline.
    func stop(until deadline: MonotonicTime) { pusher.stop(until: deadline) }
}

/// The attributes by which a backend knows one collector from another.
enum PushedResource {
    static let service = "asynq-collector"

    /// Returns the attributes. `service.instance.id` is the host and the port of the page, as the label `instance` is
    /// where Prometheus scrapes. A host that calls itself localhost, as containers of Cloud Run do, says nothing:
    /// there, each process has a number of its own.
    static func attributes(
        host: String, listen: [ListenAddress], given: [(name: String, value: String)]
    ) -> [(name: String, value: String)] {
        let isNamed = !["", "localhost"].contains(host)
        let port = listen.lazy.compactMap(\.port).first { $0 != 0 }
        let instance = isNamed ? host + (port.map { ":\($0)" } ?? "") : randomID
        let own = [
            ("service.name", service), ("service.instance.id", instance), ("service.version", BuildInfo.version),
            ("host.name", isNamed ? host : "localhost"),
        ]
        return own.filter { attribute in !given.contains { $0.name == attribute.0 } } + given
    }

    private static var randomID: String {
        (0..<2).map { _ in Hex.text(UInt64.random(in: 0 ... .max), digits: 16) }.joined()
    }
}
