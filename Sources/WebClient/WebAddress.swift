/// The address of a collector's web endpoints, as the flag `--url` and the key `metrics.listen` name it.
package struct WebAddress: Equatable, Sendable {
    package struct Invalid: Error, Equatable, Sendable {
        package let problem: String

        package init(problem: String) {
            self.problem = problem
        }
    }

    /// The URL without a slash at its end, with user and password where `--url` has them.
    let base: String
    /// The path of a unix socket, or `@name` for an abstract one.
    let socket: String?
    /// The address without a user and a password, for messages.
    package let text: String

    /// True if the address holds a user and a password.
    var hasCredentials: Bool { socket == nil && base != text }

    /// Reads `http://host:port`, `https://user:pass@host/prefix`, `host:port` or `unix:///path`.
    ///
    /// - Throws: `Invalid` with the fault of the address.
    package init(_ address: String) throws(Invalid) {
        for scheme in ["unix://", "unix:"] where address.hasPrefix(scheme) {
            let path = String(address.dropFirst(scheme.count))
            guard path.hasPrefix("/") || (path.hasPrefix("@") && path.utf8.count > 1) else { throw Self.notAllowed }
            self.init(socket: path)
            return
        }
        let hasScheme = ["http://", "https://"].contains(where: address.lowercased().hasPrefix)
        if !hasScheme && address.contains("://") { throw Self.notAllowed }
        var url = hasScheme ? address : "http://" + address
        let isPlain = url.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
        while url.hasSuffix("/") { url.removeLast() }
        let parts = Self.parts(of: url)
        guard isPlain, !parts.authority.isEmpty, !parts.rest.contains("?"), !parts.rest.contains("#") else {
            throw Self.notAllowed
        }
        self.init(base: url, socket: nil, text: String(parts.scheme + parts.authority + parts.rest))
    }

    /// The web endpoints on a unix socket.
    package init(socket: String) {
        self.init(
            base: "http://localhost", socket: socket,
            text: socket.hasPrefix("@") ? "unix:" + socket : "unix://" + socket)
    }

    private init(base: String, socket: String?, text: String) {
        self.base = base
        self.socket = socket
        self.text = text
    }

    private static let notAllowed = Invalid(
        problem: "allowed are http://host:port, https://host:port and unix:///path")

    /// Splits a URL. The authority is returned without a user and a password.
    private static func parts(of url: String) -> (scheme: Substring, authority: Substring, rest: Substring) {
        let schemeEnd = url.firstIndex(of: "/").map { url.index($0, offsetBy: 2, limitedBy: url.endIndex) } ?? nil
        let scheme = url[..<(schemeEnd ?? url.endIndex)]
        let behind = url[scheme.endIndex...]
        // A user and a password may hold a slash that should have been written as %2F.
        let hostStart = behind.lastIndex(of: "@").map { behind.index(after: $0) } ?? behind.startIndex
        let host = behind[hostStart...]
        let authority = host.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        return (scheme, authority, host[authority.endIndex...])
    }
}
