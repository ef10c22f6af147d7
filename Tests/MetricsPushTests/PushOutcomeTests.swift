import Testing

@testable import MetricsPush
@testable import OTLPClient

@Suite("What an answer means to a push")
struct PushOutcomeTests {
    private func failure(_ outcome: OTLPOutcome) -> PushFailure? {
        if case .failed(let failure) = PushOutcome(outcome) { failure } else { nil }
    }

    private func failure(
        status: Int, _ text: String = "", retryAfter: UInt64 = 0, type: String = ""
    ) -> PushFailure? {
        let answer = OTLPAnswer(
            status: status, body: Array(text.utf8), contentType: type, retryAfterSeconds: retryAfter)
        let outcome = PushOutcome(
            OTLPOutcome.of(answer, for: .metrics), isRateLimit: answer.isRateLimit,
            retryAfterSeconds: answer.retryAfterSeconds)
        if case .failed(let failure) = outcome { return failure }
        return nil
    }

    @Test("Whatever passes is left to the next push, not before the backend asks for it")
    func passing() {
        #expect(PushOutcome(.accepted(rejected: 3, message: "old")) == .accepted(rejectedPoints: 3, message: "old"))
        #expect(
            PushOutcome(.accepted(rejected: 3, message: ""), points: 4) == .accepted(rejectedPoints: 3, message: ""))
        #expect(
            PushOutcome(.accepted(rejected: 0, message: ""), points: 0) == .accepted(rejectedPoints: 0, message: ""))
        for rejected in [4, 5] {
            let refused = PushFailure(
                kind: .refused, reason: "the backend rejects every data point: old", isOfOneRequest: true)
            #expect(
                PushOutcome(.accepted(rejected: rejected, message: "old"), points: 4) == .failed(refused))
        }
        let busy = failure(.retry(afterSeconds: 7, reason: "429"))
        #expect(busy == PushFailure(kind: .passing, reason: "429", retryAfterSeconds: 7))
        #expect(failure(.doubtful(afterSeconds: 2, reason: "502", isAnswer: false))?.retryAfterSeconds == 2)
        #expect(failure(.retrySlowly(reason: "401", advice: "token"))?.kind == .misconfigured)
    }

    @Test("A refusal says what to change, where the backend's words tell it")
    func refusals() {
        #expect(failure(.tooLarge(reason: "413"))?.kind == .refused)
        #expect(
            failure(.refused(reason: "400: what?"))
                == PushFailure(kind: .refused, reason: "400: what?", isOfOneRequest: true))
        let native = failure(.doubtful(afterSeconds: 0, reason: "500: native histograms are disabled", isAnswer: true))
        #expect(native?.advice?.contains("metrics.push.histograms") == true)
        let delta = failure(.refused(reason: "400: invalid temporality and type combination for metric \"a\""))
        #expect(delta?.advice?.contains("cumulative") == true)
    }

    @Test(
        "Retry-After is heeded whatever the status and the words, and ends the push",
        arguments: [200, 307, 400, 401, 403, 404, 413, 415, 422, 429, 500, 502, 503], ["", "request too large"])
    func retryAfter(status: Int, text: String) throws {
        let found = try #require(failure(status: status, text.isEmpty ? "<p>" : text, retryAfter: 30))
        #expect(found.retryAfterSeconds == 30 && found.pause == .seconds(30) && !found.isOfOneRequest)
        #expect(failure(status: status, "<p>", retryAfter: .max)?.pause == .seconds(3600))
        let without = try #require(failure(status: status, "<p>"))
        #expect(without.pause == .zero && without.isOfOneRequest == [400, 413, 422].contains(status))
    }

    @Test("429 is a limit of rates, whatever its words say of sizes: the others must not follow")
    func rateLimit() throws {
        let found = try #require(failure(status: 429, "request too large for the current window"))
        #expect(found.kind == .passing && !found.isOfOneRequest && found.advice != nil)
        #expect(failure(status: 413)?.kind == .refused && failure(status: 413)?.isOfOneRequest == true)
    }

    @Test(
        "What a key mends is no outage, whatever the status",
        arguments: [400, 500, 503], ["native histograms are disabled", "invalid temporality and type combination"])
    func keys(status: Int, words: String) {
        let found = failure(status: status, "otlp: \(words)")
        #expect(found?.kind == .misconfigured && found?.advice != nil && found?.isOfOneRequest == (status == 400))
    }
}
