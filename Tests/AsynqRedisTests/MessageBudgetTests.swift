import Testing

@testable import AsynqRedis

@Suite("How many messages are asked for at once")
struct MessageBudgetTests {
    @Test("The first read gets 16; small messages raise that step by step, to 1,024")
    func small() {
        var budget = MessageBudget()
        #expect(budget.count == 16)
        budget.note(100)
        #expect(budget.count == 18)
        for _ in 0..<100 { budget.note(100) }
        #expect(budget.count == 1024)
    }

    @Test("One large message lowers it at once; one of all there may be still leaves one")
    func large() {
        var budget = MessageBudget()
        budget.note(1 << 20)
        #expect(budget.count == 4)
        budget.note(100 << 20)
        #expect(budget.count == 1)
    }

    @Test("After a failure one by one, until some were small")
    func failure() {
        var budget = MessageBudget()
        for _ in 0..<100 { budget.note(100) }
        budget.noteFailure()
        #expect(budget.count == 1)
        for _ in 0..<6 { budget.note(100) }
        #expect(budget.count == 2)
    }

    @Test("A budget of many begins with its own number, and then goes by what fits")
    func shared() {
        var budget = MessageBudget(firstCount: 10)
        #expect(budget.isSizeUnknown)
        #expect(budget.count(within: 4 << 20) == 10)
        #expect(budget.count(within: 40_000) == 2)
        #expect(budget.count(within: 0) == 0 && budget.count(within: -1) == 0)
        budget.note(1000)
        #expect(!budget.isSizeUnknown)
        #expect(budget.count(within: 40_000) == 40)
        budget.note(80_000)
        #expect(budget.count(within: 40_000) == 0)
        budget.note(0)
        #expect(budget.assumedBytes == 70_000)
    }
}
