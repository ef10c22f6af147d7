import Testing

@testable import OTLPClient

@Suite("Which proxy is used")
struct ProxyRulesTests {
    private static func variable(
        _ scheme: String, _ host: String, _ environment: [String: String]
    ) -> String? {
        ProxyRules { environment[$0] }.proxy(forScheme: scheme, host: host, port: "4318")?.variable
    }

    @Test("The scheme's variable is used, in upper case first, then the one for all")
    func variables() {
        let all = [
            "HTTP_PROXY": "http://a", "http_proxy": "http://b", "https_proxy": "http://c", "all_proxy": "http://d",
        ]
        #expect(Self.variable("http", "tempo", all) == "HTTP_PROXY")
        #expect(Self.variable("https", "tempo", all) == "https_proxy")
        #expect(Self.variable("https", "tempo", ["all_proxy": "http://d", "HTTPS_PROXY": ""]) == "all_proxy")
        #expect(Self.variable("https", "tempo", ["http_proxy": "http://b"]) == nil)
        #expect(ProxyRules { _ in "http://a" }.proxy(forScheme: "http", host: "t", port: "1")?.url == "http://a")
    }

    @Test(
        "What libcurl takes for a proxy is one",
        arguments: [
            "http://p:3128", "https://p", "HTTP://p:1", "socks4://p", "socks4a://p", "socks5://u:p@p:65535",
            "socks5h://p",
            "socks://p", "p", "p:3128", "u:p@p:3128", "http://[::1]:3128/", "http://p:1/?x=1",
            "ftp.example:1",
        ])
    func goodURL(url: String) {
        #expect(ProxyRules.Proxy(url: url, variable: "HTTP_PROXY").problem == nil)
    }

    @Test(
        "What is not the URL of a proxy has a reason that quotes nothing of it",
        arguments: [
            ("hptt://u:SECRET@x:1", "its scheme is none of http, https"), ("http://u:SECRET@x:99999", "Port number"),
            ("http://u:SECRET@x:0", "ort"), ("http://u:SEC#RET@x:1", "write @, #, /, ?"),
            ("http://u:SEC/RET@x:1", "write @, #, /, ?"), ("http://u:SEC?RET@x:1", "write @, #, /, ?"),
            ("http://u:12/RET@x:1", "write @, #, /, ?"), ("u:SEC/RET@x:1", "write @, #, /, ?"),
            ("http://u:SEC RET@x:1", "write @, #, /, ?"), ("http://u:SECRET@x:1\n", "write @, #, /, ?"),
            ("u:SECRET@x y:1", "write @, #, /, ?"), ("http://u:SECRET@[x", ""), ("http://u:SECRET", "Port number"),
            ("socks9://:SECRET@h", "its scheme"), ("http://u:SECRET@", ""), ("http://u:SECRET@:1", ""),
            ("u:SEC@RET@p:1", "write @, #, /, ?"), ("http:/u:SECRET@h", "write @, #, /, ?"),
            ("http://u:SECRET@x:y", "Port number"), ("://u:SECRET@h", ""),
        ])
    func badURL(url: String, expected: String) throws {
        let problem = try #require(ProxyRules.Proxy(url: url, variable: "HTTP_PROXY").problem)
        #expect(problem.contains(expected) && !problem.contains("SEC") && !problem.contains("RET"), "\(problem)")
    }

    @Test(
        "A request whose proxy is none is not sent: a mistake that names the variable, and quotes nothing",
        arguments: ["hptt://u:SECRET@x:1", "http://u:SEC RET@x:1", "http://u:SECRET@x:99999", "http://u:SEC#RET@x:1"])
    func unsent(url: String) throws {
        var backend = OTLPBackend(
            endpoint: try OTLPEndpoint(base: "http://tempo.invalid", for: .traces), headers: [], compression: .none,
            timeout: .seconds(5), userAgent: "test")
        backend.proxies = ProxyRules { $0 == "http_proxy" ? url : nil }
        let multi = CurlMulti()
        let transfer = try #require(CurlTransfer(backend, body: [1], contentEncoding: nil))
        #expect(multi.add(transfer))
        multi.perform()
        let done = try #require(multi.nextDone())
        multi.remove(transfer)
        let answer = transfer.answer(done.result)
        #expect(answer.code(.retry(afterSeconds: 0, reason: "")) == "proxy")
        guard case .retrySlowly(let reason, let advice) = OTLPOutcome.of(answer, for: .traces) else {
            Issue.record("expected a mistake, got \(OTLPOutcome.of(answer, for: .traces))")
            return
        }
        #expect(reason == "no request is sent: http_proxy is not the URL of a proxy")
        #expect(advice.hasPrefix("http_proxy is not the URL of a proxy: ") && !advice.contains("SEC"))
    }

    @Test(
        "Loopback is always reached directly",
        arguments: ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]", "::1"])
    func loopback(host: String) {
        #expect(Self.variable("http", host, ["HTTP_PROXY": "http://a"]) == nil)
    }

    /// The cases of golang.org/x/net/http/httpproxy, in words of our own.
    @Test(
        "An entry of NO_PROXY is a name with its subdomains, a suffix, an address, a network, one port, or all",
        arguments: [
            ("example.com", "example.com", true), ("example.com", "a.example.com", true),
            ("example.com", "aexample.com", false),
            ("example.com", "EXAMPLE.com", true), (".example.com", "example.com", false),
            (".example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true), ("*.example.com", "example.com", false),
            ("example.com:4318", "example.com", true), ("example.com:80", "example.com", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7:4318", "10.0.0.7", true), ("10.0.0.7:80", "10.0.0.7", false), ("10.0.0.0/8", "10.200.1.1", true),
            ("10.0.0.0/8", "11.0.0.1", false), ("10.0.0.0/12", "10.15.0.1", true), ("10.0.0.0/12", "10.16.0.1", false),
            ("10.0.0.0/8", "example.com", false), ("fd00::/8", "[fd12::1]", true), ("fd00::/8", "[fe80::1]", false),
            ("[fd12::1]:4318", "[fd12::1]", true), ("fd12::1", "[fd12::1]", true), ("*", "anything", true),
            (" a , example.com ", "example.com", true), ("", "example.com", false), ("10.0.0.0/99", "10.0.0.1", false),
        ])
    func exceptions(entries: String, host: String, isDirect: Bool) {
        let found = Self.variable("http", host, ["HTTP_PROXY": "http://a", "NO_PROXY": entries])
        #expect((found == nil) == isDirect)
    }
}
