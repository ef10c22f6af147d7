import Model
import TestSupport
import Testing

@testable import AsynqDemo

@Suite("What the demo's workers do with the collector's answers", .timeLimit(.minutes(1)))
struct SpanExporterTests {
    private static var span: DemoSpan {
        DemoSpan(
            name: "process q", kind: .consumer,
            reference: SpanReference(trace: TraceID(high: 1, low: 2), span: SpanID(3)), parent: .none,
            start: WallTime(nanoseconds: 1), end: WallTime(nanoseconds: 2), attributes: [], failure: nil)
    }

    private static func answer(_ status: String) -> String { "HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n" }

    /// The spans that were lost after one flush for each status, of which every one gets another request.
    private func lost(_ statuses: String...) throws -> [Int] {
        let server = try ScriptedServer(statuses.map(Self.answer))
        let exporter = try #require(SpanExporter(socket: server.socket, bearerToken: "t", service: "shop"))
        for _ in 0..<3 { exporter.add(Self.span) }
        return withExtendedLifetime(server) {
            statuses.map { _ in
                exporter.flush()
                return exporter.lostSpans
            }
        }
    }

    @Test("Spans that are accepted are gone, and nothing is sent without any")
    func accepted() throws {
        #expect(try lost("200 OK") == [0])
        let server = try ScriptedServer([Self.answer("200 OK"), Self.answer("400 Bad Request")])
        let exporter = try #require(SpanExporter(socket: server.socket, bearerToken: nil, service: "shop"))
        exporter.add(Self.span)
        exporter.flush()
        // A second request would be refused.
        exporter.flush()
        #expect(exporter.lostSpans == 0)
    }

    @Test("Spans that are refused for now are sent again; those that are refused for good are lost, and counted")
    func refused() throws {
        for status in ["429 Too Many Requests", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
            #expect(try lost(status, "400 Bad Request", "200 OK") == [0, 3, 3], "\(status)")
        }
        for status in ["400 Bad Request", "401 Unauthorized", "413 Payload Too Large", "500 Internal Server Error"] {
            #expect(try lost(status) == [3], "\(status)")
        }
    }

    @Test("While no collector listens, ten thousand spans wait, and the others are lost")
    func full() throws {
        let exporter = try #require(SpanExporter(socket: "/no/such/socket", bearerToken: nil, service: "shop"))
        for _ in 0..<10_000 { exporter.add(Self.span) }
        exporter.flush()
        #expect(exporter.lostSpans == 0)
        for _ in 0..<7 { exporter.add(Self.span) }
        #expect(exporter.lostSpans == 7)
    }
}
