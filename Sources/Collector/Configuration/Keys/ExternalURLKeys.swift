/// `external-url.*`: other programs that the status page links to.
struct ExternalURLKeys: KeySection {
    static let title = "Links"

    let grafana = Key(
        "external-url.grafana", .webURL, default: "", example: "https://grafana.example.com",
        help: "base URL of Grafana: makes trace links on the status page")
    let tempoDataSource = Key(
        "external-url.tempo-datasource", .text, default: "", example: "tempo-eu",
        help: "uid of the Tempo data source in Grafana; tempo without one")
}

extension ValueForm where Value == String? {
    /// The target of links on a page; an empty text is nil.
    fileprivate static var webURL: Self {
        optional(.url(allowed: "http://host:port/path or https://host/path")) { text in
            ["http://", "https://"].contains(where: text.hasPrefix)
        }
    }
}
