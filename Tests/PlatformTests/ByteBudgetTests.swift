import Platform
import Testing

@Suite("Bytes that are held and bytes that are found")
struct ByteBudgetTests {
    @Test("As many bytes as the limit can be held, one more can't, and what is refused takes nothing")
    func limit() {
        let budget = ByteBudget(10)
        #expect(budget.hold(4) && budget.hold(6))
        #expect(budget.heldBytes == 10 && budget.spareBytes == 0)
        #expect(!budget.hold(1) && budget.heldBytes == 10)
        budget.release(3)
        #expect(budget.spareBytes == 3 && !budget.hold(4) && budget.hold(3))
    }

    @Test("What is alone is held whatever its size; beside others it is not")
    func oneAtLeast() {
        let budget = ByteBudget(10)
        #expect(budget.holdOneAtLeast(25) && budget.heldBytes == 25 && budget.spareBytes == 0)
        #expect(!budget.holdOneAtLeast(1) && budget.heldBytes == 25)
        budget.release(25)
        #expect(budget.holdOneAtLeast(4) && budget.holdOneAtLeast(6) && !budget.holdOneAtLeast(1))
        #expect(budget.heldBytes == 10)
    }

    @Test("Another limit counts from then on, and what is held beyond it leaves nothing to spare")
    func changed() {
        let budget = ByteBudget(10)
        #expect(budget.hold(8))
        budget.use(5)
        #expect(budget.limitBytes == 5 && budget.spareBytes == 0 && !budget.hold(1))
        budget.use(9)
        #expect(budget.spareBytes == 1 && budget.hold(1))
    }

    @Test(
        "Four bytes are found where they first stand from the start on, and not beyond the end",
        arguments: [
            ("xabcdxabcd", 0, 1), ("xabcdxabcd", 1, 1), ("xabcdxabcd", 2, 6), ("xabcdxabcd", 7, nil), ("abcd", 0, 0),
            ("abc", 0, nil), ("", 0, nil), ("abcd", 4, nil), ("abcd", 9, nil), ("dcba", 0, nil),
        ] as [(String, Int, Int?)])
    func found(text: String, start: Int, offset: Int?) {
        let mark = UInt32(0x6463_6261)
        #expect(Array(text.utf8).withUnsafeBytes { $0.firstOffset(of: mark, from: start) } == offset)
    }
}
