import Platform
import Testing

@Suite("Bytes that are held and bytes that are found")
struct ByteAllowanceTests {
    @Test("As many bytes as the limit can be held, one more can't, and what is refused takes nothing")
    func limit() {
        let allowance = ByteAllowance(10)
        #expect(allowance.hold(4) && allowance.hold(6))
        #expect(allowance.heldBytes == 10 && allowance.spareBytes == 0)
        #expect(!allowance.hold(1) && allowance.heldBytes == 10)
        allowance.release(3)
        #expect(allowance.spareBytes == 3 && !allowance.hold(4) && allowance.hold(3))
    }

    @Test("What is alone is held whatever its size; beside others it is not")
    func oneAtLeast() {
        let allowance = ByteAllowance(10)
        #expect(allowance.holdOneAtLeast(25) && allowance.heldBytes == 25 && allowance.spareBytes == 0)
        #expect(!allowance.holdOneAtLeast(1) && allowance.heldBytes == 25)
        allowance.release(25)
        #expect(allowance.holdOneAtLeast(4) && allowance.holdOneAtLeast(6) && !allowance.holdOneAtLeast(1))
        #expect(allowance.heldBytes == 10)
    }

    @Test("Another limit counts from then on, and what is held beyond it leaves nothing to spare")
    func changed() {
        let allowance = ByteAllowance(10)
        #expect(allowance.hold(8))
        allowance.use(5)
        #expect(allowance.limitBytes == 5 && allowance.spareBytes == 0 && !allowance.hold(1))
        allowance.use(9)
        #expect(allowance.spareBytes == 1 && allowance.hold(1))
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
