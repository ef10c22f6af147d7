import Glibc
package import Platform
import Text

/// The address of Redis and the login, from `redis.url`.
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

        /// True if the host has to be looked up, and may lead elsewhere tomorrow.
        var isName: Bool {
            guard case .tcp(let host, _) = self else { return false }
            return IPAddress(host) == nil
        }
    }

    package var address: Address
    package var username: String?
    package var password: String?
    package var database: Int
    /// The options of TLS; nil for a plain connection.
    package var tls: RedisTLSOptions?
    package var peer = RedisPeer.redis
    /// The limit of bytes for the replies of one round trip.
    package var maxReplyBytes = ReplyLimits().bytes
    /// The memory for the replies of all connections; nil where only the limit of each counts.
    package var replyMemory: ByteBudget?

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

    /// The address for log lines and errors, without credentials.
    package var description: String { address.description }

    /// The same, with the kind of server that is expected there.
    var name: String { "\(peer.name) at \(description)" }
}

/// Reads `redis://[user:pass@]host:port/db`, `redis-sentinel://[user:pass@]h1:p1,h2:p2/db?master=NAME`,
/// `redis-cluster://[user:pass@]h1:p1,h2:p2`, the same with `rediss` for TLS, and `unix:///path?db=0`.
package enum RedisURL {
    package struct Invalid: Error, Sendable {
        package let problem: String
    }

    private static let schemes =
        "redis://, redis-sentinel:// and redis-cluster:// (rediss…:// for TLS), and unix://"

    /// Reads the url.
    /// - Throws: `Invalid` with the fault, which never quotes a password.
    package static func parse(_ text: String) throws(Invalid) -> RedisTarget {
        if let edge = [text.first, text.last].compactMap(\.self).first(where: \.isWhitespace) {
            throw Invalid(problem: "a \(edge == " " ? "blank" : "line end or tab") at its begin or end: take it off")
        }
        guard let colon = text.range(ofSeparator: "://") else {
            throw Invalid(problem: "no scheme; allowed are \(schemes), or none")
        }
        let scheme = text[..<colon.lowerBound]
        let rest = text[colon.upperBound...]
        do throws(Invalid) {
            return try parse(scheme, rest)
        } catch {
            let tail = rest.drop { $0 != "/" && $0 != "?" }
            if rest.hasPrefix("/") || !tail.contains("@") { throw error }
            throw Invalid(
                problem:
                    "a / or ? stands before the @: in a user or password write %2F for /, %3F for ?, %40 for @, or give "
                    + "them as redis.username and redis.password")
        }
    }

    private static func parse(_ scheme: Substring, _ rest: Substring) throws(Invalid) -> RedisTarget {
        var target: RedisTarget
        switch scheme {
        case "redis", "rediss": target = RedisTarget(try parseTCP(rest))
        case "redis-sentinel", "rediss-sentinel": target = try parseSentinel(rest)
        case "unix": target = RedisTarget(try parseUnix(rest))
        case "redis-cluster", "rediss-cluster": target = try parseCluster(rest)
        default:
            throw Invalid(problem: RedisURLHints.unknownScheme(scheme) + "; allowed are \(schemes)")
        }
        if scheme.hasPrefix("rediss") { target.endpoint.tls = RedisTLSOptions() }
        return target
    }

    /// Reads `[user:pass@]h1:p1,h2:p2/db?master=NAME`; the port of a sentinel is 26379 by default.
    private static func parseSentinel(_ rest: Substring) throws(Invalid) -> RedisTarget {
        let (username, password, hosts, tail) = try parseAuthority(rest)
        let addresses = try parseHosts(hosts, defaultPort: 26379)
        guard let first = addresses.first else {
            throw Invalid(problem: "no sentinel; allowed is host:port,host:port/db?master=NAME")
        }
        let query = tail.drop { $0 != "?" }.dropFirst()
        guard let value = try parameter("master", in: query, allowed: "master=NAME"), !value.isEmpty else {
            throw Invalid(problem: "the master's name is missing: ?master=NAME")
        }
        let master = try decode(value)
        let number = tail.prefix { $0 != "?" }.drop { $0 == "/" }
        let endpoint = RedisEndpoint(
            address: first, username: username, password: password,
            database: number.isEmpty ? 0 : try parseDatabase(number))
        return RedisTarget(endpoint, sentinels: .init(addresses: addresses, master: master))
    }

    /// Reads `[user:pass@]h1:p1,h2:p2`: some of the nodes. A Cluster has one database.
    private static func parseCluster(_ rest: Substring) throws(Invalid) -> RedisTarget {
        let (username, password, hosts, tail) = try parseAuthority(rest)
        let addresses = try parseHosts(hosts, defaultPort: 6379)
        guard let first = addresses.first else { throw Invalid(problem: "no node; allowed is host:port,host:port") }
        _ = try parameter("", in: tail.drop { $0 != "?" }.dropFirst(), allowed: "none")
        let number = tail.prefix { $0 != "?" }
        guard number.isEmpty || number == "/" || number == "/0" else {
            throw Invalid(problem: "a Cluster has database 0 only: what stands behind the nodes has to be left out")
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
        if hosts.contains(",") {
            throw Invalid(
                problem: "several hosts: write redis-sentinel://host:port,host:port/0?master=NAME for sentinels, "
                    + "redis-cluster://host:port,host:port for a Cluster, or one of them")
        }
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

    /// Reads `[user:pass@]hosts`, and returns what stands behind them from the first `/` or `?` on.
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
        if text.contains(where: \.isWhitespace) { throw Invalid(problem: "a blank beside a host or port: take it off") }
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
            case .port: throw Invalid(problem: "the port must be 1 to 65535")
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
        guard let number = try parameter("db", in: query, allowed: "db=NUMBER") else { return nil }
        return try parseDatabase(number)
    }

    /// Returns the value of the only parameter that is allowed; nil where it is not given.
    private static func parameter(
        _ name: String, in query: Substring, allowed: String
    ) throws(Invalid) -> Substring? {
        var value: Substring?
        for pair in query.split(separator: "&") {
            let given = pair.prefix { $0 != "=" }
            guard given == name, given.endIndex < pair.endIndex else {
                throw Invalid(problem: RedisURLHints.unknownParameter(given) + "; allowed is \(allowed)")
            }
            value = pair[given.endIndex...].dropFirst()
        }
        return value
    }

    private static func parseDatabase(_ text: Substring) throws(Invalid) -> Int {
        if let number = Int(text), (0..<1_000_000).contains(number) { return number }
        if text.hasSuffix("/"), let number = Int(text.prefix { $0 != "/" }) {
            throw Invalid(problem: "a / behind the database: write /\(number) for /\(number)/")
        }
        throw Invalid(problem: "the database must be a number from 0 on")
    }

    /// Decodes percent-coding.
    private static func decode(_ text: Substring) throws(Invalid) -> String {
        guard let bytes = PercentCoding.decode(text.utf8) else {
            throw Invalid(problem: "a % that is not followed by two hex digits: for the character itself write %25")
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
