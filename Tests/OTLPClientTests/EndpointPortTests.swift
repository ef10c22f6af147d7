import CCurl
import Model
import Synchronization
import Testing

@testable import OTLPClient

@Suite("Ports of another kind than the endpoint's scheme says")
struct EndpointPortTests {
    private let start = MonotonicTime(nanoseconds: 1)

    private static func failure(_ result: CURLcode, _ text: String = "reset", sent: Int = 5) -> TransferFailure {
        TransferFailure(result, for: .traces, text: text, sentBytes: sent, connectStatus: 0, proxyVariable: nil)
    }

    private static func broken(_ result: CURLcode = CURLE_RECV_ERROR) -> OTLPAnswer { .failed(failure(result)) }

    /// A port that says what it is, and counts how often it is asked.
    private final class Port: Sendable {
        let kind: Mutex<EndpointPort.Kind?>
        let tries = Mutex(0)

        init(_ kind: EndpointPort.Kind?) { self.kind = Mutex(kind) }

        var asked: EndpointPort {
            EndpointPort { suspects, _ in
                self.tries.withLock { $0 += 1 }
                return self.kind.withLock { kind in suspects.first { $0 == kind } }
            }
        }
    }

    @Test("A broken connection without TLS is a mistake only where a server of TLS answers, and the endpoint never has")
    func portOfTLS() throws {
        let (plain, tls) = (
            try OTLPEndpoint(base: "http://h", for: .traces), try OTLPEndpoint(base: "https://h", for: .traces)
        )
        let far = Port(.tls)
        var port = far.asked
        for result in [CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR] {
            let answer = port.judged(Self.broken(result), from: plain, at: start)
            #expect(
                answer.failure?.kind
                    == .misconfigured(advice: "tempo.endpoint is a TLS port: write https:// in place of http://"))
            #expect(answer.label == "tls" && answer.failure?.text == "a port for TLS ends the connection: reset")
        }
        #expect(far.tries.withLock { $0 } == 1, "asked once a minute")
        far.kind.withLock { $0 = nil }
        #expect(port.judged(Self.broken(), from: plain, at: start.advanced(by: .seconds(59))).label == "tls")
        #expect(
            port.judged(Self.broken(), from: plain, at: start.advanced(by: .seconds(60))).failure?.kind == .unanswered)
        far.kind.withLock { $0 = .tls }
        port = far.asked
        #expect(
            port.judged(.failed(Self.failure(CURLE_COULDNT_CONNECT, "")), from: plain, at: start).label == "connect")
        #expect(port.judged(Self.broken(), from: tls, at: start).label == "broken")
        #expect(port.judged(OTLPAnswer(status: 503), from: plain, at: start).label == "503")
        #expect(
            port.judged(Self.broken(), from: plain, at: start).failure?.kind == .unanswered, "it has answered before")
        let other = try OTLPEndpoint(base: "http://other", for: .traces)
        #expect(port.judged(Self.broken(), from: other, at: start).label == "tls", "another endpoint has not")
    }

    @Test(
        "A port that explains the failure is named with what to write, whether it ends the connection or is silent",
        arguments: [
            (.tls, "http", CURLE_OPERATION_TIMEDOUT, 5, "a port for TLS does not answer: x", "write https:// in place"),
            (
                .plain, "https", CURLE_SSL_CONNECT_ERROR, 0, "a port without TLS ends the connection: x",
                "write http:// in"
            ),
            (.plain, "https", CURLE_RECV_ERROR, 0, "a port without TLS ends the connection: x", "write http:// in"),
            (.plain, "https", CURLE_OPERATION_TIMEDOUT, 0, "a port without TLS does not answer: x", "write http:// in"),
            (.grpc, "https", CURLE_GOT_NOTHING, 5, "a gRPC port ends the connection: x", "usually 4318"),
            (.grpc, "https", CURLE_SSL_CONNECT_ERROR, 0, "a gRPC port ends the connection: x", "usually 4318"),
            (.grpc, "https", CURLE_OPERATION_TIMEDOUT, 5, "a gRPC port does not answer: x", "usually 4318"),
        ] as [(EndpointPort.Kind, String, CURLcode, Int, String, String)])
    func wrongPort(
        kind: EndpointPort.Kind, scheme: String, result: CURLcode, sent: Int, text: String, advice: String
    ) throws {
        for (signal, key) in [(OTLPSignal.traces, "tempo.endpoint"), (.metrics, "metrics.push.endpoint")] {
            let endpoint = try OTLPEndpoint(base: "\(scheme)://h", for: signal)
            let answer = OTLPAnswer.failed(Self.failure(result, "x", sent: sent))
            var port = Port(kind).asked
            let judged = try #require(port.judged(answer, from: endpoint, at: start).failure)
            #expect(judged.text == text && judged.label == "tls")
            guard case .misconfigured(let words) = judged.kind else {
                Issue.record("no advice")
                return
            }
            #expect(words.hasPrefix(key) && words.contains(advice))
            var outage = Port(nil).asked
            #expect(outage.judged(answer, from: endpoint, at: start).failure == answer.failure)
            var answered = Port(kind).asked
            _ = answered.judged(OTLPAnswer(status: 500), from: endpoint, at: start)
            #expect(answered.judged(answer, from: endpoint, at: start).failure == answer.failure)
        }
    }

    @Test("A port is asked for what can explain the failure only, and not at all in what must be an outage")
    func suspects() {
        func suspects(_ result: CURLcode, sent: Int, https: Bool, _ text: String = "x") -> [EndpointPort.Kind] {
            EndpointPort.suspects(Self.failure(result, text, sent: sent), isHTTPS: https)
        }
        for result in [CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR] {
            for sent in [0, 5] { #expect(suspects(result, sent: sent, https: false) == [.tls]) }
            #expect(suspects(result, sent: 5, https: true) == [.grpc])
            #expect(suspects(result, sent: 0, https: true) == [.grpc, .plain])
        }
        #expect(suspects(CURLE_SSL_CONNECT_ERROR, sent: 0, https: true) == [.grpc, .plain])
        #expect(suspects(CURLE_OPERATION_TIMEDOUT, sent: 5, https: false) == [.tls])
        #expect(suspects(CURLE_OPERATION_TIMEDOUT, sent: 5, https: true) == [.grpc])
        #expect(suspects(CURLE_OPERATION_TIMEDOUT, sent: 0, https: true) == [.plain])
        #expect(suspects(CURLE_OPERATION_TIMEDOUT, sent: 0, https: false).isEmpty, "nothing listens")
        for https in [false, true] {
            #expect(suspects(CURLE_COULDNT_CONNECT, sent: 0, https: https).isEmpty)
            #expect(suspects(CURLE_COULDNT_RESOLVE_HOST, sent: 0, https: https).isEmpty)
            #expect(suspects(CURLE_OPERATION_TIMEDOUT, sent: 0, https: https, "Resolving timed out").isEmpty)
            #expect(suspects(CURLE_SSL_CONNECT_ERROR, sent: 0, https: https, "alert unknown ca").isEmpty)
        }
    }

    @Test(
        "An answer of HTTP/1.1 is that of a port without TLS, unless it says that TLS is wanted",
        arguments: [
            ("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.0 404 Not Found\r\n\r\nsee https://docs", true),
            ("HTTP/1.1 400 Bad Request\r\n\r\n", true), ("HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", true),
            ("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", false),
            ("HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port", false),
            ("HTTP/1.1 400 Bad Request\r\n\r\nYou're speaking plain HTTP to an SSL-enabled server port.", false),
            ("HTTP/1.1 400 \r\n\r\nThis combination of host and port requires TLS.", false),
            ("HTTP/1.1 301 Moved\r\nLocation: https://h:4318/\r\n\r\n", false), ("", false),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\nupstream connect error", false), ("HTTP/1.1 502 \r\n", false),
            ("HTTP/2 200\r\n", false), ("-ERR unknown command\r\n", false),
        ])
    func answersWithoutTLS(answer: String, isPlain: Bool) {
        #expect(PortProbe.isAnswerWithoutTLS(answer) == isPlain)
    }
}

extension OTLPAnswer {
    /// The code under which the answer is counted.
    fileprivate var label: String { code(.of(self, for: .traces)) }
}
