import OTLPClient
import Testing

@testable import MetricsPush

@Suite("What an answer means to a push")
struct PushOutcomeTests {
    private func failure(_ outcome: OTLPOutcome) -> PushFailure? {
        if case .failed(let failure) = PushOutcome(outcome) { failure } else { nil }
    }

    @Test("Whatever passes is left to the next push, not before the backend asks for it")
    func passing() {
        #expect(PushOutcome(.accepted(rejected: 3, message: "old")) == .accepted(rejectedPoints: 3, message: "old"))
        let busy = failure(.retry(afterSeconds: 7, reason: "429"))
        #expect(busy == PushFailure(kind: .passing, reason: "429", retryAfterSeconds: 7))
        #expect(failure(.doubtful(afterSeconds: 2, reason: "502", isAnswer: false))?.retryAfterSeconds == 2)
        #expect(failure(.retrySlowly(reason: "401", advice: "token"))?.kind == .misconfigured)
    }

    @Test("A refusal says what to change, where the backend's words tell it")
    func refusals() {
        #expect(failure(.tooLarge(reason: "413"))?.kind == .refused)
        #expect(failure(.refused(reason: "400: what?")) == PushFailure(kind: .refused, reason: "400: what?"))
        let native = failure(.doubtful(afterSeconds: 0, reason: "500: native histograms are disabled", isAnswer: true))
        #expect(native?.advice?.contains("metrics.push.histograms") == true)
        let delta = failure(.refused(reason: "400: invalid temporality and type combination for metric \"a\""))
        #expect(delta?.advice?.contains("cumulative") == true)
    }
}
