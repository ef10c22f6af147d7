import NIOCore
import Testing

@testable import HTTPService

@Suite("Requests that take too long to come")
struct SlowRequestTests {
    @Test("One that drips is too slow after a minute, to the nanosecond, and counted")
    func drips() {
        let stage = HTTP1Stage()
        for second in 0..<60 { stage.bytes(at: Double(second)) }
        #expect(stage.check(at: 59) == .again(after: .seconds(1)))
        #expect(stage.check(at: 59.5) == .again(after: .milliseconds(500)))
        #expect(stage.limits.slowRequests == 0)
        #expect(stage.check(at: 60) == .tooSlow)
        #expect(stage.limits.slowRequests == 1)
    }

    @Test("Many quick ones on one connection are not; each has its own minute")
    func quick() {
        let stage = HTTP1Stage()
        for request in 0..<10 {
            stage.bytes(at: Double(50 * request))
            #expect(stage.check(at: Double(50 * request + 49)) == .again(after: .seconds(11)))
            stage.answeredRequest()
            #expect(stage.check(at: Double(50 * request + 49)) == .rest)
            #expect(stage.nextStep(at: Double(50 * request + 49)) == .proceed)
            #expect(stage.check(at: Double(50 * request + 49)) == .rest)
        }
        stage.bytes(at: 500)
        #expect(stage.check(at: 559) == .again(after: .seconds(1)))
        #expect(stage.check(at: 560) == .tooSlow)
    }

    @Test(
        "While an answer is not read the time of the next request stands still, and begins with the end of the answer")
    func held() {
        let stage = HTTP1Stage()
        stage.bytes(at: 0)
        stage.answeredRequest()
        stage.bytes(at: 1)
        #expect(stage.check(at: 150) == .again(after: .seconds(60)))
        #expect(stage.nextStep(isWritable: false, at: 150) == .wait)
        #expect(stage.check(at: 155) == .again(after: .seconds(60)))
        #expect(stage.nextStep(at: 160) == .proceed)
        #expect(stage.check(at: 219) == .again(after: .seconds(1)))
        #expect(stage.check(at: 220) == .tooSlow)
    }

    @Test("What came with the end of a request counts from the next bytes on")
    func behindTheEnd() {
        let stage = HTTP1Stage()
        stage.bytes(at: 0)
        stage.answeredRequest()
        #expect(stage.nextStep(at: 1) == .proceed)
        #expect(stage.check(at: 100) == .rest)
    }

    @Test("A connection without a request is left to the idle timeout")
    func idle() {
        let stage = HTTP1Stage()
        #expect(stage.check(at: 1000) == .rest)
        #expect(stage.limits.slowRequests == 0)
    }

    @Test("What is no HTTP is counted as that and not as slow")
    func noHTTP() {
        let stage = HTTP1Stage()
        stage.bytes(at: 0)
        _ = stage.parserFailed()
        #expect(stage.check(at: 60) == .rest)
        #expect(stage.limits.slowRequests == 0)
    }
}
