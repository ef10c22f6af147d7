import Platform
import Text

/// Where Redis is and how to log in, from `redis.url`.
package struct RedisEndpoint: Sendable, Equatable {
    package enum Address: Sendable, Hashable, CustomStringConvertible {
        case tcp(host: String, port: UInt16)
        case unix(path: String)

        package var description: String {
            switch self {
            case .tcp(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
            case .unix(let path): "unix:\(path)"
            }
        }
    }

    package var address: Address
    package var username: String?
    package var password: String?
    package var database: Int
    /// nil = plain.
    package var tls: RedisTLSOptions?

    package init(address: Address, username: String? = nil, password: String? = nil, database: Int = 0) {
        self.address = address
        self.username = username
        self.password = password
        self.database = database
    }

    /// The name that a certificate is checked against.
    var host: String {
        if case .tcp(let host, _) = address { host } else { "localhost" }
    }

    /// For log lines and errors: no credentials.
    package var description: String { address.description }
}

/// Reads `redis://[user:pass@]host:port/db`, `redis-sentinel://[user:pass@]h1:p1,h2:p2/db?master=NAME`,
/// `redis-cluster://[user:pass@]h1:p1,h2:p2`, the same with `rediss` for TLS, and `unix:///path?db=0`.
package enum RedisURL {
    package struct Invalid: Error, Sendable {
        package let problem: String
    }

    private static let schemes =
        "redis://, redis-sentinel:// and redis-cluster:// (rediss…:// for TLS), and unix://"

    package static func parse(_ text: String) throws(Invalid) -> RedisTarget {
        guard let colon = text.range(ofSeparator: "://") else {
            throw Invalid(problem: "no scheme; allowed are \(schemes), or none")
        }
        let scheme = text[..<colon.lowerBound]
        let rest = text[colon.upperBound...]
        var target: RedisTarget
        switch scheme {
        case "redis", "rediss": target = RedisTarget(try parseTCP(rest))
        case "redis-sentinel", "rediss-sentinel": target = try parseSentinel(rest)
        case "unix": target = RedisTarget(try parseUnix(rest))
        case "redis-cluster", "rediss-cluster": target = try parseCluster(rest)
        default: throw Invalid(problem: "unknown scheme \(scheme)://; allowed are \(schemes)")
        }
        if scheme.hasPrefix("rediss") { target.endpoint.tls = RedisTLSOptions() }
        return target
    }

    /// `[user:pass@]h1:p1,h2:p2/db?master=NAME`; the port of a sentinel is 26379 where it is not given.
    private static func parseSentinel(_ rest: Substring) throws(Invalid) -> RedisTarget {
        let (username, password, hosts, tail) = try parseAuthority(rest)
        let addresses = try parseHosts(hosts, defaultPort: 26379)
        guard let first = addresses.first else {
            throw Invalid(problem: "no sentinel; allowed is host:port,host:port/db?master=NAME")
        }
        let query = tail.drop { $0 != "?" }.dropFirst()
        var master: String?
        for pair in query.split(separator: "&") {
            guard pair.hasPrefix("master=") else { throw Invalid(problem: "unknown parameter; allowed is master=NAME") }
            master = try decode(pair.dropFirst(7))
        }
        guard let master, !master.isEmpty else { throw Invalid(problem: "the master's name is missing: ?master=NAME") }
        let number = tail.prefix { $0 != "?" }.drop { $0 == "/" }
        let endpoint = RedisEndpoint(
            address: first, username: username, password: password,
            database: number.isEmpty ? 0 : try parseDatabase(number))
        return RedisTarget(endpoint, sentinels: .init(addresses: addresses, master: master))
    }

    /// `[user:pass@]h1:p1,h2:p2`: some of the nodes. A Cluster has one database.
    private static func parseCluster(_ rest: Substring) throws(Invalid) -> RedisTarget {
        let (username, password, hosts, tail) = try parseAuthority(rest)
        let addresses = try parseHosts(hosts, defaultPort: 6379)
        guard let first = addresses.first else { throw Invalid(problem: "no node; allowed is host:port,host:port") }
        guard tail.isEmpty || tail == "/" || tail == "/0" else {
            throw Invalid(problem: "a Cluster has database 0 only, and no parameters")
        }
        return RedisTarget(
            RedisEndpoint(address: first, username: username, password: password), clusterSeeds: addresses)
    }

    private static func parseHosts(
        _ hosts: Substring, defaultPort: UInt16
    ) throws(Invalid) -> [RedisEndpoint.Address] {
        var addresses: [RedisEndpoint.Address] = []
        for part in hosts.split(separator: ",") {
            let (host, port) = try parseHost(part, defaultPort: defaultPort)
            addresses.append(.tcp(host: host, port: port))
        }
        return addresses
    }

    private static func parseTCP(_ rest: Substring) throws(Invalid) -> RedisEndpoint {
        let (username, password, hosts, tail) = try parseAuthority(rest)
        let (host, port) = try parseHost(hosts)
        var database = 0
        if let query = tail.firstIndex(of: "?") {
            database = try databaseNumber(tail[tail.index(after: query)...]) ?? 0
        }
        let number = tail.prefix { $0 != "?" }.drop { $0 == "/" }
        if !number.isEmpty { database = try parseDatabase(number) }
        return RedisEndpoint(
            address: .tcp(host: host, port: port), username: username, password: password, database: database)
    }

    /// `[user:pass@]hosts`, and what stands behind them from the first `/` or `?` on.
    private static func parseAuthority(
        _ rest: Substring
    ) throws(Invalid) -> (username: String?, password: String?, hosts: Substring, tail: Substring) {
        let path = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<path]
        guard let at = authority.lastIndex(of: "@") else { return (nil, nil, authority, rest[path...]) }
        let (username, password) = try parseUserInfo(authority[..<at])
        return (username, password, authority[authority.index(after: at)...], rest[path...])
    }

    private static func parseUserInfo(_ text: Substring) throws(Invalid) -> (username: String?, password: String?) {
        guard let colon = text.firstIndex(of: ":") else { return (try decode(text), nil) }
        let user = try decode(text[..<colon])
        return (user.isEmpty ? nil : user, try decode(text[text.index(after: colon)...]))
    }

    private static func parseHost(
        _ text: Substring, defaultPort: UInt16 = 6379
    ) throws(Invalid) -> (host: String, port: UInt16) {
        do throws(HostAndPort.Invalid) {
            let address = try HostAndPort(text)
            let port = address.port ?? defaultPort
            if port == 0 { throw .port }
            return (address.host.isEmpty ? "127.0.0.1" : address.host, port)
        } catch {
            switch error {
            case .unclosedBracket: throw Invalid(problem: "an IPv6 address without its ]")
            case .textAfterBracket: throw Invalid(problem: "after ] comes a port: [::1]:6379")
            case .addressWithoutBrackets: throw Invalid(problem: "an IPv6 address stands in brackets: [::1]:6379")
            case .port: throw Invalid(problem: "the port is no number from 1 to 65535")
            }
        }
    }

    private static func parseUnix(_ rest: Substring) throws(Invalid) -> RedisEndpoint {
        var username: String?
        var password: String?
        var text = rest
        if let slash = text.firstIndex(of: "/"), let at = text[..<slash].lastIndex(of: "@") {
            (username, password) = try parseUserInfo(text[..<at])
            text = text[text.index(after: at)...]
        }
        let path = text.prefix { $0 != "?" }
        guard path.hasPrefix("/") else { throw Invalid(problem: "the path of a unix socket is absolute: unix:///path") }
        let query = text[path.endIndex...].dropFirst()
        return RedisEndpoint(
            address: .unix(path: try decode(path)), username: username, password: password,
            database: try databaseNumber(query) ?? 0)
    }

    private static func databaseNumber(_ query: Substring) throws(Invalid) -> Int? {
        for pair in query.split(separator: "&") {
            guard pair.hasPrefix("db=") else { throw Invalid(problem: "unknown parameter; allowed is db=NUMBER") }
            return try parseDatabase(pair.dropFirst(3))
        }
        return nil
    }

    private static func parseDatabase(_ text: Substring) throws(Invalid) -> Int {
        guard let number = Int(text), (0..<1_000_000).contains(number) else {
            throw Invalid(problem: "the database is no number from 0 on")
        }
        return number
    }

    /// Percent-decoding.
    private static func decode(_ text: Substring) throws(Invalid) -> String {
        guard let bytes = PercentCoding.decode(text.utf8) else {
            throw Invalid(problem: "a % that is not followed by two hex digits")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension String {
    fileprivate func range(ofSeparator separator: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(separator) { return start..<index(start, offsetBy: separator.count) }
            start = index(after: start)
        }
        return nil
    }
}
