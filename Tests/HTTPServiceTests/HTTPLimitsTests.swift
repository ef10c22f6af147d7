import Testing

@testable import HTTPService

@Suite("What connections hold together")
struct HTTPLimitsTests {
    @Test("Room that is given back can be taken again; what finds none takes none")
    func room() {
        let limits = HTTPLimits(maxConnections: 2, maxBodyBytes: 100)
        #expect(limits.hold(60) && limits.hold(40) && !limits.hold(1))
        limits.release(40)
        #expect(!limits.hold(41) && limits.hold(40))
        #expect(limits.openConnection() && limits.openConnection() && !limits.openConnection())
        #expect(limits.refusedConnections == 1)
        limits.closeConnection()
        #expect(limits.openConnection() && limits.refusedConnections == 1)
    }

    @Test("A new limit holds for what comes from then on")
    func newLimit() {
        let limits = HTTPLimits(maxBodyBytes: 100)
        #expect(limits.hold(100))
        limits.use(maxBodyBytes: 50)
        #expect(!limits.hold(1))
        limits.release(60)
        #expect(limits.hold(10) && !limits.hold(1))
        #expect(limits.heldBodyBytes == 50)
    }

    @Test("An answer that is alone is held whatever its size, and refused ones are counted")
    func answers() {
        let limits = HTTPLimits(maxAnswerBytes: 10)
        #expect(limits.holdAnswer(1000) && !limits.holdAnswer(1) && limits.unreadAnswers == 1)
        limits.releaseAnswer(1000)
        #expect(limits.holdAnswer(4) && limits.holdAnswer(6) && !limits.holdAnswer(1) && limits.unreadAnswers == 2)
    }
}
