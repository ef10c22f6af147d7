import Model
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import HTTPService

@Suite("What the log is told of refusals")
struct RefusalLogTests {
    private final class Told: Sendable {
        let lines = Mutex<[RefusalLog.Line]>([])
        let seconds = Mutex<UInt64>(0)

        func makeLog() -> RefusalLog {
            RefusalLog(
                now: { MonotonicTime(nanoseconds: self.seconds.withLock { $0 } * 1_000_000_000) },
                report: { line in self.lines.withLock { $0.append(line) } })
        }
    }

    @Test("One of each reason in ten seconds, and how many more there were")
    func pace() throws {
        let told = Told()
        let log = told.makeLog()
        let peer = try SocketAddress(ipAddress: "::1", port: 7)
        for _ in 0..<5 {
            for reason in ["a", "b"] { log.record(HTTPRefusal(reason, "text"), from: peer) }
        }
        #expect(told.lines.withLock { $0.map(\.refusal.reason) } == ["a", "b"])
        #expect(told.lines.withLock { $0.map(\.peer) } == ["[::1]:7", "[::1]:7"])
        told.seconds.withLock { $0 = 10 }
        log.record(HTTPRefusal("a", "text"), from: nil)
        #expect(told.lines.withLock { $0.last } == .init(refusal: HTTPRefusal("a", "text"), peer: "unknown", more: 4))
    }

    @Test("A text that quotes the client is cut")
    func cut() {
        let told = Told()
        told.makeLog().record(HTTPRefusal("a", String(repeating: "ä", count: 1000)), from: nil)
        #expect(told.lines.withLock { $0.first?.refusal.text.utf8.count } == 400)
    }

    @Test(
        "A connection's first bytes tell TLS from other bytes that are no HTTP",
        arguments: [
            ([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC], "tls"), ([0x16], "tls"),
            ([0x00, 0x01, 0x02, 0x0A], "protocol"), (Array("HELO there\r\n\r\n".utf8), "protocol"),
            (Array("POST / HTTP/1.1\r\n\r\n".utf8), "protocol"),
        ] as [([UInt8], String)])
    func noHTTP(bytes: [UInt8], reason: String) throws {
        for http2 in [true, false] {
            let told = Told()
            let channel = EmbeddedChannel()
            defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
            try HTTPServer.addHandlers(
                to: channel.pipeline.syncOperations, http2: http2, LengthResponder(),
                HTTPLimits(refusals: told.makeLog()))
            channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            // Fails where the channel was closed from within.
            _ = try? channel.writeInbound(ByteBuffer(bytes: bytes))
            #expect(told.lines.withLock { $0.map(\.refusal.reason) } == [reason])
        }
    }

    @Test("A connection too many is told of")
    func connections() {
        let told = Told()
        let limits = HTTPLimits(refusals: told.makeLog())
        limits.recordRefusedConnection(from: nil)
        #expect(told.lines.withLock { $0.map(\.refusal.reason) } == ["connections"])
    }
}
