import InMemoryLogging
import Logging
import Model
import Testing

@testable import OTLPClient

@Suite("Requests before they are sent")
struct LostNameLogTests {
    private static func moment(_ seconds: Int64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1).advanced(by: .seconds(seconds))
    }

    @Test("A name that can't be looked up is told once a minute, with the address that is used")
    func lines() throws {
        let kept = InMemoryLogHandler()
        let logger = Logger(label: "test") { _ in kept }
        let endpoint = try OTLPEndpoint(base: "http://tempo", for: .traces)
        let address = LastAddress(endpoint: endpoint, address: "2001:db8::1")
        var log = LostNameLog("tempo.endpoint")
        for second in [0, 59, 60, 61] as [Int64] {
            log.record(address, of: "http://tempo", reason: "no\tname", in: logger, at: Self.moment(second))
        }
        #expect(kept.entries.map { $0.metadata["more_since_last_line"] } == ["0", "1"])
        #expect(kept.entries[0].level == .warning)
        #expect(
            kept.entries[0].message == "the name of tempo.endpoint can't be looked up; its last address is used")
        #expect(
            kept.entries[0].metadata == [
                "endpoint": "http://tempo", "address": "2001:db8::1", "reason": "no name", "more_since_last_line": "0",
            ])
    }

    @Test("A body is compressed as its header says, whole and in pieces; without compression it has no header")
    func compression() {
        let body = [UInt8](repeating: 7, count: 10_000)
        for (compression, encoding) in [(OTLPCompression.gzip, "gzip"), (.zstd, "zstd"), (.none, nil)]
            as [(
                OTLPCompression, String?
            )]
        {
            let compressor = BodyCompressor(compression)
            #expect(compressor.contentEncoding == encoding)
            var pieces: [UInt8] = []
            compressor.begin()
            for start in stride(from: 0, to: body.count, by: 3000) {
                body[start..<min(start + 3000, body.count)].withUnsafeBytes { compressor.add($0, to: &pieces) }
            }
            compressor.end(to: &pieces)
            for sent in [compressor.compress(body), pieces] {
                switch compression {
                case .gzip: #expect(sent.starts(with: [0x1F, 0x8B]) && sent.count < 1000)
                case .zstd: #expect(sent.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) && sent.count < 1000)
                case .none: #expect(sent == body)
                }
            }
        }
    }

    private static func backend(_ url: String = "http://tempo:4318") throws -> OTLPBackend {
        var backend = OTLPBackend(
            endpoint: try OTLPEndpoint(base: url, for: .traces), headers: [("A", "b")], compression: .none,
            timeout: .seconds(5), userAgent: "test")
        backend.proxies = ProxyRules { _ in nil }
        return backend
    }

    @Test("A request holds its body and the buffer that it is sent from")
    func heldBytes() throws {
        let transfer = try #require(CurlTransfer(try Self.backend(), body: [1, 2, 3], contentEncoding: nil))
        #expect(transfer.heldBytes == 3 + 512 << 10)
    }

    @Test("A request goes to an address in place of a look-up where that is of its endpoint, and known")
    func addresses() throws {
        let other = try OTLPEndpoint(base: "http://other:4318", for: .traces)
        let own = try Self.backend().endpoint
        func hasAddress(_ address: LastAddress?) throws -> Bool? {
            CurlTransfer(try Self.backend(), body: [], contentEncoding: nil, address: address)?.hasAddress
        }
        #expect(try hasAddress(nil) == false)
        #expect(try hasAddress(LastAddress(endpoint: own, address: "192.0.2.7")) == true)
        #expect(try hasAddress(LastAddress(endpoint: own, address: "")) == false)
        #expect(try hasAddress(LastAddress(endpoint: other, address: "192.0.2.7")) == false)
    }

    @Test("The endpoint and the headers are read anew for each request, where they stand in files")
    func reread() throws {
        var backend = try Self.backend()
        let other = try OTLPEndpoint(base: "http://other:4318", for: .traces)
        backend.reread = { (other, []) }
        #expect(CurlTransfer(backend, body: [], contentEncoding: nil)?.endpoint == other)
        #expect(try Self.backend().shownEndpoint == "http://tempo:4318/v1/traces")
        backend.show = { _ in "shown" }
        #expect(backend.shownEndpoint == "shown")
    }

    @Test("Files of TLS that can't be read are named by their keys, those of the signal")
    func tls() {
        for (signal, section) in [(OTLPSignal.traces, "tempo"), (.metrics, "metrics.push")] {
            var tls = ClientTLS(for: signal)
            #expect(tls.problem == nil)
            tls.caFile = "/absent/ca.pem"
            #expect(tls.problem == "reading \(section).tls.ca-file /absent/ca.pem: No such file or directory")
            tls.caFile = nil
            tls.certificateFile = "/absent/cert.pem"
            #expect(tls.problem == "reading \(section).tls.cert-file /absent/cert.pem: No such file or directory")
        }
    }
}
