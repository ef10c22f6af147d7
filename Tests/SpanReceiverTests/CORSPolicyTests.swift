import HTTPService
import NIOHTTP1
import Testing

@testable import SpanReceiver

@Suite("Pages of browsers that send spans")
struct CORSPolicyTests {
    private static let policy = CORSPolicy(
        origins: ["https://Shop.example", "http://a:80"].compactMap(OriginPattern.init),
        headers: ["X-A", "Authorization"])
    private static let all = CORSPolicy(origins: [.any], headers: ["*", "X-A"])

    @Test(
        "An origin is one of the configured ones, whatever the case of its letters, or a foreign one; without it there is none"
    )
    func origins() {
        #expect(Self.policy.origin(of: ["Origin": "https://shop.example"]) == .allowed("https://shop.example"))
        #expect(Self.policy.origin(of: ["Origin": "HTTPS://SHOP.EXAMPLE"]) == .allowed("HTTPS://SHOP.EXAMPLE"))
        #expect(Self.policy.origin(of: ["Origin": "https://shop.example:443"]) == .allowed("https://shop.example:443"))
        #expect(
            Self.policy.origin(of: ["Origin": "https://shop.example:8443"]) == .foreign("https://shop.example:8443"))
        #expect(Self.policy.origin(of: ["Origin": "http://a"]) == .allowed("http://a"))
        #expect(Self.policy.origin(of: ["Origin": "http://shop.example"]) == .foreign("http://shop.example"))
        #expect(Self.policy.origin(of: ["Origin": "null"]) == .foreign("null"))
        #expect(Self.policy.origin(of: ["Origin": ""]) == .foreign(""))
        #expect(Self.policy.origin(of: [:]) == .none)
        #expect(Self.all.origin(of: ["Origin": "null"]) == .allowed("null"))
        #expect(Self.all.origin(of: [:]) == .none)
        #expect(CORSPolicy().origin(of: ["Origin": "http://a"]) == .foreign("http://a"))
    }

    private func preflight(
        _ policy: CORSPolicy, _ method: HTTPMethod = .OPTIONS, asksFor wanted: String? = "POST",
        _ fields: HTTPHeaders = [:]
    ) -> HTTPResponse? {
        var headers = fields
        if let wanted { headers.add(name: "Access-Control-Request-Method", value: wanted) }
        return policy.preflight(HTTPRequestHead(version: .http1_1, method: method, uri: "/v1/traces", headers: headers))
    }

    @Test("A preflight is OPTIONS that asks for a method")
    func preflights() {
        #expect(preflight(Self.policy)?.status == .noContent)
        #expect(preflight(Self.policy, .POST) == nil)
        #expect(preflight(Self.policy, asksFor: nil) == nil)
    }

    @Test("A preflight is told what a page may send, and for how long that holds")
    func preflightAnswer() {
        #expect(
            preflight(Self.policy, .OPTIONS, ["Access-Control-Request-Headers": "x-b"])?.headers == [
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Allow-Headers": "content-type, content-encoding, authorization, X-A",
                "Access-Control-Max-Age": "7200",
            ])
    }

    @Test("Where all headers are allowed, those that are asked for are")
    func allHeaders() {
        let asked: HTTPHeaders = ["Access-Control-Request-Headers": "x-b, x-c"]
        #expect(preflight(Self.all, .OPTIONS, asked)?.headers["access-control-allow-headers"] == ["x-b, x-c"])
        let always = ["content-type, content-encoding, authorization, X-A"]
        #expect(preflight(Self.all)?.headers["access-control-allow-headers"] == always)
    }

    @Test("A page of the internet may send to the machine it is shown on, where it asks", arguments: ["true", "false"])
    func privateNetwork(asked: String) {
        let headers = preflight(Self.policy, .OPTIONS, ["Access-Control-Request-Private-Network": asked])?.headers
        #expect(headers?["access-control-allow-private-network"] == (asked == "true" ? ["true"] : []))
    }

    @Test("An answer to an allowed page names it, and says to caches that it depends on the page")
    func marked() {
        let answer = HTTPResponse.text(.ok, "x")
        #expect(
            Self.policy.mark(answer, for: .allowed("http://a:80")).headers == [
                "Content-Type": "text/plain; charset=utf-8", "Access-Control-Allow-Origin": "http://a:80",
                "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "Retry-After",
                "Vary": "Origin",
            ])
    }

    @Test("Where all pages are allowed the answer names the page too: with credentials a browser takes no star")
    func markedForAll() {
        #expect(
            Self.all.mark(HTTPResponse(.ok), for: .allowed("http://b")).headers == [
                "Access-Control-Allow-Origin": "http://b", "Access-Control-Allow-Credentials": "true",
                "Access-Control-Expose-Headers": "Retry-After", "Vary": "Origin",
            ])
    }

    @Test("Answers to others are as they are", arguments: [.none, .foreign("http://b")] as [CORSPolicy.Origin])
    func unmarked(origin: CORSPolicy.Origin) {
        #expect(Self.policy.mark(HTTPResponse(.ok), for: origin).headers == [:])
    }

    @Test(
        "An entry is an origin, a star before a domain, null or a star; what can match no page is refused",
        arguments: [
            ("https://shop.example", true), ("http://a:8080", true), ("*", true), ("null", true),
            ("chrome-extension://abc", true), ("https://[::1]:80", true), ("https://*.shop.example", true),
            ("https://*.shop.example:8443", true),
            ("shop.example", false), ("https://", false), ("://a", false), ("https:/a", false), ("https://a/", false),
            ("https://a?b", false), ("https://a#b", false), ("https://u@a", false), ("https://a b", false),
            ("ht tp://a", false), ("schön://a", false), ("", false), ("https://*", false), ("https://*.", false),
            ("https://a.*.example", false), ("https://*.*.example", false), ("*.shop.example", false),
            ("https://*shop.example", false), ("https://shop.*", false), ("https://a:", false), ("https://a:x", false),
            ("https://a:70000", false), ("https://schön.example", false), ("https://[::1", false),
            ("https://[]", false), ("https://[x]", false), ("https://[:::]", false), ("https://[1.2.3.4]", false),
            ("https://10.0.0.1", true), ("http://localhost:3000", true), ("https://a.", true), ("https://.a", false),
            ("https://a..b", false), ("https://*..a", false), ("https://*.10.0.0.1", false), ("https://*.[::1]", false),
            ("http://127.1", false), ("http://0x7f.0.0.1", false), ("http://1.2.3.400", false), ("http://a:0", false),
        ])
    func patterns(text: String, expected: Bool) {
        #expect((OriginPattern(text) != nil) == expected)
    }

    @Test(
        "Subdomains are those of the scheme and port at any depth, not the domain itself",
        arguments: [
            ("https://a.shop.example", true), ("https://A.B.shop.example", true), ("https://a.shop.example:443", true),
            ("https://shop.example", false), ("http://a.shop.example", false), ("https://a.shop.example:444", false),
            ("https://evilshop.example", false), ("https://a.shop.example.evil.example", false), ("null", false),
            ("https://.shop.example", false), ("https://evil.example/.shop.example", false),
        ])
    func subdomains(origin: String, expected: Bool) {
        let policy = CORSPolicy(origins: ["https://*.shop.example:443"].compactMap(OriginPattern.init))
        #expect(policy.origin(of: ["Origin": origin]) == (expected ? .allowed(origin) : .foreign(origin)))
    }

    @Test("An IPv6 address is the same, however it is written")
    func addresses() {
        let policy = CORSPolicy(origins: ["http://[0:0::0:1]:3000"].compactMap(OriginPattern.init))
        #expect(policy.origin(of: ["Origin": "http://[::1]:3000"]) == .allowed("http://[::1]:3000"))
        #expect(policy.origin(of: ["Origin": "http://[::2]:3000"]) == .foreign("http://[::2]:3000"))
    }

    @Test("Pages without an origin are allowed by name only, or by a star")
    func opaqueOrigins() {
        #expect(CORSPolicy(origins: [.opaque]).origin(of: ["Origin": "null"]) == .allowed("null"))
        #expect(CORSPolicy(origins: [.opaque]).origin(of: ["Origin": "https://a"]) == .foreign("https://a"))
    }
}
