import HTTPService
import NIOHTTP1
import Testing

@testable import Web

@Suite("Who may read the web endpoints")
struct WebAccessTests {
    private static let credentials = BasicCredentials(username: "ann", password: "pa:ss")
    private static let token = BearerToken(RequestSecret("token"))
    /// `ann:pa:ss`, with the padding that clients write.
    private static let basic = "Basic YW5uOnBhOnNz"

    private func refusal(
        _ access: WebAccess, _ audience: WebRoute.Audience, _ headers: HTTPHeaders = [:]
    ) -> HTTPResponse? {
        access.refusal(of: headers, audience)
    }

    @Test(
        "Without credentials and with an allowed host everything is open", arguments: ["localhost", "127.0.0.1:9876"])
    func open(host: String) {
        for audience in [.people, .machines, .everyone] as [WebRoute.Audience] {
            #expect(refusal(WebAccess(), audience, ["Host": host]) == nil)
            #expect(refusal(WebAccess(), audience) == nil)
        }
    }

    @Test("A foreign host is refused to people alone, whatever credentials come with it")
    func hosts() {
        let access = WebAccess(credentials: Self.credentials)
        let headers: HTTPHeaders = ["Host": "evil.example", "Authorization": Self.basic]
        #expect(refusal(access, .people, headers)?.status == .forbidden)
        let text = refusal(access, .people, headers)?.refusal?.text
        #expect(text == "this value of Host is not among metrics.allowed-hosts: evil.example")
        let hostile: HTTPHeaders = ["Host": "a\u{202E}b\u{1B}" + String(repeating: "x", count: 1000)]
        let cut = refusal(access, .people, hostile)?.refusal?.text ?? ""
        #expect(cut.contains("a\\u{202E}b\\u{1B}xxx") && cut.utf8.count < 250, "\(cut)")
        #expect(refusal(access, .machines, headers) == nil && refusal(access, .everyone, headers) == nil)
    }

    @Test("Credentials are asked of people and machines, not of probes, and the answer names what is taken")
    func challenges() {
        let basic = "Basic realm=\"asynq-collector\", charset=\"UTF-8\""
        let bearer = "Bearer realm=\"asynq-collector\""
        let cases: [(WebAccess, [String])] = [
            (WebAccess(credentials: Self.credentials), [basic]), (WebAccess(token: Self.token), [bearer]),
            (WebAccess(credentials: Self.credentials, token: Self.token), [basic, bearer]),
        ]
        for (access, challenges) in cases {
            for audience in [.people, .machines] as [WebRoute.Audience] {
                let answer = refusal(access, audience)
                #expect(answer?.status == .unauthorized && answer?.headers["www-authenticate"] == challenges)
            }
            #expect(refusal(access, .everyone) == nil)
        }
    }

    @Test(
        "Either of the two is enough, if it is right in full",
        arguments: [
            (basic, true), ("basic YW5uOnBhOnNz", true), ("Basic YW5uOnBhOnNz==", true), ("Basic YW5uOnBhOnM=", false),
            ("Basic YW5uOnBhOnNzZQ==", false), ("Basic ", false), ("Basic", false), ("YW5uOnBhOnNz", false),
            ("Bearer token", true), ("bearer token", true), ("Bearer toke", false), ("Bearer tokens", false),
            ("Bearer tokeo", false), ("Bearer  token", false), ("Bearer YW5uOnBhOnNz", false), ("", false),
        ])
    func either(value: String, isEnough: Bool) {
        let access = WebAccess(credentials: Self.credentials, token: Self.token)
        #expect((refusal(access, .machines, ["Authorization": value]) == nil) == isEnough)
        #expect(
            refusal(WebAccess(token: BearerToken(RequestSecret("other"))), .machines, ["Authorization": value]) != nil)
    }

    @Test("A password that its file has anew is the one that counts")
    func reread() {
        let access = WebAccess(credentials: BasicCredentials(username: "ann", password: "old") { "pa:ss" })
        #expect(refusal(access, .people, ["Authorization": Self.basic]) == nil)
        let old = WebAccess(credentials: BasicCredentials(username: "ann", password: "pa:ss") { nil })
        #expect(refusal(old, .people, ["Authorization": Self.basic]) == nil)
    }

    @Test(
        "Addresses and localhost are allowed, and what is configured: names, subdomains, or all",
        arguments: [
            ("localhost", true), ("LOCALHOST:80", true), ("localhost.", true), ("10.0.0.1", true),
            ("10.0.0.1:80", true),
            ("[::1]", true), ("[::1]:9876", true), ("[example.com]", false), ("shop.example", true),
            ("Shop.Example:8080", true), ("shop.example.", true), ("a.team.example", true), ("a.b.team.example", true),
            ("team.example", false), ("ateam.example", false), ("evil.example", false), ("shop.example.evil", false),
            ("", false), ("a:b", false),
        ])
    func names(host: String, isAllowed: Bool) {
        #expect(AllowedHosts(["shop.example", "*.team.example"]).contains(host) == isAllowed)
        #expect(AllowedHosts(["*"]).contains(host))
        // A name that was given with a port, or with the dot at its end, is the same name.
        #expect(AllowedHosts(["Shop.Example:9876", "*.team.example."]).contains(host) == isAllowed)
    }

    @Test(
        "What no value of Host can match is no name",
        arguments: [
            ("a", true), ("a.b", true), ("A_b-c.d.", true), ("a:80", true), ("*", true), ("*.a", true),
            ("*.a.b:80", true),
            ("10.0.0.1", true), ("[::1]", true), ("localhost", true), ("*.localhost", true),
            ("", false), ("*foo.com", false), ("foo.*.com", false), ("foo.*", false), ("*.", false), ("*.*", false),
            ("*.*.com", false), ("**", false), ("*.foo*.com", false), (".a.com", false), ("*..a", false),
            ("a..b", false),
            ("a b", false), ("http://a", false), ("a/b", false), ("u@a", false), ("a?", false), ("a!b", false),
            ("ä.example", false), ("10.0.0", false), ("10.0.0.*", false), ("10.0.0.0/8", false), ("1.2.3.4.5", false),
            ("*.10.0.0.1", false), ("0x7f.1", false), ("a:70000", false), ("a:b", false),
            (String(repeating: "a", count: 64), false),
        ])
    func matchable(name: String, isName: Bool) {
        #expect(AllowedHosts.isName(name) == isName)
    }

    @Test("Where there are no pages, people have none, and the metrics page and the health checks stay")
    func withoutPages() {
        let paths = WebRoute.all.filter { $0.audience != .people }.map(\.path)
        #expect(paths.contains("/metrics") && paths.contains("/-/ready") && paths.contains("/-/healthy"))
        #expect(!paths.contains("/") && !paths.contains("/api/v1/overview"))
    }
}
