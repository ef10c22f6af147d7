import Platform

/// `external-url.*`: other programs that the status page links to.
struct ExternalURLKeys: KeySection {
    static let title = "Links"
    static let page = "docs/TRACES.md"

    let grafana = Key(
        "external-url.grafana", .webURL, default: "", example: "https://grafana.example.com",
        help: """
            The base URL of Grafana. With it the status page links each trace id to Grafana's Explore. Without it, trace ids are links \
            to /trace where traces.recent-max-bytes keeps spans in memory, else text.
            """)
    let tempoDataSource = Key(
        "external-url.tempo-datasource", .text, default: "", example: "tempo-eu",
        help:
            "The uid of the Tempo data source in Grafana, for these links. Without it they name a data source called tempo."
    )
}

extension ValueForm where Value == String? {
    /// Reads the target of links on a page; an empty text is nil.
    fileprivate static var webURL: Self {
        optional(.url(allowed: "http://host:port/path or https://host/path")) { text in
            guard let scheme = ["http://", "https://"].first(where: text.lowercased().hasPrefix) else { return false }
            let authority = text.dropFirst(scheme.count).prefix { !"/?#\\".contains($0) }
            do throws(HostAndPort.Invalid) {
                let address = try HostAndPort(authority.drop(through: "@"))
                return !address.host.isEmpty && address.port != 0
            } catch {
                return false
            }
        }
    }
}

extension Substring {
    /// Returns what follows the last occurrence of a character; all of it without one.
    fileprivate func drop(through last: Character) -> Substring {
        lastIndex(of: last).map { self[index(after: $0)...] } ?? self
    }
}
