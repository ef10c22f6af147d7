import Foundation
import Model
import OTLP
import Platform
import Testing

@testable import Collector

@Suite("Traces that are still in memory")
struct RecentTracesTests {
    private static func trace(_ number: UInt64) -> TraceID { TraceID(high: 5, low: number) }

    /// A request of one span for each trace.
    private static func request(_ traces: [UInt64], name: String = "s") -> [UInt8] {
        MadeSpan.request(
            traces.enumerated().map { index, number in
                MadeSpan(
                    reference: SpanReference(trace: trace(number), span: SpanID(number * 100 + UInt64(index) + 1)),
                    parent: .none, name: ForeignText(name), startNanoseconds: 1, endNanoseconds: 2)
            })
    }

    private func append(_ traces: [UInt64], name: String = "s", to recent: RecentTraces) {
        Self.request(traces, name: name).withUnsafeBytes { recent.append($0, spanCount: traces.count) }
    }

    private func spans(_ number: UInt64, in recent: RecentTraces) throws -> [String]? {
        guard let document = recent.document(of: Self.trace(number)) else { return nil }
        let json = try #require(try JSONSerialization.jsonObject(with: Data(document)) as? [String: Any])
        let resources = json["resourceSpans"] as? [[String: Any]] ?? []
        let scopes = resources.flatMap { $0["scopeSpans"] as? [[String: Any]] ?? [] }
        return scopes.flatMap { $0["spans"] as? [[String: Any]] ?? [] }.compactMap { $0["spanId"] as? String }
    }

    @Test("A trace has its spans of all requests, and none of others")
    func search() throws {
        let recent = RecentTraces(maxBytes: 1 << 20)
        append([1, 2], to: recent)
        append([2], to: recent)
        append([2, 1, 2], to: recent)
        #expect(try spans(1, in: recent) == ["0000000000000065", "0000000000000066"])
        #expect(try spans(2, in: recent)?.count == 3)
        #expect(recent.document(of: Self.trace(3)) == nil)
    }

    @Test("The newest requests stay within the bytes, the spans of older ones are counted")
    func bounds() throws {
        let recent = RecentTraces(maxBytes: 10_000)
        for number in 1...500 { append([UInt64(number), UInt64(number)], to: recent) }
        #expect(recent.bytes <= 10_000 && recent.bytes > 9_000)
        let kept = (1...500).filter { recent.document(of: Self.trace(UInt64($0))) != nil }
        #expect(kept == Array((501 - kept.count)...500) && kept.count > 10)
        #expect(recent.evictedSpans == UInt64(500 - kept.count) * 2)
        // One that is larger than all of it.
        append([900], name: String(repeating: "x", count: 20_000), to: recent)
        #expect(recent.bytes == 0 && recent.evictedSpans == 1001)
        append([901], to: recent)
        #expect(try spans(901, in: recent)?.count == 1)
    }
}
