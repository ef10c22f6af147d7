import CCurl
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

        /// The reason why the URL is none of a proxy; nil where it is one. Nothing of the URL is quoted: it may have a password, and
        /// libcurl's own words for it do quote it.
        var problem: String? {
            let url = url.contains("://") ? url : "http://" + url
            let authority = url.drop { $0 != ":" }.dropFirst(3)
            let behind = authority.drop { !"/?#".contains($0) }
            if behind.contains("@") || url.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7F }) {
                return Self.encodingAdvice
            }
            let parsed: CurlURL
            do throws(OTLPEndpoint.Invalid) {
                parsed = try CurlURL(url, CURLU_NON_SUPPORT_SCHEME)
            } catch {
                return authority.count { $0 == "@" } > 1 ? Self.encodingAdvice : error.problem
            }
            if !Self.schemes.contains(parsed.part(CURLUPART_SCHEME)?.lowercased() ?? "") {
                return "its scheme is none of http, https, socks4, socks4a, socks5 and socks5h"
            }
            if parsed.part(CURLUPART_HOST)?.isEmpty ?? true { return "it has no host" }
            if let port = parsed.part(CURLUPART_PORT).flatMap({ Int($0) }), !(1...65_535).contains(port) {
                return "its port is none of 1 to 65535"
            }
            return nil
        }

        private static let encodingAdvice =
            "write @, #, /, ? and blanks of its user and password as %40, %23, %2F, %3F and %20"

        /// libcurl's schemes of proxies; `socks` is its other name of `socks4`.
        private static let schemes = ["http", "https", "socks", "socks4", "socks4a", "socks5", "socks5h"]
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
