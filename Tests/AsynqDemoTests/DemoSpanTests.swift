import AsynqRedis
import Model
import OTLP
import Testing

@testable import AsynqDemo

/// What the demo reports is what the collector's scanner reads.
@Suite struct DemoSpanTests {
    private static let reference = SpanReference(trace: TraceID(high: 1, low: 2), span: SpanID(3))

    private static func span(
        _ attributes: [(String, DemoSpan.Value)], parent: SpanID = SpanID(4), failure: DemoTaskKind.Failure? = nil
    ) -> DemoSpan {
        DemoSpan(
            name: "process q", kind: .consumer, reference: reference, parent: parent,
            start: WallTime(nanoseconds: 1_000), end: WallTime(nanoseconds: 2_500), attributes: attributes,
            failure: failure)
    }

    private func scanned(_ body: [UInt8]) throws -> SpanScanner {
        var scanner = SpanScanner()
        try body.withUnsafeBytes { try scanner.scan($0) }
        return scanner
    }

    private func text(_ range: ByteRange, _ body: [UInt8]) -> String {
        body.withUnsafeBytes { String(decoding: range.bytes(in: $0), as: UTF8.self) }
    }

    @Test func aTaskSpanHasItsTaskItsTimesAndItsFailure() throws {
        let attributes: [(String, DemoSpan.Value)] = [
            ("messaging.system", .string("asynq")), ("messaging.operation.type", .string("process")),
            ("messaging.destination.name", .string("q")), ("messaging.message.id", .string("t1")),
            ("asynq.task.type", .string("a:b")), ("asynq.task.retried", .int(0)),
            ("asynq.task.enqueued_at", .int(1_800_000_000_000_000_000)),
        ]
        let failed = Self.span(attributes, failure: .init(type: "*a.Error", message: "broken"))
        let body = DemoSpan.request(service: "shop", [failed, Self.span(attributes, parent: .none)])
        let scanner = try scanned(body)
        #expect(scanner.spanCount == 2 && scanner.refused.isEmpty && scanner.taskSpans.count == 2)
        let span = scanner.taskSpans[0]
        #expect(span.role == .process && span.reference == Self.reference && span.parent == SpanID(4))
        #expect(span.startNanoseconds == 1_000 && span.endNanoseconds == 2_500 && span.isError)
        #expect(text(span.queue, body) == "q" && text(span.taskID, body) == "t1" && text(span.taskType, body) == "a:b")
        #expect(span.retryCount == .integer(0) && span.stamp == .integer(1_800_000_000_000_000_000))
        #expect(text(span.errorType, body) == "*a.Error")
        #expect(!scanner.taskSpans[1].isError && scanner.taskSpans[1].parent == SpanID.none)
    }

    @Test func aRequestNamesItsServiceAndTheFailure() {
        let body = DemoSpan.request(
            service: "shop", [Self.span([], failure: .init(type: "T", message: "broken pipe"))])
        let text = String(decoding: body, as: UTF8.self)
        for part in ["service.name", "shop", "asynq-collector/demo", "process q", "exception.message", "broken pipe"] {
            #expect(text.contains(part))
        }
        #expect(Self.reference.traceparent == "00-00000000000000010000000000000002-0000000000000003-01")
    }

    @Test func aRequestOfTheShopHasItsMethodAndRoute() {
        let parts = DemoTaskKind.all.map(\.requestParts)
        #expect(parts.allSatisfy { ["POST", "PUT", "GET"].contains($0.method) && $0.route.hasPrefix("/") })
        #expect(DemoTaskKind.ofType("email:send")?.queue == "emails" && DemoTaskKind.ofType("none") == nil)
    }
}
