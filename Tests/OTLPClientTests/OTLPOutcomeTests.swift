import CCurl
import OTLP
import TestSupport
import Testing

@testable import OTLPClient

@Suite("What an answer means")
struct OTLPOutcomeTests {
    private static func outcome(_ status: Int, _ body: [UInt8] = [], retryAfter: UInt64 = 0) -> OTLPOutcome {
        OTLPOutcome.of(OTLPAnswer(status: status, body: body, retryAfterSeconds: retryAfter), for: .traces)
    }

    private static func isSlow(_ outcome: OTLPOutcome, _ status: Int) -> Bool {
        if case .retrySlowly("\(status)", let advice) = outcome { !advice.isEmpty } else { false }
    }

    @Test("Every status is one of six outcomes", arguments: 100..<600)
    func statuses(status: Int) {
        let outcome = Self.outcome(status, retryAfter: 7)
        switch status {
        case 200..<300: #expect(outcome == .accepted(rejected: 0, message: ""))
        case 408, 425, 429, 503: #expect(outcome == .retry(afterSeconds: 7, reason: "\(status)"))
        case 502, 504: #expect(outcome == .doubtful(afterSeconds: 7, reason: "\(status)", isAnswer: false))
        case 500...: #expect(outcome == .doubtful(afterSeconds: 7, reason: "\(status)", isAnswer: true))
        case 400, 422: #expect(outcome == .refused(reason: "\(status)"))
        case 413: #expect(outcome == .tooLarge(reason: "\(status)"))
        default: #expect(Self.isSlow(outcome, status))
        }
    }

    @Test("A transfer without an answer is tried again; it is the bytes' fault, perhaps, if some of them were sent")
    func noAnswer() {
        func answer(_ result: CURLcode, sent: Int = 0, _ text: String = "no luck") -> OTLPAnswer {
            var answer = OTLPAnswer()
            answer.failure = TransferFailure(
                result, for: .traces, text: text, sentBytes: sent, connectStatus: 0, proxyVariable: nil)
            return answer
        }
        #expect(
            OTLPOutcome.of(answer(CURLE_COULDNT_CONNECT), for: .traces) == .retry(afterSeconds: 0, reason: "no luck"))
        #expect(answer(CURLE_COULDNT_CONNECT).code(.retry(afterSeconds: 0, reason: "")) == "connect")
        let lost = OTLPOutcome.doubtful(afterSeconds: 0, reason: "no luck", isAnswer: false)
        #expect(OTLPOutcome.of(answer(CURLE_RECV_ERROR, sent: 9), for: .traces) == lost)
        #expect(OTLPOutcome.of(answer(CURLE_RECV_ERROR), for: .traces) == .retry(afterSeconds: 0, reason: "no luck"))
        guard case .retrySlowly("no luck", _) = OTLPOutcome.of(answer(CURLE_PEER_FAILED_VERIFICATION), for: .traces)
        else {
            Issue.record("expected a slow retry")
            return
        }
        #expect(OTLPAnswer(status: 503).code(.retry(afterSeconds: 0, reason: "")) == "503")
    }

    @Test(
        "Tempo wants a tenant, with 401 or 503: nothing is lost, and the advice names the header",
        arguments: [401, 503])
    func noTenant(status: Int) {
        let outcome = Self.outcome(status, OTLPResponse.status(.unauthenticated, "no org id"))
        guard case .retrySlowly(let reason, let advice) = outcome else {
            Issue.record("expected a slow retry, got \(outcome)")
            return
        }
        #expect(reason == "\(status): no org id")
        #expect(advice.contains("tempo.headers") && advice.contains("X-Scope-OrgID"))
    }

    @Test(
        "Plain HTTP on a port for TLS is a configuration to be mended, not a bad request",
        arguments: [
            "Client sent an HTTP request to an HTTPS server.\n",
            "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
        ])
    func wantsTLS(text: String) {
        guard case .retrySlowly(_, let advice) = Self.outcome(400, Array(text.utf8)) else {
            Issue.record("expected a slow retry")
            return
        }
        #expect(advice.contains("https://"))
    }

    @Test(
        "Too large is told by the status or by the words",
        arguments: [
            (413, "anything"), (400, "request body too large"), (400, "http: request body too large"),
            (429, "batch size (31457280 bytes) exceeds ingestion limit"),
            (400, "batch size (2 bytes) exceeds the limit"),
        ])
    func tooLarge(status: Int, text: String) {
        #expect(Self.outcome(status, Array(text.utf8)) == .tooLarge(reason: "\(status): \(text)"))
    }

    @Test("The same words with another status are no matter of size", arguments: [200, 401, 500, 503])
    func otherStatus(status: Int) {
        if case .tooLarge = Self.outcome(status, Array("request body too large".utf8)) {
            Issue.record("\(status) is taken for too large")
        }
    }

    @Test("Partial success that is present but empty rejects nothing", arguments: [[], [0x0A, 0x00]] as [[UInt8]])
    func emptyPartialSuccess(body: [UInt8]) {
        #expect(Self.outcome(200, body) == .accepted(rejected: 0, message: ""))
    }

    @Test("Partial success tells how many spans were rejected, and why")
    func partialSuccess() {
        let body = OTLPResponse.success(refused: 3, reason: "too old")
        #expect(Self.outcome(200, body) == .accepted(rejected: 3, message: "too old"))
        #expect(Self.outcome(200, [0x0A, 0x04, 0x12, 0x02, 0x68, 0x69]) == .accepted(rejected: 0, message: "hi"))
    }

    @Test(
        "An answer that is empty, protobuf or JSON says that the spans were taken, whatever type it names",
        arguments: [
            ("", "text/html"), ("", ""), ("{}", "text/plain; charset=utf-8"),
            (" \n{\"partialSuccess\":{}}", "application/json"),
            ("\u{0A}\u{00}", ""), ("\u{0A}\u{00}", "text/html"), ("\u{0A}\u{05}", "application/x-protobuf"),
            ("OK", "Application/x-protobuf; charset=utf-8"), ("\n", "application/json"), ("\r\n", "text/plain"),
            (" \t\r\n ", "text/html"), ("\n\n", ""), ("\u{FEFF}{}", "application/json"),
            ("\u{FEFF} \n{}", "text/plain"),
            ("\u{FEFF}", ""),
        ])
    func taken(text: String, type: String) {
        for status in [200, 202, 204] {
            let answer = OTLPAnswer(status: status, body: Array(text.utf8), contentType: type)
            #expect(OTLPOutcome.of(answer, for: .traces) == .accepted(rejected: 0, message: ""))
            #expect(answer.code(OTLPOutcome.of(answer, for: .traces)) == "\(status)")
        }
    }

    @Test(
        "A Retry-After that libcurl can't read is the largest number; other text is none",
        arguments: [
            ("9223372036854775808", 9_223_372_036_854_775_808), ("99999999999999999999999", .max), ("0", 0), ("", 0),
            (" 18446744073709551616\t", .max), ("-5", 0), ("2.5", 0), ("soon", 0), ("1e99", 0), ("9 9", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 0),
        ] as [(String, UInt64)])
    func retryAfter(text: String, expected: UInt64) {
        #expect(OTLPAnswer.seconds(text) == expected)
    }

    @Test(
        "A page with status 200 comes from somebody who has not taken the spans",
        arguments: [
            ("<html>welcome</html>", "text/html"), ("OK", "text/plain"), ("<!doctype html>", ""),
            ("\n<html>", "text/html"), ("\u{FEFF}<html>", "text/html"), ("\u{FEFF}OK", "text/plain"),
        ])
    func page(text: String, type: String) {
        for isCut in [false, true] {
            let answer = OTLPAnswer(status: 200, body: Array(text.utf8), isCut: isCut, contentType: type)
            guard case .retrySlowly(let reason, let advice) = OTLPOutcome.of(answer, for: .traces) else {
                Issue.record("taken for delivered: \(OTLPOutcome.of(answer, for: .traces))")
                return
            }
            #expect(answer.code(OTLPOutcome.of(answer, for: .traces)) == "page")
            #expect(reason.contains("200") && reason.contains(text.filter { $0 != "\n" }))
            #expect(advice.contains("tempo.endpoint"))
        }
    }

    @Test("What was kept of an answer that is too long still tells how many spans were rejected")
    func cutAnswer() {
        let whole = OTLPResponse.success(refused: 3, reason: String(repeating: "x", count: 100_000))
        for count in [20, 1000, 65_536] {
            let answer = OTLPAnswer(
                status: 200, body: Array(whole.prefix(count)), isCut: true, contentType: "application/x-protobuf")
            guard case .accepted(rejected: 3, let message) = OTLPOutcome.of(answer, for: .traces) else {
                Issue.record("\(count) bytes: \(OTLPOutcome.of(answer, for: .traces))")
                return
            }
            #expect(message.hasPrefix("xxx") && message.count <= 300)
        }
        let unread = OTLPAnswer(
            status: 200, body: [0x7A, 0xFF, 0xFF, 0x7F], isCut: true, contentType: "application/x-protobuf")
        guard case .accepted(rejected: 0, let message) = OTLPOutcome.of(unread, for: .traces), !message.isEmpty else {
            Issue.record("nobody is told that something was not read")
            return
        }
    }

    @Test("A batch that is larger than the rate limit's burst never passes as it is: it is split")
    func batchOverBurst() {
        let text =
            "RATE_LIMITED: batch size (31457280 bytes) exceeds ingestion limit (local: 30000000 bytes, burst: 30000000)"
        let body = OTLPResponse.status(.resourceExhausted, text)
        #expect(Self.outcome(429, body, retryAfter: 5) == .tooLarge(reason: "429: " + text))
        let rate = OTLPResponse.status(
            .resourceExhausted, "RATE_LIMITED: ingestion rate limit (burst: 30 bytes) exceeded while adding 40 bytes")
        guard case .retry(afterSeconds: 5, _) = Self.outcome(429, rate, retryAfter: 5) else {
            Issue.record("not retried")
            return
        }
    }

    private static func reason(_ body: [UInt8]) -> String {
        if case .refused(let reason) = outcome(400, body) { reason } else { "" }
    }

    @Test("The message of a google.rpc.Status is the reason; of anything else, its printable beginning")
    func messages() {
        #expect(Self.reason(OTLPResponse.status(.invalidArgument, "bad span")) == "400: bad span")
        #expect(Self.reason(Array("no such page\r\n".utf8)) == "400: no such page")
        #expect(Self.reason(Array("{\"code\":3,\"message\":\"x\"}".utf8)) == "400: {\"code\":3,\"message\":\"x\"}")
        #expect(Self.reason([]) == "400")
        let long = Self.reason(Array(String(repeating: "x", count: 5000).utf8))
        #expect(long.utf8.count <= 205)
        let longStatus = Self.reason(OTLPResponse.status(.invalidArgument, String(repeating: "é", count: 5000)))
        #expect(longStatus.unicodeScalars.count <= 305)
    }

    @Test("No body can put control characters into a log line, or crash", arguments: 1...30 as ClosedRange<UInt64>)
    func garbage(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let body = (0..<Int.random(in: 0...400, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        let reason = Self.reason(body)
        #expect(reason.hasPrefix("400"))
        #expect(reason.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 })
        _ = Self.outcome(200, body)
        _ = Self.outcome(200, [0x0A, UInt8(min(body.count, 127))] + body)
    }

    @Test(
        "Each refusal of the way has advice that names the key of its signal",
        arguments: [
            (401, "check metrics.push.headers, and the user"), (403, "check metrics.push.headers, and the user"),
            (404, "It is a base URL; /v1/metrics is appended"), (405, "is the path of metrics.push.endpoint right?"),
            (301, "redirects: set metrics.push.endpoint"), (399, "redirects: set metrics.push.endpoint"),
            (407, "the proxy of the environment wants a user"), (415, "is metrics.push.endpoint the base URL"),
            (415, "Does it accept metrics.push.compression?"), (418, "is metrics.push.endpoint the base URL"),
        ])
    func advice(status: Int, expected: String) {
        guard case .retrySlowly(_, let advice) = OTLPOutcome.of(OTLPAnswer(status: status), for: .metrics) else {
            Issue.record("no advice for \(status)")
            return
        }
        #expect(advice.contains(expected), "\(advice)")
    }

    @Test(
        "A compression that the backend does not accept is named by its key, and loses nothing",
        arguments: [
            "unsupported compression: zstd", "unsupported content-encoding: zstd",
            "Unsupported Content-Encoding \"zstd\"",
            "unsupported compression: zstd. Only \"gzip\", \"snappy\", \"lz4\", or no compression supported",
            "compression zstd is not supported", "unsupported encoding: zstd",
        ], [400, 415])
    func compression(text: String, status: Int) {
        for (signal, key) in [(OTLPSignal.traces, "tempo.compression"), (.metrics, "metrics.push.compression")] {
            let outcome = OTLPOutcome.of(OTLPAnswer(status: status, body: Array(text.utf8)), for: signal)
            guard case .retrySlowly(_, let advice) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(advice.hasPrefix("set \(key) to"))
        }
    }

    @Test("Headers that are percent-encoded are told beside a refusal of the sender")
    func encodedHeaders() {
        for (value, isEncoded) in [
            ("Basic%20abc", true), ("Basic abc%3D%3d", true), ("Basic abc==", false), ("100%", false), ("%2", false),
            ("50% of", false),
        ] {
            #expect(CurlTransfer.isPercentEncoded(value) == isEncoded)
            let answer = OTLPAnswer(status: 401, hasEncodedHeader: isEncoded)
            guard case .retrySlowly(_, let advice) = OTLPOutcome.of(answer, for: .metrics) else { return }
            #expect(advice.contains("%20 as a blank") == isEncoded)
        }
    }

    @Test("What a backend says decides before its status does, where it names its fault")
    func words() {
        func metrics(_ status: Int, _ text: String) -> OTLPOutcome {
            OTLPOutcome.of(OTLPAnswer(status: status, body: Array(text.utf8)), for: .metrics)
        }
        #expect(metrics(413, "x") == .tooLarge(reason: "413: x"))
        #expect(metrics(400, "request too large") == .tooLarge(reason: "400: request too large"))
        #expect(metrics(429, "too large") == .tooLarge(reason: "429: too large"))
        #expect(metrics(422, "too large") == .refused(reason: "422: too large"))
        #expect(metrics(400, "batch size is fine") == .refused(reason: "400: batch size is fine"))
        #expect(metrics(400, "exceeds the age") == .refused(reason: "400: exceeds the age"))
        let plain = "The plain HTTP request was sent to HTTPS port"
        #expect(
            metrics(400, plain)
                == .retrySlowly(
                    reason: "400: " + plain,
                    advice: "metrics.push.endpoint is a TLS port: write https:// in place of http://"))
        #expect(metrics(422, plain) == .refused(reason: "422: " + plain))
        #expect(
            metrics(500, "no org id")
                == .retrySlowly(
                    reason: "500: no org id",
                    advice: "the backend wants a tenant: set metrics.push.headers to X-Scope-OrgID=<tenant>"))
    }

    @Test("An answer that came through a proxy names its variable: it may be the proxy's")
    func answerThroughProxy() {
        func outcome(_ status: Int) -> OTLPOutcome {
            OTLPOutcome.of(OTLPAnswer(status: status, body: Array("x".utf8), proxyVariable: "http_proxy"), for: .traces)
        }
        let way = " (through the proxy of http_proxy)"
        #expect(outcome(502) == .doubtful(afterSeconds: 0, reason: "502: x" + way, isAnswer: false))
        #expect(outcome(503) == .retry(afterSeconds: 0, reason: "503: x" + way))
        guard case .retrySlowly(let reason, _) = outcome(403) else {
            Issue.record("no slow retry")
            return
        }
        #expect(reason == "403: x" + way)
    }

    @Test(
        "A redirect shows its address, without what may be a secret",
        arguments: [
            ("https://other/v1/traces", "302 to https://other/v1/traces"),
            ("https://u:SECRET@other:1/x?sas=SECRET#SECRET", "302 to https://other:1/x?<redacted>"),
            ("/otlp/v1/traces", "302 to http://tempo:4318/otlp/v1/traces"), ("//other/x", "302 to http://other/x"),
            ("https://other/a b", "302 to https://other/a%20b"), ("https://other/\u{1B}[2J", "302"),
            ("https://other/\u{202E}x", "302 to https://other/%e2%80%aex"),
            ("http://u:12/SECRET@other/", "302"), ("nonsense://u:SECRET@x", "302"), ("http://u:SECRET", "302"),
        ])
    func redirect(location: String, expected: String) throws {
        let endpoint = try OTLPEndpoint(base: "http://u:SECRET@tempo:4318", for: .traces)
        let answer = OTLPAnswer(status: 302, redirect: endpoint.shownRedirect(to: location))
        guard case .retrySlowly(let reason, let advice) = OTLPOutcome.of(answer, for: .traces) else {

            Issue.record("no slow retry")
            return

        }
        #expect(reason == expected)
        #expect(advice.contains(reason == "302" ? "the answer does not name" : "set tempo.endpoint to the address in"))
    }

    @Test("Where a redirect names an address that is not shown, the advice says so")
    func hiddenRedirect() {
        for (hasLocation, expected) in [
            (true, "the address that its Location names"), (false, "the answer does not name"),
        ] {
            let answer = OTLPAnswer(status: 302, hasLocation: hasLocation)
            guard case .retrySlowly(_, let advice) = OTLPOutcome.of(answer, for: .traces) else {
                Issue.record("no slow retry")
                return
            }
            #expect(advice.contains(expected))
        }
    }

    @Test("The address of a redirect is bounded")
    func longRedirect() throws {
        let endpoint = try OTLPEndpoint(base: "http://tempo:4318", for: .traces)
        let shown = try #require(endpoint.shownRedirect(to: "http://other/" + String(repeating: "x", count: 5000)))
        #expect(shown.utf8.count == 200)
    }

    @Test("The proxy that wants a password is named by its variable")
    func proxy() {
        let answer = OTLPAnswer(status: 407, proxyVariable: "HTTP_PROXY")
        #expect(
            OTLPOutcome.of(answer, for: .traces)
                == .retrySlowly(reason: "407", advice: "the proxy of HTTP_PROXY wants a user and password"))
    }
}
