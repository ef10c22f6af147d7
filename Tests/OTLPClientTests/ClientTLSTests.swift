import Testing

@testable import OTLPClient

@Suite("TLS to a backend")
struct ClientTLSTests {
    @Test(
        "Unless it is configured, certificates are verified, with the authorities of the system",
        arguments: [OTLPSignal.traces, .metrics])
    func defaults(signal: OTLPSignal) {
        let tls = ClientTLS(for: signal)
        #expect(!tls.skipsVerification && tls.caFile == nil && tls.certificateFile == nil && tls.keyFile == nil)
        #expect(tls.problem == nil)
    }
}
