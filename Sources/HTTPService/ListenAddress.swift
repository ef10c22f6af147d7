import Platform

/// The address of a listener.
package enum ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// Every address of the machine, IPv6 and IPv4: `:port` or `*:port`.
    case anyAddress(port: Int)
    /// An address, or a name that stands for all its addresses.
    case tcp(host: String, port: Int)
    case unix(path: String)

    package struct Invalid: Error, Sendable {
        package let problem: String
    }

    /// Reads `host:port`, `[::1]:port`, `:port`, `*:port`, `unix:///path`, or `unix:@name` for an abstract socket.
    ///
    /// - Throws: `Invalid`, with what is allowed.
    package init(_ text: String) throws(Invalid) {
        if text.hasPrefix("unix:") {
            self = try .unix(path: Self.unixPath(text.dropFirst(text.hasPrefix("unix://") ? 7 : 5)))
            return
        }
        if text.contains("://") { throw Invalid(problem: "a listener has no scheme but unix://: write host:port") }
        let address: HostAndPort
        do throws(HostAndPort.Invalid) {
            address = try HostAndPort(text)
        } catch {
            let problem =
                switch error {
                case .addressWithoutBrackets, .unclosedBracket, .textAfterBracket:
                    "an IPv6 address stands in brackets: [::1]:port"
                case .port: Self.allowed
                }
            throw Invalid(problem: problem)
        }
        guard let port = address.port else { throw Invalid(problem: Self.allowed) }
        let isAny = address.host.isEmpty || address.host == "*"
        // An IPv4 address in IPv6 form is bound as what it is.
        let ipv4 = IPAddress(address.host).flatMap { $0.isIPv4 ? $0.text : nil }
        let host = ipv4 ?? address.host
        self = isAny ? .anyAddress(port: Int(port)) : .tcp(host: host, port: Int(port))
    }

    private static let allowed =
        "no address; allowed are host:port, [::1]:port, :port for every address, and unix:///path"

    /// Checks an absolute path, or `@name`.
    /// - Throws: `Invalid`, with what is allowed.
    package static func unixPath(_ text: some StringProtocol) throws(Invalid) -> String {
        guard text.hasPrefix("/") || (text.hasPrefix("@") && text.count > 1) else {
            throw Invalid(problem: "a unix socket is an absolute path, or @name for an abstract one")
        }
        return String(text)
    }

    /// The port of a TCP listener.
    package var port: Int? {
        switch self {
        case .anyAddress(let port), .tcp(_, let port): port
        case .unix: nil
        }
    }

    /// Returns the same address with the port that the system chose.
    func withPort(_ port: Int?) -> ListenAddress {
        guard let port else { return self }
        return switch self {
        case .anyAddress: .anyAddress(port: port)
        case .tcp(let host, _): .tcp(host: host, port: port)
        case .unix: self
        }
    }

    /// The path of a unix socket.
    package var unixPath: String? {
        if case .unix(let path) = self { path } else { nil }
    }

    package var description: String {
        switch self {
        case .anyAddress(let port): ":\(port)"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path.hasPrefix("@") ? "unix:\(path)" : "unix://\(path)"
        }
    }
}
