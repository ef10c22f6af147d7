import HTTPService
import Testing

@testable import Collector
@testable import Metrics

@Suite("Names of what is pushed")
struct PushedNamesTests {
    /// The name that Prometheus makes of a metric: the rules of `UnderscoreEscapingWithSuffixes`, as far as ours need them.
    private static func translated(_ name: Substring, _ unit: String, _ kind: MetricKind) -> String {
        var words = name.split(separator: "_").map(String.init)
        let suffix = ["s": "seconds", "By": "bytes"][unit]
        if let suffix, !words.contains(suffix) { words.append(suffix) }
        if kind == .counter { words = words.filter { $0 != "total" } + ["total"] }
        if unit == "1" && kind == .gauge { words = words.filter { $0 != "ratio" } + ["ratio"] }
        return words.joined(separator: "_")
    }

    @Test("Prometheus' translation of each family's name and unit is its name on the page")
    func names() {
        let families = FamilyTable.allCases.filter { $0 != .asynqmon }.flatMap(\.families)
        #expect(families.count > 80)
        for declaration in families {
            let (name, unit) = MetricFamily(declaration).otlpName
            #expect(Self.translated(name, unit, declaration.kind) == declaration.name)
        }
    }

    @Test("A collector is known by its host and the port of its page, unless the host has no name")
    func resource() {
        func found(_ host: String, _ given: [(name: String, value: String)] = []) -> [String: String] {
            let attributes = PushedResource.attributes(
                host: host, listen: [.anyAddress(port: 9876)], places: [":9876", "/spool"], given: given)
            return Dictionary(uniqueKeysWithValues: attributes.map { ($0.name, $0.value) })
        }
        #expect(found("web-1")["service.instance.id"] == "web-1:9876" && found("web-1")["host.name"] == "web-1")
        #expect(found("web-1")["service.name"] == "asynq-collector")
        let ids = (0..<2).compactMap { _ in found("localhost")["service.instance.id"] }
        #expect(ids.allSatisfy { $0.count == 32 } && ids[0] != ids[1])
        let given = found("web-1", [("service.instance.id", "7"), ("redis", "shop")])
        #expect(given["service.instance.id"] == "7" && given["redis"] == "shop" && given.count == 5)
    }

    private static func id(_ host: String, _ listen: [ListenAddress], _ places: [String]) -> String {
        PushedResource.attributes(host: host, listen: listen, places: places, given: [])
            .first { $0.name == "service.instance.id" }?.value ?? ""
    }

    @Test(
        "A host without a name of its own gets a number for each process",
        arguments: [
            "", "(none)", "localhost", "LOCALHOST", "localhost.localdomain", "LocalHost.LocalDomain", "localhost.",
            "localhost4", "localhost6.localdomain6", "ip6-localhost",
        ])
    func nameless(host: String) {
        let ids = (0..<2).map { _ in Self.id(host, [.anyAddress(port: 9876)], ["/spool"]) }
        #expect(ids.allSatisfy { $0.count == 32 } && ids[0] != ids[1])
    }

    @Test("Without a port, what only one collector of the host has tells it from the others, also after a restart")
    func withoutPort() throws {
        let ids = [
            Self.id("web-1", [], ["/spool"]), Self.id("web-1", [], ["/spool-2"]),
            Self.id("web-1", [.unix(path: "/run/a")], ["unix:/run/a"]),
            Self.id("web-1", [.tcp(host: "127.0.0.1", port: 0)], ["127.0.0.1:4318"]),
            Self.id("web-1", [], []), Self.id("web-1", [], []),
        ]
        #expect(Set(ids).count == ids.count && ids.allSatisfy { $0.hasPrefix("web-1-") }, "\(ids)")
        #expect(ids[0] == Self.id("web-1", [], ["/spool"]))
        #expect(Self.id("localhoster", [.anyAddress(port: 1)], []) == "localhoster:1")
    }

    @Test("Collectors with one port at several addresses of a host are told apart")
    func addresses() {
        for (host, id) in [
            ("127.0.0.1", "h:9876"), ("0.0.0.0", "h:9876"), ("::", "h:9876"), ("localhost", "h:9876"),
            ("127.0.0.2", "h-127.0.0.2:9876"), ("10.1.2.3", "h-10.1.2.3:9876"), ("::1", "h-[::1]:9876"),
        ] {
            #expect(Self.id("h", [.unix(path: "/x"), .tcp(host: host, port: 9876)], ["/spool"]) == id)
        }
    }
}
