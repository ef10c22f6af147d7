import HTTPService
import NIOHTTP1
import OTLP
import Testing

@testable import SpanReceiver

@Suite("statuses of refusals")
struct TraceOutcomeTests {
    /// https://opentelemetry.io/docs/specs/otlp/#failures and #failures-1
    private static let retryableHTTP: Set<UInt> = [429, 502, 503, 504]
    private static let retryableRPC: Set<Int> = [1, 4, 10, 11, 14, 15]

    private static let reasons: [TraceRefusal.Reason] = [
        .unknownPath, .wrongMethod, .unauthenticated, .unknownMediaType, .unknownEncoding, .malformed, .badCall,
        .tooLarge,
        .full, .overloaded, .unavailable, .deadlineExceeded, .foreignOrigin,
    ]

    @Test("a sender retries the same refusals over HTTP and over gRPC", arguments: reasons)
    func retries(reason: TraceRefusal.Reason) {
        let overHTTP = Self.retryableHTTP.contains(reason.httpStatus.code)
        let hasRetryInfo = reason.retryAfterSeconds != nil
        let overGRPC =
            Self.retryableRPC.contains(reason.rpcCode.rawValue)
            || (reason.rpcCode == .resourceExhausted && hasRetryInfo)
        #expect(overHTTP == overGRPC)
        #expect(!hasRetryInfo || overHTTP)
    }

    @Test("spans are counted as refused, or the request is, and never both")
    func counted() {
        let bySpans = Self.reasons.filter { $0.badRequest == nil }
        #expect(bySpans.map(\.httpStatus) == [.tooManyRequests, .serviceUnavailable])
    }

    @Test("what the sender is told of spans that were refused, the log is told as well, under the reason")
    func partialSuccess() {
        var partial = PartialSuccess()
        #expect(partial.told == nil && partial.message == nil && partial.refusedSpans == 0)
        partial.badValues = 3
        partial.firstProblem = "kind is 9"
        #expect(partial.told?.reason == "bad_value" && partial.told?.event == "spans refused")
        #expect(partial.message == "3 spans have a value out of the range of its field; kind is 9")
        partial.badIDs = 2
        #expect(partial.told?.reason == "bad_id" && partial.refusedSpans == 5)
        #expect(partial.message?.hasPrefix(PartialSuccess.reasonForBadIDs(2) + "; 3 spans") == true)
        partial = PartialSuccess(badIDs: 1, badValues: 1, firstProblem: "kind is 9")
        #expect(
            partial.message
                == "1 span has a trace, span, parent or link id that is zero or of a wrong length; "
                + "1 span has a value out of the range of its field; kind is 9")
        var empty = PartialSuccess()
        empty.warning = "no span"
        #expect(empty.told == HTTPRefusal("empty", "no span", event: "request without spans"))
    }
}

@Suite("the bearer token")
struct BearerTokenTests {
    @Test(
        "must be there in full and by that scheme",
        arguments: [
            ("Bearer secret", true), ("bearer secret", true), ("Bearer secre", false), ("Bearer secreT", false),
            ("Bearer tercse", false), ("Bearer secrets", false),
            ("Bearer ", false), ("Bearer", false), ("Basic secret", false), ("secret", false), ("", false),
        ])
    func comparison(value: String, allowed: Bool) {
        #expect(BearerToken(RequestSecret("secret")).isIn(["authorization": value]) == allowed)
        #expect(BearerToken(RequestSecret("secret")).isIn(["Authorization": value]) == allowed)
    }

    @Test("must be there at all")
    func missing() {
        #expect(!BearerToken(RequestSecret("secret")).isIn([:]))
    }
}
