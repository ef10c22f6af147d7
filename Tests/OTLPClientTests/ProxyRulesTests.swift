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
