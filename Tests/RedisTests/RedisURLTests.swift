import Testing

@testable import Redis

@Suite("RedisURL")
struct RedisURLTests {
    private static func tcp(
        _ host: String = "h", _ port: UInt16 = 6379, user: String? = nil, password: String? = nil, database: Int = 0
    ) -> RedisEndpoint {
        RedisEndpoint(address: .tcp(host: host, port: port), username: user, password: password, database: database)
    }

    private static let good: [(text: String, endpoint: RedisEndpoint)] = [
        ("redis://h", tcp()),
        ("redis://h/", tcp()),
        ("redis://h:1", tcp("h", 1)),
        ("redis://h:65535/15", tcp("h", 65535, database: 15)),
        ("redis://", tcp("127.0.0.1")),
        ("redis://:7000", tcp("127.0.0.1", 7000)),
        ("redis://:secret@h", tcp(password: "secret")),
        ("redis://user:secret@h:6380/2", tcp("h", 6380, user: "user", password: "secret", database: 2)),
        ("redis://user@h", tcp(user: "user")),
        ("redis://user:p%40ss%2Fw%3A%25@h", tcp(user: "user", password: "p@ss/w:%")),
        ("redis://u%3Aser:p@ss@h", tcp(user: "u:ser", password: "p@ss")),
        ("redis://user:a:b@h", tcp(user: "user", password: "a:b")),
        ("redis://user:@h", tcp(user: "user", password: "")),
        ("redis://[::1]", tcp("::1")),
        ("redis://[fe80::1]:7000/1", tcp("fe80::1", 7000, database: 1)),
        ("redis://u:p@[::1]:7000", tcp("::1", 7000, user: "u", password: "p")),
        ("redis://h?db=3", tcp(database: 3)),
        ("unix:///run/redis.sock", RedisEndpoint(address: .unix(path: "/run/redis.sock"))),
        ("unix:///run/redis.sock?db=4", RedisEndpoint(address: .unix(path: "/run/redis.sock"), database: 4)),
        ("unix:///run/a%20b@c.sock", RedisEndpoint(address: .unix(path: "/run/a b@c.sock"))),
        (
            "unix://user:p%40@/run/redis.sock?db=0",
            RedisEndpoint(address: .unix(path: "/run/redis.sock"), username: "user", password: "p@")
        ),
    ]

    @Test("Every documented form is understood", arguments: good.indices)
    func forms(index: Int) throws {
        let (text, endpoint) = Self.good[index]
        #expect(try RedisURL.parse(text) == RedisTarget(endpoint), "\(text)")
    }

    private static let bad = [
        "", "h:6379", "redis:/h", "http://h", "REDIS://h", "redis://h:0", "redis://h:65536", "redis://h:x",
        "redis://h:",
        "redis://h:-1", "redis://h/x", "redis://h/-1", "redis://h/1/2", "redis://h/99999999999999999999",
        "redis://h?db=x",
        "redis://h?timeout=5", "redis://[::1", "redis://[::1]6379", "redis://::1", "redis://fe80::1:6379",
        "redis://u:p%4@h",
        "redis://u:p%zz@h", "redis://u:p%@h", "unix://relative/path", "unix://", "unix:///x?db=",
        "unix:///x?password=p",
    ]

    @Test("Everything else is refused with a reason", arguments: bad)
    func refused(text: String) {
        #expect(throws: RedisURL.Invalid.self) { try RedisURL.parse(text) }
    }

    @Test("Sentinels are a list, their master a name; credentials and database are the master's")
    func sentinels() throws {
        let target = try RedisURL.parse("redis-sentinel://u:p%40@s1:1,s2,[::1]:3/4?master=my%2Fmaster")
        #expect(
            target.sentinels
                == .init(
                    addresses: [.tcp(host: "s1", port: 1), .tcp(host: "s2", port: 26379), .tcp(host: "::1", port: 3)],
                    master: "my/master"))
        #expect(target.endpoint.username == "u" && target.endpoint.password == "p@" && target.endpoint.database == 4)
        #expect(target.endpoint.tls == nil && target.description == "master my/master of 3 sentinels")
        #expect(try RedisURL.parse("rediss-sentinel://s?master=m").endpoint.tls == RedisTLSOptions())
    }

    @Test(
        "Sentinels without a list, a master's name or good numbers are refused",
        arguments: [
            "redis-sentinel://", "redis-sentinel://?master=m", "redis-sentinel://s", "redis-sentinel://s?master=",
            "redis-sentinel://s:0?master=m", "redis-sentinel://s/x?master=m", "redis-sentinel://s?db=1&master=m",
        ])
    func badSentinels(text: String) {
        #expect(throws: RedisURL.Invalid.self) { try RedisURL.parse(text) }
    }

    @Test("rediss is redis by TLS, verified; nothing else is")
    func tls() throws {
        let secure = try RedisURL.parse("rediss://u:p@h:6380/2").endpoint
        #expect(secure.tls == RedisTLSOptions() && secure.tls?.skipsVerification == false)
        #expect(secure.address == .tcp(host: "h", port: 6380) && secure.database == 2 && secure.password == "p")
        #expect(try RedisURL.parse("redis://h").endpoint.tls == nil)
        #expect(try RedisURL.parse("unix:///r.sock").endpoint.tls == nil)
    }

    @Test("A Cluster is some of its nodes, credentials and nothing else")
    func cluster() throws {
        let target = try RedisURL.parse("redis-cluster://u:p%40@a:7001,[::1]:7002,b")
        #expect(
            target.clusterSeeds == [
                .tcp(host: "a", port: 7001), .tcp(host: "::1", port: 7002), .tcp(host: "b", port: 6379),
            ])
        #expect(target.endpoint.username == "u" && target.endpoint.password == "p@" && target.endpoint.tls == nil)
        #expect(try RedisURL.parse("rediss-cluster://a/0").endpoint.tls == RedisTLSOptions())
        #expect(!target.description.contains("p@"))
    }

    @Test(
        "A Cluster has no other database and no parameters",
        arguments: [
            "redis-cluster://", "redis-cluster://a/1", "redis-cluster://a?db=1", "redis-cluster://a:x",
            "redis-cluster://a,b:0",
        ])
    func badClusters(text: String) {
        #expect(throws: RedisURL.Invalid.self) { try RedisURL.parse(text) }
    }

    @Test(
        "No reason repeats a password",
        arguments: ["redis://u:hush@h:x", "redis://u:hush%zz@h", "hush", "redis://u:hu/sh@h"])
    func secrets(text: String) {
        do {
            _ = try RedisURL.parse(text)
            Issue.record("accepted")
        } catch {
            #expect(!error.problem.contains("hush") && !error.problem.contains("hu/sh"), "\(error.problem)")
        }
    }

    @Test("A description names host and port, or the path, and no credentials")
    func description() throws {
        #expect(try RedisURL.parse("redis://u:hush@h:1/2").description == "h:1")
        #expect(try RedisURL.parse("redis://u:hush@[::1]:1").description == "[::1]:1")
        #expect(try RedisURL.parse("unix://u:hush@/x").description == "unix:/x")
    }

    private static let hints: [(text: String, parts: [String])] = [
        ("redis://:aB3/xY9+z=@127.0.0.1:6379/0", ["%2F", "%3F"]),
        ("redis://default:aB3?xY9@cache.example:6379", ["%2F", "%3F"]),
        ("redis-sentinel://u:a/b@h:1/0?master=m", ["%2F"]), ("rediss-cluster://u:a?b@h:1", ["%3F"]),
        ("redis-socket:///run/r.sock", ["redis-socket://", "unix:///path?db=0"]),
        ("redis+unix:///run/r.sock", ["unix:///path?db=0"]), ("REDIS://h:1", ["REDIS://", "write redis://"]),
        ("Rediss-Sentinel://h/0?master=m", ["rediss-sentinel://"]), ("valkeys://h", ["rediss://"]),
        ("redis://h?protocol=3", ["unknown parameter protocol", "leave it out", "db=NUMBER"]),
        ("redis://h/0?db=1&protocol=3", ["protocol"]), ("redis://h?family=0", ["family", "leave it out"]),
        ("redis://h?ssl_cert_reqs=none", ["ssl_cert_reqs", "redis.tls.insecure-skip-verify"]),
        ("redis://h?ssl_ca_certs=/x", ["ssl_ca_certs", "rediss://", "redis.tls.ca-file"]),
        ("redis://h?socket_timeout=3", ["socket_timeout", "redis.timeout"]),
        ("redis://h?password=hush", ["password", "redis.password"]),
        ("redis://h/0?master=m", ["master", "redis-sentinel://"]),
        ("redis-sentinel://h?db=3&master=m", ["db", "/NUMBER"]),
        ("unix:///r.sock?database=2", ["database", "db=NUMBER"]),
        ("redis-cluster://h?protocol=3", ["protocol", "leave it out"]),
        ("redis://h:6379/0 ", ["blank", "take it off"]), (" redis://h:6379/0", ["blank"]),
        ("redis://h:6379/0\n", ["line end", "take it off"]), ("redis://h/0/", ["/0/", "write /0"]),
        ("redis://h :6379", ["blank"]), ("redis-cluster://a:1, b:2", ["blank"]), ("redis://h:6379 /0", ["blank"]),
        ("redis://a:1,b:2/0", ["several hosts", "redis-sentinel://", "redis-cluster://"]),
        ("redis://a,b", ["several hosts"]), ("redis://u:aB3%xY9@h", ["write %25"]),
        ("\"redis://h:6379\"", ["quotation mark", "take it off"]), ("u:hush@h://x", ["is not a scheme"]),
        ("redis-sentinel://h/3/?master=m", ["/3/", "write /3"]), ("redis-cluster://h/0/", ["database 0 only"]),
    ]

    @Test("What other clients understand is named, with what to write here", arguments: hints.indices)
    func hint(index: Int) {
        let (text, parts) = Self.hints[index]
        do {
            _ = try RedisURL.parse(text)
            Issue.record("accepted: \(text)")
        } catch {
            for part in parts { #expect(error.problem.contains(part), "\(text): \(error.problem)") }
            for secret in ["aB3", "xY9", "hush"] { #expect(!error.problem.contains(secret), "\(error.problem)") }
        }
    }

    @Test(
        "The url of what is read has the database and no credentials",
        arguments: [
            ("redis://u:hush@h/2", "redis://h:6379/2"), ("rediss://[::1]:1", "rediss://[::1]:1/0"),
            ("unix://u:hush@/r.sock?db=4", "unix:///r.sock?db=4"), ("unix:///r.sock", "unix:///r.sock?db=0"),
            ("redis-sentinel://u:hush@a,b:1/3?master=m", "redis-sentinel://a:26379,b:1/3?master=m"),
            ("rediss-cluster://u:hush@a:1,b", "rediss-cluster://a:1,b:6379"),
        ])
    func location(text: String, url: String) throws {
        #expect(try RedisURL.parse(text).url == url)
    }

    @Test(
        "An unknown parameter is named where it can be a name: at most forty letters, digits, hyphens, points and underscores"
    )
    func namedParameters() {
        func problem(_ name: String) -> String? {
            do {
                _ = try RedisURL.parse("redis://h?\(name)=1")
                return nil
            } catch {
                return error.problem
            }
        }
        let longest = String(repeating: "n", count: 40)
        for name in ["a", "a_b-c.9", longest] { #expect(problem(name)?.contains(" \(name): ") == true, "\(name)") }
        for name in [longest + "n", "a+b", "a*", "n\u{F6}"] {
            #expect(problem(name)?.contains(name) == false, "\(name)")
        }
    }
}
