import CCurl
import Model
import Text

/// The destination of requests, read by libcurl's own parser: what is checked at the start is what is connected to
/// later.
package struct OTLPEndpoint: Sendable, Equatable {
    package struct Invalid: Error, Equatable {
        package let problem: String
    }

    package let signal: OTLPSignal
    /// The URL that requests go to.
    package let url: String
    /// The scheme: `http` or `https`.
    let scheme: String
    /// The host that is looked up, and its port; nil where the URL has none.
    package let hostAndPort: (host: String, port: String)?
    /// The way to use another server name than the URL's; nil where TLS asks for that of the URL.
    let substitution: Substitution?

    /// Appends the signal's path (`/v1/traces`) to that of `base`, unless that ends in it; a query stays behind it. TLS
    /// asks for `serverName` and verifies it, if it differs from the URL's.
    /// - Throws: `Invalid` with what is allowed.
    package init(base: String, for signal: OTLPSignal, serverName: String? = nil) throws(Invalid) {
        self.signal = signal
        // libcurl would take what follows `http:///` for the host.
        guard Self.hasHost(base) else { throw Invalid(problem: "the host is missing: write http://host:port") }
        if Self.hasTwoSchemes(base) { throw Invalid(problem: "two schemes: write http://host:port") }
        let parsed = try CurlURL(base)
        if parsed.part(CURLUPART_PORT) == "0" { throw Invalid(problem: "the port must be 1 to 65535") }
        var path = Substring(parsed.part(CURLUPART_PATH) ?? "")
        while path.hasSuffix("/") { path.removeLast() }
        try parsed.set(CURLUPART_PATH, path.hasSuffix(signal.path) ? String(path) : path + signal.path)
        // What follows a # is not for the far side.
        try parsed.set(CURLUPART_FRAGMENT, nil)
        guard let url = parsed.part(CURLUPART_URL) else { throw Invalid(problem: "no URL") }
        self.url = url
        if let host = parsed.part(CURLUPART_HOST), let port = parsed.part(CURLUPART_PORT, CURLU_DEFAULT_PORT) {
            hostAndPort = (host, port)
        } else {
            hostAndPort = nil
        }
        scheme = parsed.part(CURLUPART_SCHEME) ?? ""
        substitution =
            if let serverName, scheme == "https" { try Substitution(serverName, for: parsed, signal) } else { nil }
    }

    private static func hasHost(_ base: String) -> Bool {
        let rest = base.drop { $0 != ":" }
        guard rest.hasPrefix("://") else { return true }
        let authority = rest.dropFirst(3).prefix { !"/?#\\".contains($0) }
        let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        return !host.isEmpty && !host.hasPrefix(":")
    }

    /// Returns true for `http://https://host`, of which libcurl would take `https` for the host.
    private static func hasTwoSchemes(_ base: String) -> Bool {
        let rest = base.drop { $0 != ":" }.dropFirst(3).lowercased()
        return ["http://", "https://"].contains { rest.hasPrefix($0) }
    }

    /// The longest address of a redirect that is shown.
    private static let maxRedirectBytes = 200

    /// Returns the address that a `Location` names, without user, password, query and fragment; nil where it is not a URL, or may have a
    /// password in its path.
    func shownRedirect(to location: String) -> String? {
        do throws(Invalid) {
            let target = try CurlURL(url)
            try target.set(CURLUPART_URL, location, CURLU_URLENCODE)
            let query = target.part(CURLUPART_QUERY) == nil ? "" : "?<redacted>"
            for part in [CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT] {
                try target.set(part, nil)
            }
            guard let text = target.part(CURLUPART_URL), !text.contains("@") else { return nil }
            return ForeignText(SafeText.oneLine(text)).cut(to: Self.maxRedirectBytes).text + query
        } catch {
            return nil
        }
    }

    package static func == (left: OTLPEndpoint, right: OTLPEndpoint) -> Bool {
        left.url == right.url && left.substitution == right.substitution
    }

    /// libcurl takes the name for SNI and for the verification from the URL. So the server name stands there, and
    /// CURLOPT_CONNECT_TO says where to connect instead.
    struct Substitution: Equatable {
        let url: String
        /// The value of CURLOPT_CONNECT_TO: any host and port of a URL stand for those of the endpoint.
        let connectTo: String
        /// The `Host` header, as it would have been.
        let host: String

        /// The server name, as the host of a URL.
        var serverHost: String? {
            do throws(Invalid) { return try CurlURL(url).part(CURLUPART_HOST) } catch { return nil }
        }

        fileprivate init(_ serverName: String, for endpoint: CurlURL, _ signal: OTLPSignal) throws(Invalid) {
            guard let host = endpoint.part(CURLUPART_HOST),
                let port = endpoint.part(CURLUPART_PORT, CURLU_DEFAULT_PORT),
                let url = endpoint.part(CURLUPART_URL)
            else { throw Invalid(problem: "no host") }
            connectTo = "::\(host):\(port)"
            self.host = host + (endpoint.part(CURLUPART_PORT).map { ":" + $0 } ?? "")
            let substituted = try CurlURL(url)
            // A name with a colon can only be an IPv6 address.
            let isBare = serverName.contains(":") && !serverName.hasPrefix("[")
            do throws(Invalid) {
                try substituted.set(CURLUPART_HOST, isBare ? "[\(serverName)]" : serverName)
            } catch {
                throw Invalid(problem: "\(signal.section).tls.server-name: \(error.problem)")
            }
            self.url = substituted.part(CURLUPART_URL) ?? url
        }
    }
}
