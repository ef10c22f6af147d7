import CCurl
import Model
import Testing

@testable import OTLPClient

@Suite("Requests without an answer")
struct TransferFailureTests {
    private static func failure(
        _ result: CURLcode, _ text: String, sent: Int = 0, connect: Int = 0, proxy: String? = nil
    ) -> TransferFailure {
        TransferFailure(
            result, for: .traces, text: text, sentBytes: sent, connectStatus: connect, proxyVariable: proxy)
    }

    /// The texts are those of libcurl 7.88 with OpenSSL 3.0.
    @Test(
        "What can only be a mistake of configuration has advice that names what to change",
        arguments: [
            (CURLE_UNSUPPORTED_PROTOCOL, "Received HTTP/0.9 when not allowed", "usually 4318"),
            (
                CURLE_SSL_CONNECT_ERROR, "error:0A00010B:SSL routines::wrong version number",
                "write http:// in place of https://"
            ),
            (
                CURLE_RECV_ERROR,
                "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0",
                "tempo.tls.cert-file and tempo.tls.key-file"
            ),
            (CURLE_RECV_ERROR, "error:0A000415:SSL routines::sslv3 alert certificate expired", "has expired"),
            (
                CURLE_SEND_ERROR, "error:0A000412:SSL routines::sslv3 alert bad certificate",
                "does not accept the client certificate"
            ),
            (
                CURLE_RECV_ERROR, "error:0A000418:SSL routines::tlsv1 alert unknown ca",
                "does not accept the client certificate"
            ),
            (
                CURLE_SSL_CONNECT_ERROR, "error:0A000410:SSL routines::sslv3 alert handshake failure",
                "if it wants a client certificate, set tempo.tls.cert-file"
            ),
            (CURLE_SSL_CONNECT_ERROR, "error:0A00042E:SSL routines::tlsv1 alert protocol version", "not speak TLS 1.2"),
            (
                CURLE_PEER_FAILED_VERIFICATION, "SSL certificate problem: unable to get local issuer certificate",
                "set tempo.tls.ca-file"
            ),
            (
                CURLE_PEER_FAILED_VERIFICATION, "SSL certificate problem: self-signed certificate",
                "set tempo.tls.ca-file"
            ),
            (CURLE_PEER_FAILED_VERIFICATION, "SSL certificate problem: certificate has expired", "renew it there"),
            (
                CURLE_PEER_FAILED_VERIFICATION,
                "SSL: no alternative certificate subject name matches target host name 'h'", "tempo.tls.server-name"
            ),
            (CURLE_SSL_CACERT_BADFILE, "error setting certificate verify locations", "tempo.tls.ca-file can't be read"),
            (CURLE_SSL_CERTPROBLEM, "could not load PEM client certificate", "tempo.tls.cert-file"),
        ])
    func advice(result: CURLcode, text: String, expected: String) {
        guard case .misconfigured(let advice) = Self.failure(result, text, sent: 10).kind else {
            Issue.record("no advice for \(text)")
            return
        }
        #expect(advice.contains(expected))
    }

    @Test("What may be an outage is one")
    func outages() {
        #expect(Self.failure(CURLE_COULDNT_CONNECT, "Connection refused").kind == .unreachable)
        #expect(Self.failure(CURLE_COULDNT_RESOLVE_HOST, "Could not resolve host: t").kind == .unresolved)
        #expect(Self.failure(CURLE_COULDNT_RESOLVE_PROXY, "Could not resolve proxy: t").kind == .unreachable)
        let timedOut = Self.failure(CURLE_OPERATION_TIMEDOUT, "Resolving timed out after 10000 milliseconds")
        #expect(timedOut.kind == .unresolved && timedOut.label == "resolve")
        #expect(Self.failure(CURLE_OPERATION_TIMEDOUT, "Operation timed out", sent: 1).kind == .unanswered)
        #expect(Self.failure(CURLE_OPERATION_TIMEDOUT, "Connection timed out").kind == .unreachable)
        #expect(
            Self.failure(CURLE_SSL_CONNECT_ERROR, "OpenSSL SSL_connect: Connection reset by peer").kind == .unreachable)
        #expect(Self.failure(CURLE_GOT_NOTHING, "Empty reply from server", sent: 5).kind == .unanswered)
    }

    @Test("A proxy that refuses a tunnel is a mistake, one that can make none an outage; the advice names its variable")
    func proxies() {
        let refused = Self.failure(CURLE_RECV_ERROR, "CONNECT tunnel failed", connect: 407, proxy: "HTTPS_PROXY")
        #expect(refused.kind == .misconfigured(advice: "the proxy of HTTPS_PROXY wants a user and password"))
        #expect(refused.label == "proxy")
        #expect(Self.failure(CURLE_RECV_ERROR, "CONNECT tunnel failed", connect: 502).kind == .unreachable)
    }

    @Test("A failure on the way through a proxy names its variable, and libcurl's quote of a proxy is not passed on")
    func proxyNamed() {
        for result in [CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_PROXY, CURLE_OPERATION_TIMEDOUT, CURLE_RECV_ERROR] {
            #expect(
                Self.failure(result, "no luck", proxy: "http_proxy").text == "no luck (through the proxy of http_proxy)"
            )
            #expect(Self.failure(result, "no luck").text == "no luck")
        }
        #expect(
            Self.failure(CURLE_RECV_ERROR, "CONNECT tunnel failed", connect: 502, proxy: "all_proxy").text
                == "CONNECT tunnel failed (through the proxy of all_proxy)")
        let quoted = "Unsupported proxy 'https://u:SECRET@x', libcurl is built without the HTTPS-proxy support."
        let failure = Self.failure(CURLE_NOT_BUILT_IN, quoted, proxy: "HTTP_PROXY")
        #expect(failure.text == "no request is sent: HTTP_PROXY is not the URL of a proxy")
        #expect(
            failure.kind
                == .misconfigured(advice: "HTTP_PROXY is not the URL of a proxy: libcurl does not support it"))
    }

    @Test("While the name of the endpoint can't be looked up, its last address is used, for 30 seconds at a time")
    func endpointName() throws {
        let endpoint = try OTLPEndpoint(base: "http://tempo:4318", for: .traces)
        let address = LastAddress(endpoint: endpoint, address: "192.0.2.7")
        let start = MonotonicTime(nanoseconds: 1)
        var name = EndpointName()
        var lost = OTLPAnswer()
        lost.failure = Self.failure(CURLE_COULDNT_RESOLVE_HOST, "Could not resolve host: tempo")
        #expect(name.recordAnswer(lost, from: endpoint, ofLookUp: true, at: start) == nil, "no address is known")
        var good = OTLPAnswer(status: 200)
        good.lastAddress = address
        #expect(name.recordAnswer(good, from: endpoint, ofLookUp: true, at: start) == nil)
        #expect(name.address(at: start) == nil, "the name is well")
        #expect(name.recordAnswer(lost, from: endpoint, ofLookUp: true, at: start) == address)
        #expect(name.address(at: start.advanced(by: .seconds(29))) == address)
        let other = try OTLPEndpoint(base: "http://other:4318", for: .traces)
        #expect(name.recordAnswer(lost, from: other, ofLookUp: true, at: start) == nil, "another endpoint's address")
        #expect(name.recordAnswer(good, from: endpoint, ofLookUp: false, at: start) == nil)
        #expect(name.address(at: start) == address, "an answer of the last address says nothing of the name")
        #expect(name.address(at: start.advanced(by: .seconds(30))) == nil)
        #expect(name.recordAnswer(good, from: endpoint, ofLookUp: true, at: start) == nil)
        #expect(name.address(at: start) == nil)
    }

    @Test("An address stands for a look-up as libcurl writes it")
    func resolveEntries() throws {
        let endpoint = try OTLPEndpoint(base: "https://tempo/otlp", for: .traces)
        #expect(LastAddress(endpoint: endpoint, address: "192.0.2.7").resolveEntry == "+tempo:443:192.0.2.7")
        #expect(LastAddress(endpoint: endpoint, address: "2001:db8::1").resolveEntry == "+tempo:443:[2001:db8::1]")
        #expect(LastAddress(endpoint: endpoint, address: "").resolveEntry == nil)
    }

    @Test(
        "How a request ended is counted by what failed",
        arguments: [
            (CURLE_OPERATION_TIMEDOUT, "Operation timed out", "timeout"), (CURLE_COULDNT_CONNECT, "", "connect"),
            (CURLE_COULDNT_RESOLVE_HOST, "", "resolve"), (CURLE_COULDNT_RESOLVE_PROXY, "", "resolve"),
            (CURLE_SSL_CONNECT_ERROR, "", "tls"), (CURLE_PEER_FAILED_VERIFICATION, "", "tls"),
            (CURLE_SSL_CACERT_BADFILE, "", "tls"), (CURLE_SSL_CERTPROBLEM, "", "tls"),
            (CURLE_SEND_ERROR, "", "broken"), (CURLE_RECV_ERROR, "", "broken"), (CURLE_GOT_NOTHING, "", "broken"),
            (CURLE_PARTIAL_FILE, "", "broken"), (CURLE_RECV_ERROR, "alert bad certificate", "tls"),
            (CURLE_TOO_MANY_REDIRECTS, "", "error"), (CURLE_UNSUPPORTED_PROTOCOL, "Received HTTP/0.9", "error"),
        ])
    func labels(result: CURLcode, text: String, label: String) {
        #expect(Self.failure(result, text).label == label)
        #expect(OTLPAnswer.failed(Self.failure(result, text)).code(.retry(afterSeconds: 0, reason: "")) == label)
    }

    @Test("Whatever else breaks is an outage before a byte was sent, and doubtful from then on")
    func others() {
        for result in [CURLE_OPERATION_TIMEDOUT, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE, CURLE_TOO_MANY_REDIRECTS] {
            #expect(Self.failure(result, "x", sent: 0).kind == .unreachable)
            #expect(Self.failure(result, "x", sent: 1).kind == .unanswered)
        }
    }

    @Test("A proxy's answers below 400 say nothing, from 500 on it is an outage, between them a mistake")
    func proxyStatuses() {
        func kind(_ status: Int) -> TransferFailure.Kind {
            Self.failure(CURLE_RECV_ERROR, "x", sent: 1, connect: status, proxy: "all_proxy").kind
        }
        let refuses = TransferFailure.Kind.misconfigured(advice: "the proxy of all_proxy refuses the connection")
        #expect(kind(0) == .unanswered && kind(200) == .unanswered && kind(399) == .unanswered)
        #expect(kind(400) == refuses && kind(403) == refuses && kind(499) == refuses)
        #expect(kind(500) == .unreachable && kind(503) == .unreachable)
        #expect(
            Self.failure(CURLE_RECV_ERROR, "x", connect: 403).kind
                == .misconfigured(advice: "the proxy of https_proxy refuses the connection"))
    }

    @Test(
        "Each mistake has the advice of its own, by the keys of the signal",
        arguments: [
            (CURLE_SSL_CONNECT_ERROR, "packet length too long", "is not a TLS port: write http://"),
            (CURLE_SSL_CONNECT_ERROR, "unknown protocol", "is not a TLS port: write http://"),
            (CURLE_SSL_CONNECT_ERROR, "http request", "is not a TLS port: write http://"),
            (CURLE_RECV_ERROR, "peer did not return a certificate", "wants a client certificate: set"),
            (CURLE_RECV_ERROR, "alert no application protocol", "does not speak HTTP/1.1 there"),
            (CURLE_RECV_ERROR, "alert certificate revoked", "does not accept the client certificate"),
            (CURLE_RECV_ERROR, "alert certificate unknown", "does not accept the client certificate"),
            (CURLE_RECV_ERROR, "alert unsupported certificate", "does not accept the client certificate"),
            (CURLE_RECV_ERROR, "alert access denied", "does not accept the client certificate"),
            (CURLE_RECV_ERROR, "alert decrypt error", "does not accept the client certificate"),
            (CURLE_SSL_CONNECT_ERROR, "unsupported protocol", "not speak TLS 1.2 or later"),
            (CURLE_SSL_CONNECT_ERROR, "alert unrecognized name", "check metrics.push.tls.server-name"),
            (CURLE_PEER_FAILED_VERIFICATION, "certificate is not yet valid", "compare the clocks"),
            (CURLE_PEER_FAILED_VERIFICATION, "does not match 'h'", "for another name: check the host of metrics.push"),
            (CURLE_PEER_FAILED_VERIFICATION, "doesn't match", "for another name: check the host of metrics.push"),
            (CURLE_PEER_FAILED_VERIFICATION, "whatever", "untrusted authority: set metrics.push.tls.ca-file"),
            (CURLE_SSL_CACERT_BADFILE, "", "metrics.push.tls.ca-file can't be read"),
            (CURLE_SSL_CERTPROBLEM, "", "metrics.push.tls.cert-file or metrics.push.tls.key-file can't be used"),
        ])
    func eachAdvice(result: CURLcode, text: String, expected: String) {
        let failure = TransferFailure(
            result, for: .metrics, text: text, sentBytes: 1, connectStatus: 0, proxyVariable: nil)
        guard case .misconfigured(let advice) = failure.kind else {
            Issue.record("no advice for \(text)")
            return
        }
        #expect(advice.contains(expected), "\(advice)")
    }

    @Test("An answer with a header that is too long is of the wrong server; libcurl without memory is an outage")
    func withoutText() {
        let header = TransferFailure.oversizedHeader(.metrics)
        #expect(header.label == "error" && header.text.contains("100 KiB"))
        #expect(
            header.kind
                == .misconfigured(advice: "is metrics.push.endpoint the base URL of an OTLP/HTTP receiver?"))
        #expect(TransferFailure.noMemory.kind == .unreachable && TransferFailure.noMemory.label == "error")
    }
}
