import Attention
import Compression
import HTTPService
import Metrics
import Model
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Web

/// A page whose parts are one piece.
final class FakePage: MetricsPage {
    private let parts: [String]

    init(_ parts: [String]) {
        self.parts = parts
    }

    func next(_ sink: (UnsafeRawBufferPointer) -> Void) -> Bool {
        for part in parts { Array(part.utf8).withUnsafeBytes { sink($0) } }
        return false
    }
}

private struct FakeState: WebState {
    var unhealthy: String?
    var unready: String?
    var queuesReply = QueuesReply.list(Array("[]".utf8))
    /// nil: the advice is the name of the queue.
    var scaleReply: ScaleReply?

    func metricsPage(_ format: PageFormat) -> any MetricsPage { FakePage(["page in ", "\(format)"]) }

    func unhealthyReason() -> String? { unhealthy }
    func unreadyReason() -> String? { unready }
    var overviewContent: OverviewContent { .sample }
    func deadLetters() -> [UInt8] { Array("letters".utf8) }
    func queues() -> QueuesReply { queuesReply }

    func scale(ofQueue name: [UInt8]) -> ScaleReply { scaleReply ?? .advice(name) }

    func overview(since: Int64?) -> CachedDocument {
        CachedDocument(Array("overview since \(since ?? 0)".utf8), changing: 0)
    }

    func queue(named name: [UInt8]) -> CachedDocument? {
        name == Array("gone".utf8) ? nil : CachedDocument(name, changing: 0)
    }

    func errorGroups() -> [ErrorGroup] { [] }
    func trace(_ id: TraceID) -> TraceReply { .absent("no spans") }
    func findTask(_ task: TaskName, whenDone: @escaping @Sendable (TaskReply) -> Void) { whenDone(.absent) }
    func searchTask(id: [UInt8], whenDone: @escaping @Sendable (TaskReply) -> Void) { whenDone(.busy) }
    func readRetries(ofQueue name: [UInt8], whenDone: @escaping @Sendable () -> Void) { whenDone() }
}

@Suite("The web endpoints")
struct WebResponderTests {
    private func head(_ path: String, _ method: HTTPMethod = .GET, _ fields: HTTPHeaders = [:]) -> HTTPRequestHead {
        HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: fields)
    }

    private func answer(
        _ path: String, _ method: HTTPMethod = .GET, _ fields: HTTPHeaders = [:], _ state: FakeState = FakeState()
    ) -> HTTPResponse? {
        switch WebResponder(state).judge(head(path, method, fields), arrival: .now()) {
        case .answer(let response): return response
        case .receive(let exchange):
            switch exchange.respond(to: ByteBuffer(), on: EmbeddedEventLoop()) {
            case .now(let response): return response
            // It is there already, and can't have failed.
            case .later(let response): return try? response.wait()
            }
        }
    }

    private func text(_ response: HTTPResponse?) -> String? { response.map { String(buffer: $0.body) } }

    @Test("Who may not read a page is told so, with the headers of every answer; probes are answered")
    func refusals() throws {
        func answer(_ path: String, _ fields: HTTPHeaders = [:], _ method: HTTPMethod = .GET) -> HTTPResponse? {
            let access = WebAccess(token: BearerToken(RequestSecret("token")))
            let verdict = WebResponder(FakeState(), access).judge(head(path, method, fields), arrival: .now())
            if case .answer(let response) = verdict { return response }
            return nil
        }
        for path in ["/", "/metrics", "/api/v1/overview", "/api/v1/queues/q"] {
            let refused = try #require(answer(path), "\(path)")
            #expect(refused.status == .unauthorized && refused.headers.contains(name: "WWW-Authenticate"))
            #expect(refused.headers["X-Frame-Options"] == ["DENY"])
            #expect(answer(path, ["Authorization": "Bearer token"]) == nil)
        }
        #expect(answer("/-/healthy") == nil && answer("/-/ready") == nil)
        #expect(answer("/", ["Host": "evil.example", "Authorization": "Bearer token"])?.status == .forbidden)
        // It is not told which pages there are to ask for in other ways.
        #expect(answer("/metrics", [:], .POST)?.status == .unauthorized)
        #expect(answer("/metrics", ["Authorization": "Bearer token"], .POST)?.status == .methodNotAllowed)
    }

    @Test(
        "Each path has its page and its type",
        arguments: [
            ("/metrics", "page in text", "text/plain; version=0.0.4; charset=utf-8"),
            ("/-/healthy", "healthy\n", "text/plain; charset=utf-8"),
            ("/healthz", "healthy\n", "text/plain; charset=utf-8"),
            ("/-/ready", "ready\n", "text/plain; charset=utf-8"), ("/readyz", "ready\n", "text/plain; charset=utf-8"),
            ("/api/v1/queues", "[]", "application/json"), ("/api/v1/dead-letters", "letters", "application/json"),
            ("/api/v1/scale/a", "a", "application/json"),
            ("/api/v1/overview", "overview since 0", "application/json"),
            ("/api/v1/overview?a=b&since=12", "overview since 12", "application/json"),
            ("/api/v1/queues/a%2Fb/c", "a/b/c", "application/json"),
            ("/api/v1/queues?name=..", "..", "application/json"), ("/api/v1/queues?name=%2e", ".", "application/json"),
            ("/api/v1/queues?name=a+b%2Bc", "a b+c", "application/json"),
            ("/api/v1/queues?name=", "", "application/json"),
            ("/api/v1/queues/a+b", "a+b", "application/json"), ("/api/v1/scale?queue=..", "..", "application/json"),
            ("/api/v1/scale?x=y&queue=a+b%2Bc", "a b+c", "application/json"),
            ("/api/v1/scale?queue=", "", "application/json"),
            ("/api/v1/errors", "[]\n", "application/json"),
        ])
    func pages(path: String, content: String, type: String) {
        for method in [.GET, .HEAD] as [HTTPMethod] {
            let response = answer(path, method)
            #expect(response?.status == .ok && text(response) == content)
            #expect(response?.headers["content-type"] == [type])
            #expect(response?.headers.contains(name: "content-encoding") == false)
        }
    }

    @Test(
        "Other paths are not found, and the answer names those that are",
        arguments: [
            "/metrics/", "/Metrics", "/api/v1/scale/", "/api/v1/scale", "/api/v1/scale?name=q", "/favicon.ico", "", "*",
        ])
    func notFound(path: String) {
        for method in [.GET, .POST] as [HTTPMethod] {
            let response = answer(path, method)
            #expect(response?.status == .notFound)
            #expect(
                text(response) == """
                    no such page; there are /, /trace/{id}, /assets/{hash}/{name}, /runbook, /api/v1/overview, /api/v1/queues/{queue}, /api/v1/queues, \
                    /api/v1/dead-letters, /api/v1/scale/{queue}, /api/v1/errors, /api/v1/traces/{trace_id}, /api/v1/tasks, \
                    /api/v1/tasks/{queue}/{id}, /metrics, /-/healthy, /healthz, /-/ready, /readyz

                    """)
        }
    }

    @Test("The page comes with its files' addresses, its title and its plain tables, relative to where it is")
    func page() throws {
        for (path, root) in [("/", ""), ("/?a=b", ""), ("/trace/0af7651916cd43dd8448eb211c80319c", "../")] {
            let response = try #require(answer(path))
            #expect(response.status == .ok && response.headers["content-type"] == ["text/html; charset=utf-8"])
            #expect(response.headers["cache-control"] == ["no-cache"])
            let text = String(buffer: response.body)
            #expect(text.contains("src=\"\(root)assets/\(PageFiles.hash)/app.js\"") && !text.contains("{{"))
        }
        #expect(text(answer("/"))?.contains("<title>asynq-collector</title>") == true)
        #expect(text(answer("/"))?.contains("No queues yet") == true)
        let kept = text(answer("/trace/0af7651916cd43dd8448eb211c80319c"))
        #expect(
            kept?.contains("<p>No spans are kept in memory (traces.recent-max-bytes is 0). To open traces from here")
                == true)
        let hostile = text(answer("/trace/%3Cscript%3E%7B%7Bassets%7D%7D"))
        #expect(hostile?.contains("&lt;script&gt;{{assets}}") == true)
    }

    @Test("The files of the page may be kept under their hash only")
    func assets() throws {
        let file = try #require(answer("/assets/\(PageFiles.hash)/app.js"))
        #expect(file.status == .ok && file.headers["content-type"] == ["text/javascript; charset=utf-8"])
        #expect(file.headers["cache-control"] == ["public, max-age=31536000, immutable"])
        let packed = try #require(answer("/assets/\(PageFiles.hash)/app.js", .GET, ["Accept-Encoding": "gzip"]))
        let unpacked = try Array(packed.body.readableBytesView).withUnsafeBytes {
            try Inflater().inflate($0, limit: 1 << 20)
        }
        #expect(unpacked == Array(file.body.readableBytesView) && packed.headers["content-encoding"] == ["gzip"])
        let old = try #require(answer("/assets/0000000000000000/app.js"))
        #expect(old.status == .ok && old.headers["cache-control"] == ["no-cache"] && old.body == file.body)
        for name in ["app", "page.html", "../app.js", "a/app.js", "/app.js", ""] {
            #expect(answer("/assets/\(PageFiles.hash)/\(name)")?.status == .notFound, "\(name)")
        }
    }

    @Test("Every answer tells browsers what they may do with it")
    func security() {
        for path in ["/", "/metrics", "/-/healthy", "/api/v1/overview", "/api/v1/scale/a", "/nothing"] {
            for method in [.GET, .POST] as [HTTPMethod] {
                let headers = answer(path, method)?.headers ?? [:]
                #expect(headers["x-content-type-options"] == ["nosniff"] && headers["x-frame-options"] == ["DENY"])
                #expect(headers["referrer-policy"] == ["no-referrer"])
                let policy = headers["content-security-policy"].first ?? ""
                #expect(policy.hasPrefix("default-src 'none';") && !policy.contains("unsafe"))
            }
        }
    }

    @Test("Who has the document already gets 304, packed or not, and nothing else")
    func notModified() throws {
        let tag = try #require(answer("/api/v1/overview")?.headers.first(name: "etag"))
        for fields in [
            ["If-None-Match": tag], ["If-None-Match": tag, "Accept-Encoding": "gzip"], ["If-None-Match": "*"],
            ["If-None-Match": "\"other\", \(tag)"],
        ] {
            let response = answer("/api/v1/overview", .GET, HTTPHeaders(fields.map { ($0, $1) }))
            #expect(response?.status == .notModified && response?.body.readableBytes == 0)
            #expect(response?.headers["etag"] == [tag])
        }
        #expect(answer("/api/v1/overview?since=3", .GET, ["If-None-Match": tag])?.status == .ok)
        #expect(answer("/api/v1/queues/gone")?.status == .notFound)
    }

    @Test("Pages are read and not written", arguments: [.POST, .PUT, .DELETE, .OPTIONS] as [HTTPMethod])
    func methods(method: HTTPMethod) {
        for path in ["/metrics", "/api/v1/scale/a"] {
            let response = answer(path, method)
            #expect(response?.status == .methodNotAllowed && response?.headers["allow"] == ["GET, HEAD"])
        }
    }

    @Test("What is not there or not known has its status and its reason")
    func unavailable() {
        let state = FakeState(
            unready: "no Redis", queuesReply: .unread("not read"), scaleReply: .stale("too old"))
        for (path, reason) in [
            ("/-/ready", "no Redis\n"), ("/readyz", "no Redis\n"), ("/api/v1/queues", "not read\n"),
            ("/api/v1/scale/a", "too old\n"),
        ] {
            let response = answer(path, .GET, [:], state)
            #expect(response?.status == .serviceUnavailable && text(response) == reason)
        }
        #expect(answer("/-/healthy", .GET, [:], state)?.status == .ok)
        let stuck = FakeState(unhealthy: "does not move: redis")
        for path in ["/-/healthy", "/healthz"] {
            let response = answer(path, .GET, [:], stuck)
            #expect(response?.status == .serviceUnavailable && text(response) == "does not move: redis\n")
        }
    }

    @Test("A queue that there is not is not found")
    func unknownQueue() {
        let response = answer("/api/v1/scale/x", .GET, [:], FakeState(scaleReply: .unknownQueue))
        #expect(response?.status == .notFound && text(response) == "no such queue\n")
    }

    @Test(
        "The name of a queue is what stands behind the path, decoded once",
        arguments: [
            ("a", "a"), ("a/b", "a/b"), ("a%2Fb", "a/b"), ("%41%62", "Ab"), ("%2541", "%41"), ("%", "%"), ("%4", "%4"),
            ("%zz", "%zz"), ("%+1", "%+1"), ("a%", "a%"), ("%c3%a4", "ä"), ("a?b", "a"), ("/", "/"),
        ])
    func queueNames(encoded: String, name: String) {
        #expect(text(answer("/api/v1/scale/" + encoded)) == name)
    }

    @Test(
        "Pages are compressed for those who accept it",
        arguments: [
            ("gzip", true), ("GZIP", true), ("deflate, gzip", true), ("gzip;q=0.5", true), ("gzip; q=0.001", true),
            ("gzip;q=0", false), ("gzip; q=0.0", false), ("gzip;q=x", false), ("identity", false), ("br", false),
            ("xgzip", false), ("", false),
        ])
    func gzip(accepted: String, isPacked: Bool) throws {
        for (path, content) in [
            ("/metrics", "page in text"), ("/api/v1/queues", "[]"), ("/api/v1/dead-letters", "letters"),
            ("/api/v1/overview", "overview since 0"), ("/api/v1/queues/q", "q"),
        ] {
            let response = try #require(answer(path, .GET, ["Accept-Encoding": accepted]))
            #expect(response.headers["content-encoding"] == (isPacked ? ["gzip"] : []))
            let bytes = Array(response.body.readableBytesView)
            let unpacked = isPacked ? try bytes.withUnsafeBytes { try Inflater().inflate($0, limit: 1000) } : bytes
            #expect(String(decoding: unpacked, as: UTF8.self) == content)
        }
    }

    @Test(
        "Answers that depend on a header say so to caches, packed or not",
        arguments: [[:], ["Accept-Encoding": "gzip"]])
    func vary(fields: [String: String]) {
        let headers = HTTPHeaders(fields.map { ($0, $1) })
        #expect(answer("/metrics", .GET, headers)?.headers["vary"] == ["Accept", "Accept-Encoding"])
        for path in ["/", "/api/v1/queues", "/api/v1/dead-letters", "/api/v1/overview", "/api/v1/queues/a"] {
            #expect(answer(path, .GET, headers)?.headers["vary"] == ["Accept-Encoding"])
        }
        for path in ["/-/healthy", "/-/ready", "/api/v1/scale/a"] {
            #expect(answer(path, .GET, headers)?.headers.contains(name: "vary") == false)
        }
    }

    @Test("The metrics page comes in the format that is asked for, over several lines too")
    func formats() {
        let openMetrics = "application/openmetrics-text;version=1.0.0"
        let response = answer("/metrics", .GET, ["Accept": openMetrics])
        #expect(text(response) == "page in openMetrics")
        #expect(response?.headers["content-type"] == [PageFormat.openMetrics.contentType])
        let twoLines = answer("/metrics", .GET, ["Accept": "text/plain;q=0.5", "accept": openMetrics])
        #expect(text(twoLines) == "page in openMetrics")
    }

    @Test("A small body is tolerated, a larger one is not")
    func bodies() throws {
        guard case .receive(let exchange) = WebResponder(FakeState()).judge(head("/"), arrival: .now()) else {
            Issue.record("expected the body to be wanted")
            return
        }
        #expect(exchange.maxBodyBytes == 65_536)
        #expect(exchange.refuse(.tooLarge).status == .payloadTooLarge)
        #expect(exchange.refuse(.overloaded).status == .serviceUnavailable)
    }
}
