import Platform

/// Where a listener listens.
package enum ListenAddress: Sendable, Equatable, CustomStringConvertible {
    case tcp(host: String, port: Int)
    case unix(path: String)

    package struct Invalid: Error, Sendable {
        package let problem: String
    }

    /// `host:port`, `[::1]:port`, `:port`, `unix:///path`, or `unix:@name` for an abstract socket.
    package init(_ text: String) throws(Invalid) {
        if text.hasPrefix("unix:") {
            self = try .unix(path: Self.unixPath(text.dropFirst(text.hasPrefix("unix://") ? 7 : 5)))
            return
        }
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
        self = .tcp(host: address.host.isEmpty ? "0.0.0.0" : address.host, port: Int(port))
    }

    private static let allowed = "no address; allowed are host:port, [::1]:port and unix:///path"

    /// An absolute path, or `@name`.
    package static func unixPath(_ text: some StringProtocol) throws(Invalid) -> String {
        guard text.hasPrefix("/") || (text.hasPrefix("@") && text.count > 1) else {
            throw Invalid(problem: "a unix socket is an absolute path, or @name for an abstract one")
        }
        return String(text)
    }

    /// The path of a unix socket.
    package var unixPath: String? {
        if case .unix(let path) = self { path } else { nil }
    }

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path.hasPrefix("@") ? "unix:\(path)" : "unix://\(path)"
        }
    }
}
