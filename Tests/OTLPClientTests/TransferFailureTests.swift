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
                "does not accept our certificate"
            ),
            (
                CURLE_RECV_ERROR, "error:0A000418:SSL routines::tlsv1 alert unknown ca",
                "does not accept our certificate"
            ),
            (
                CURLE_SSL_CONNECT_ERROR, "error:0A000410:SSL routines::sslv3 alert handshake failure",
                "does it want a client certificate"
            ),
            (CURLE_SSL_CONNECT_ERROR, "error:0A00042E:SSL routines::tlsv1 alert protocol version", "no TLS 1.2"),
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
}
