import Testing

@testable import HTTPService

@Suite("telling HTTP/2 from HTTP/1.1")
struct ProtocolSwitchTests {
    private func spoken(_ text: String) -> WireProtocol? { WireProtocol(firstBytes: Array(text.utf8)) }

    @Test("the whole preface is HTTP/2, whatever follows")
    func preface() {
        #expect(spoken("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == .http2)
        #expect(spoken("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0") == .http2)
    }

    @Test("a part of the preface decides nothing")
    func partOfThePreface() {
        for length in 0..<WireProtocol.preface.count {
            #expect(WireProtocol(firstBytes: WireProtocol.preface[..<length]) == nil)
        }
    }

    @Test("the first byte that is not the preface's decides for HTTP/1.1")
    func others() {
        let others = ["G", "POST / HTTP/1.1\r\n", "PR ", "PRI * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "\0"]
        for text in others + ["\u{16}\u{3}"] {
            #expect(spoken(text) == .http1, "\(text)")
        }
        for at in WireProtocol.preface.indices {
            var bytes = WireProtocol.preface
            bytes[at] ^= 1
            #expect(WireProtocol(firstBytes: bytes[...at]) == .http1)
        }
    }
}
