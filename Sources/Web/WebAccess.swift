package import HTTPService
import NIOHTTP1
import Platform
import Text

/// The rules of access: the readers of the web endpoints, and the endpoints that exist.
package struct WebAccess: Sendable {
    package var credentials: BasicCredentials?
    package var token: BearerToken?
    /// True if there are pages; else only the metrics page and the health checks.
    package var hasPages: Bool
    package var hosts: AllowedHosts

    /// The longest value of Host that a refusal shows.
    private static let maxShownHost = 100

    package init(
        credentials: BasicCredentials? = nil, token: BearerToken? = nil, hasPages: Bool = true,
        hosts: AllowedHosts = AllowedHosts()
    ) {
        self.credentials = credentials
        self.token = token
        self.hasPages = hasPages
        self.hosts = hosts
    }

    /// Returns the refusal of a request; nil where its route may answer.
    func refusal(of headers: HTTPHeaders, _ audience: WebRoute.Audience) -> HTTPResponse? {
        if audience == .everyone { return nil }
        if audience == .people, let host = headers.first(name: "host"), !hosts.contains(host) {
            let shown = SafeText.oneLine(host, maxScalars: Self.maxShownHost)
            return .refused(
                .forbidden, reason: "host", "this value of Host is not among metrics.allowed-hosts: \(shown)")
        }
        if credentials == nil && token == nil { return nil }
        if credentials?.isIn(headers) == true || token?.isIn(headers) == true { return nil }
        var response = HTTPResponse.refused(
            .unauthorized, reason: "unauthorized", "a user and password or a bearer token is needed")
        if credentials != nil {
            response.headers.add(name: "WWW-Authenticate", value: "Basic realm=\"asynq-collector\", charset=\"UTF-8\"")
        }
        if token != nil { response.headers.add(name: "WWW-Authenticate", value: "Bearer realm=\"asynq-collector\"") }
        return response
    }
}

/// The values of `Host` that pages and the API answer to. A page of the web can make its own name point to this
/// machine, and would read what its visitor may read. It can't do so with an address or with `localhost`, which are
/// always allowed.
package struct AllowedHosts: Sendable {
    private let allowsAll: Bool
    private let names: [String]
    /// The suffixes, such as `.example.com` for `*.example.com`.
    private let suffixes: [String]

    /// - Parameter names: The names: `name`, `*.name` for the subdomains, or `*` for all. A port, and a dot at the end, count
    ///   for as little as in the header.
    package init(_ names: [String] = []) {
        let names = names.compactMap { Self.plainName($0) }.filter { !$0.isEmpty }
        allowsAll = names.contains("*")
        suffixes = names.filter { $0.hasPrefix("*.") }.map { String($0.dropFirst()) }
        self.names = names + ["localhost"]
    }

    /// - Parameter host: The value of the header, with or without a port.
    func contains(_ host: String) -> Bool {
        if allowsAll { return true }
        guard let name = Self.plainName(host) else { return false }
        if host.hasPrefix("[") { return IPAddress(name) != nil }
        return names.contains(name) || IPAddress(name) != nil || suffixes.contains { name.hasSuffix($0) }
    }

    /// Returns a name in lower case, without its port and the dot at its end; nil for what can't be a value of `Host`.
    private static func plainName(_ text: String) -> String? {
        guard let parsed = try? HostAndPort(text.lowercased()) else { return nil }
        return parsed.host.hasSuffix(".") && parsed.host != "*." ? String(parsed.host.dropLast()) : parsed.host
    }

    /// Returns true for a text that can be among the names, and that a value of `Host` can match.
    package static func isName(_ text: String) -> Bool {
        guard let name = plainName(text) else { return false }
        if name.hasPrefix("*.") { return HostName.isDomain(name.dropFirst(2)) }
        return name == "*" || IPAddress(name) != nil || HostName.isSendable(name)
    }
}
