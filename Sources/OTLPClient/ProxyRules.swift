import Glibc
import Platform

/// The proxy that the environment names for an endpoint, by the rules of Go's `net/http`, so that the collector takes the same way as
/// the workers beside it (https://pkg.go.dev/golang.org/x/net/http/httpproxy). libcurl's own rules differ for loopback addresses, ports
/// and upper case.
///
/// | variable                     | used for                                                             |
/// |------------------------------|----------------------------------------------------------------------|
/// | `HTTP_PROXY`, `http_proxy`   | `http://` endpoints                                                  |
/// | `HTTPS_PROXY`, `https_proxy` | `https://` endpoints                                                 |
/// | `ALL_PROXY`, `all_proxy`     | both, where theirs is not set (curl's; Go does not have it)          |
/// | `NO_PROXY`, `no_proxy`       | hosts that are reached directly                                      |
struct ProxyRules: Sendable {
    struct Proxy: Equatable {
        let url: String
        /// The variable of the environment, for advice.
        let variable: String
    }

    private let value: @Sendable (String) -> String?

    /// - Parameter value: Looks a variable of the environment up.
    init(_ value: @escaping @Sendable (String) -> String? = { name in getenv(name).map { String(cString: $0) } }) {
        self.value = value
    }

    /// Returns the proxy; nil where the endpoint is reached directly.
    func proxy(forScheme scheme: String, host: String, port: String) -> Proxy? {
        let names = scheme == "https" ? ["HTTPS_PROXY", "https_proxy"] : ["HTTP_PROXY", "http_proxy"]
        guard let proxy = first(names + ["ALL_PROXY", "all_proxy"]), !isExcepted(host: host, port: port) else {
            return nil
        }
        return Proxy(url: proxy.text, variable: proxy.name)
    }

    private func first(_ names: [String]) -> (name: String, text: String)? {
        for name in names {
            if let text = value(name), !text.isEmpty { return (name, text) }
        }
        return nil
    }

    /// Returns true for loopback, and for other hosts that an entry of `NO_PROXY` names.
    private func isExcepted(host: String, port: String) -> Bool {
        var host = host.lowercased()
        if host.hasPrefix("[") && host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let address = IPAddress(host)
        if host == "localhost" || address?.isLoopback == true { return true }
        let entries = (first(["NO_PROXY", "no_proxy"])?.text ?? "").split(separator: ",")
        return entries.contains { entry in
            let entry = entry.filter { !$0.isWhitespace }.lowercased()
            return entry == "*" || Self.matches(entry, host: host, port: port, address)
        }
    }

    private static func matches(_ entry: String, host: String, port: String, _ address: IPAddress?) -> Bool {
        if let slash = entry.firstIndex(of: "/"), let network = IPAddress(String(entry[..<slash])),
            let length = Int(entry[entry.index(after: slash)...])
        {
            return address?.isInNetwork(network, prefixLength: length) ?? false
        }
        if let known = IPAddress(entry) { return known == address }
        var name = entry
        if let parsed = try? HostAndPort(entry), let wanted = parsed.port {
            if String(wanted) != port { return false }
            name = parsed.host
            if let known = IPAddress(name) { return known == address }
        }
        if name.hasPrefix("*.") { name.removeFirst() }
        if name.isEmpty { return false }
        return name.hasPrefix(".") ? host.hasSuffix(name) : host == name || host.hasSuffix("." + name)
    }
}
