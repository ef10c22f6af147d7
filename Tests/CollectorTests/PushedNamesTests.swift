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
            let attributes = PushedResource.attributes(host: host, listen: [.anyAddress(port: 9876)], given: given)
            return Dictionary(uniqueKeysWithValues: attributes.map { ($0.name, $0.value) })
        }
        #expect(found("web-1")["service.instance.id"] == "web-1:9876" && found("web-1")["host.name"] == "web-1")
        #expect(found("web-1")["service.name"] == "asynq-collector")
        let ids = (0..<2).compactMap { _ in found("localhost")["service.instance.id"] }
        #expect(ids.allSatisfy { $0.count == 32 } && ids[0] != ids[1])
        let given = found("web-1", [("service.instance.id", "7"), ("redis", "shop")])
        #expect(given["service.instance.id"] == "7" && given["redis"] == "shop" && given.count == 5)
    }
}
