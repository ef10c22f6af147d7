import Testing

@testable import OTLPClient

@Suite("Where requests go")
struct OTLPEndpointTests {
    @Test(
        "The traces path is appended unless the base ends in it; all else stays",
        arguments: [
            ("http://tempo:4318", "http://tempo:4318/v1/traces"),
            ("http://tempo:4318/", "http://tempo:4318/v1/traces"),
            ("http://tempo:4318//", "http://tempo:4318/v1/traces"),
            ("http://tempo:4318/v1/traces", "http://tempo:4318/v1/traces"),
            ("http://tempo:4318/v1/traces/", "http://tempo:4318/v1/traces"),
            ("https://otlp-gateway.example/otlp", "https://otlp-gateway.example/otlp/v1/traces"),
            ("https://u:p@[::1]:1/x/v1/traces", "https://u:p@[::1]:1/x/v1/traces"),
            ("http://h/v1/traces/more", "http://h/v1/traces/more/v1/traces"),
            ("http://h?token=a%2Fb&x=/y/", "http://h/v1/traces?token=a%2Fb&x=/y/"),
            ("http://h/otlp/?token=a", "http://h/otlp/v1/traces?token=a"),
            ("http://h/v1/traces?a=b#part", "http://h/v1/traces?a=b"),
            ("http://h/a%2fb/", "http://h/a%2fb/v1/traces"), ("HTTPS://tempo:4318", "https://tempo:4318/v1/traces"),
        ])
    func url(base: String, url: String) throws {
        #expect(try OTLPEndpoint(base: base, for: .traces).url == url)
        #expect(try OTLPEndpoint(base: base, for: .traces).substitution == nil)
    }

    @Test(
        "What libcurl can't read is refused",
        arguments: [
            "http://", "http://h:99999", "http://h:port", "http://[::1", "http://a b", "http://h/\u{7}", "tempo:4318",
            "", "http:///v1", "http:////h", "http://?a", "http://#a", "http://:4318", "http://u:p@/v1", "http://u@:1",
            "http://h:0", "https://h:0/v1/traces", "http://h:00", "http://\\h",
        ])
    func refused(base: String) {
        #expect(throws: OTLPEndpoint.Invalid.self) { try OTLPEndpoint(base: base, for: .traces) }
    }

    @Test(
        "Another server name takes the host's place in the URL, and the connection goes where it went",
        arguments: [
            (
                "https://10.0.0.1:4318/a?b=c", "tempo.example", "https://tempo.example:4318/a/v1/traces?b=c",
                "::10.0.0.1:4318", "10.0.0.1:4318"
            ),
            ("https://u:p@gateway", "tempo.example", "https://u:p@tempo.example/v1/traces", "::gateway:443", "gateway"),
            (
                "https://[fd00::1]:1", "tempo.example", "https://tempo.example:1/v1/traces", "::[fd00::1]:1",
                "[fd00::1]:1"
            ),
            ("https://gateway:1", "fd00::1", "https://[fd00::1]:1/v1/traces", "::gateway:1", "gateway:1"),
            ("https://gateway:1", "10.0.0.1", "https://10.0.0.1:1/v1/traces", "::gateway:1", "gateway:1"),
        ])
    func serverName(base: String, name: String, url: String, connectTo: String, host: String) throws {
        let endpoint = try OTLPEndpoint(base: base, for: .traces, serverName: name)
        let substitution = try #require(endpoint.substitution)
        #expect(substitution.url == url)
        #expect(substitution.connectTo == connectTo)
        #expect(substitution.host == host)
        #expect(substitution.serverHost == (name.contains(":") ? "[\(name)]" : name))
        #expect(endpoint.url == (try OTLPEndpoint(base: base, for: .traces).url))
    }

    @Test("Without TLS there is nobody to name")
    func plain() throws {
        #expect(try OTLPEndpoint(base: "http://h", for: .traces, serverName: "x").substitution == nil)
    }

    @Test("A server name that can't be one is refused by its key", arguments: ["a b", "a/b", "a@b", "a:b:zz"])
    func badServerName(name: String) {
        #expect { try OTLPEndpoint(base: "https://h", for: .traces, serverName: name) } throws: {
            ($0 as? OTLPEndpoint.Invalid)?.problem.hasPrefix("tempo.tls.server-name: ") == true
        }
    }

    @Test("Metrics have a path and keys of their own")
    func metrics() throws {
        #expect(try OTLPEndpoint(base: "http://h:4318", for: .metrics).url == "http://h:4318/v1/metrics")
        #expect(try OTLPEndpoint(base: "http://h/v1/metrics/", for: .metrics).url == "http://h/v1/metrics")
        #expect(try OTLPEndpoint(base: "http://h/v1/traces", for: .metrics).url == "http://h/v1/traces/v1/metrics")
        #expect { try OTLPEndpoint(base: "https://h", for: .metrics, serverName: "a b") } throws: {
            ($0 as? OTLPEndpoint.Invalid)?.problem.hasPrefix("metrics.push.tls.server-name: ") == true
        }
    }

    @Test("The host and the port that are connected to are those of the URL, or the scheme's port")
    func hostAndPort() throws {
        for (base, host, port) in [
            ("http://h", "h", "80"), ("https://h/a", "h", "443"), ("http://[fd00::1]:7", "[fd00::1]", "7"),
        ] {
            let found = try #require(try OTLPEndpoint(base: base, for: .traces).hostAndPort)
            #expect(found.host == host && found.port == port)
        }
    }

    @Test("Endpoints are the same where their URLs and server names are")
    func equality() throws {
        func endpoint(_ base: String, _ name: String? = nil) throws -> OTLPEndpoint {
            try OTLPEndpoint(base: base, for: .traces, serverName: name)
        }
        #expect(try endpoint("https://h") == endpoint("https://h/v1/traces/"))
        #expect(try endpoint("https://h") != endpoint("https://g"))
        #expect(try endpoint("https://h", "x") != endpoint("https://h"))
        #expect(try endpoint("https://h", "x") == endpoint("https://h", "x"))
        #expect(try endpoint("https://h", "x") != endpoint("https://h", "y"))
    }
}
