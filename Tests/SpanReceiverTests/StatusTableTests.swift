import NIOHTTP1
import OTLP
import Testing

@testable import SpanReceiver

/// The table of https://opentelemetry.io/docs/specs/otlp/#otlphttp-response and #otlpgrpc-response, once more.
@Suite("The table of statuses")
struct StatusTableTests {
    private struct Row: Sendable, CustomTestStringConvertible {
        let reason: TraceRefusal.Reason
        let http: UInt
        let rpc: Int
        var retryAfter: Int?
        let counted: BadRequestReason?

        var testDescription: String { "\(reason)" }
    }

    private static let rows = [
        Row(reason: .unknownPath, http: 404, rpc: 12, counted: .path),
        Row(reason: .wrongMethod, http: 405, rpc: 12, counted: .method),
        Row(reason: .unauthenticated, http: 401, rpc: 16, counted: .unauthenticated),
        Row(reason: .unknownMediaType, http: 415, rpc: 3, counted: .mediaType),
        Row(reason: .unknownEncoding, http: 415, rpc: 12, counted: .encoding),
        Row(reason: .foreignOrigin, http: 403, rpc: 7, counted: .origin),
        Row(reason: .malformed, http: 400, rpc: 3, counted: .malformed),
        Row(reason: .badCall, http: 400, rpc: 13, counted: .malformed),
        Row(reason: .tooLarge, http: 413, rpc: 8, counted: .tooLarge),
        Row(reason: .full, http: 429, rpc: 8, retryAfter: 1, counted: nil),
        Row(reason: .overloaded, http: 503, rpc: 14, retryAfter: 1, counted: .overloaded),
        Row(reason: .unavailable, http: 503, rpc: 14, retryAfter: 1, counted: nil),
        Row(reason: .deadlineExceeded, http: 504, rpc: 4, counted: .deadline),
    ]

    @Test("A refusal has its status, its code, its time to retry after and its counter", arguments: rows)
    private func row(row: Row) {
        #expect(row.reason.httpStatus.code == row.http)
        #expect(row.reason.rpcCode.rawValue == row.rpc)
        #expect(row.reason.retryAfterSeconds == row.retryAfter)
        #expect(row.reason.badRequest == row.counted)
    }
}
