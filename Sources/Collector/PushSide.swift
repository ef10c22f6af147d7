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
        _ collector: CollectorOptions, counters: PushCounters?, registry: MetricsRegistry, startedAt: WallTime,
        clock: Clock, logger: Logger
    ) {
        guard let options = collector.push, let counters else { return nil }
        self.counters = counters
        let source = OTLPMetrics.Source(
            attributes: PushedResource.attributes(
                host: ThisMachine.hostName, listen: collector.metricsListen, places: collector.ownPlaces,
                given: options.attributes),
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

    /// The first parts of names that say nothing of a host, in lower case: that of the kernel where there is none, and
    /// those of loopback.
    private static let nameless = [
        "", "(none)", "localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback",
    ]

    /// Returns the attributes. `service.instance.id` is the host and the port of the page, as the label `instance` is where Prometheus
    /// scrapes, with the page's address between them if it is an unusual one. Without a port, a checksum of `places` tells collectors of
    /// one host apart. A host that calls itself localhost, as containers of Cloud Run do, says nothing: there, each process has a number of
    /// its own.
    ///
    /// - Parameter places: What no other collector of the host has at the same time.
    static func attributes(
        host: String, listen: [ListenAddress], places: [String], given: [(name: String, value: String)]
    ) -> [(name: String, value: String)] {
        let name = host.lowercased()
        let isNamed = !nameless.contains(String(name.prefix { $0 != "." }))
        let own = [
            ("service.name", service), ("service.instance.id", isNamed ? instance(host, listen, places) : randomID),
            ("service.version", BuildInfo.version), ("host.name", isNamed ? host : "localhost"),
        ]
        return own.filter { attribute in !given.contains { $0.name == attribute.0 } } + given
    }

    private static func instance(_ host: String, _ listen: [ListenAddress], _ places: [String]) -> String {
        for address in listen {
            guard let port = address.port, port != 0 else { continue }
            return "\(host)\(literal(address).map { "-" + $0 } ?? ""):\(port)"
        }
        if places.isEmpty { return "\(host)-\(randomID)" }
        let checksum = Array(places.joined(separator: "\n").utf8).withUnsafeBytes { crc32c($0) }
        return "\(host)-\(Hex.text(UInt64(checksum), digits: 8))"
    }

    /// Returns the address that a page has in place of the usual ones, because another collector may have the same port at another
    /// address of the host.
    private static func literal(_ address: ListenAddress) -> String? {
        guard case .tcp(let host, _) = address, IPAddress(host) != nil, !["127.0.0.1", "0.0.0.0", "::"].contains(host)
        else { return nil }
        return host.contains(":") ? "[\(host)]" : host
    }

    private static var randomID: String {
        (0..<2).map { _ in Hex.text(UInt64.random(in: 0 ... .max), digits: 16) }.joined()
    }
}

extension CollectorOptions {
    /// The addresses, sockets and the directory that no other collector of the same host can have at the same time.
    fileprivate var ownPlaces: [String] {
        let addresses = metricsListen + otlpListen.flatMap(\.addresses)
        return addresses.filter { $0.port != 0 }.map(\.description) + (forwarder == nil ? [] : [spoolDirectory])
    }
}
