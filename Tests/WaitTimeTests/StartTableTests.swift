import TestSupport
import Testing

@testable import WaitTime

@Suite("The flat table of starts")
struct StartTableTests {
    @Test("It does what a dictionary does, while keys come, go and come again")
    func model() {
        var random = SeededGenerator.fresh(for: "StartTable")
        var table = StartTable(bytes: 1 << 20)
        var model: [UInt64: UInt64] = [:]
        for step in 0..<40_000 as Range<UInt64> {
            // Low bits that collide: whole runs of slots have to be moved.
            let key = (UInt64.random(in: 1...400, using: &random) << 32) + UInt64.random(in: 1...6, using: &random)
            if let known = model[key] {
                #expect(table.start(of: key) == known)
                table.remove(key)
                model[key] = nil
            } else {
                #expect(table.start(of: key) == nil)
                table.insert(key, start: step)
                model[key] = step
            }
        }
        for (key, start) in model { #expect(table.start(of: key) == start) }
        #expect(table.evicted == 0)
    }

    @Test(
        "Beyond its bytes the keys that were inserted first are forgotten, and counted; those that were removed are not"
    )
    func bound() {
        var table = StartTable(bytes: 24 * 8)
        for key in 1...8 as ClosedRange<UInt64> { table.insert(key, start: key) }
        #expect(table.evicted == 0)
        table.remove(2)
        table.remove(5)
        table.insert(2, start: 22)
        // 1 and the place that 2 has left; 3, 4, and the place that 5 has left.
        #expect(table.evicted == 1 && table.start(of: 1) == nil && table.start(of: 2) == 22)
        for key in 9...12 as ClosedRange<UInt64> { table.insert(key, start: key) }
        #expect(table.evicted == 3)
        let left = (1...12).filter { table.start(of: $0) != nil }
        #expect(left == [2, 6, 7, 8, 9, 10, 11, 12])
    }

    @Test("A table that is full for long forgets in the order of insertion", arguments: [1, 24, 25, 1000, 24 << 10])
    func order(bytes: Int) {
        var table = StartTable(bytes: bytes)
        for key in 1...10_000 as ClosedRange<UInt64> {
            table.insert(key &* 0x9E37_79B9_7F4A_7C15, start: key)
        }
        let count = 10_000 - table.evicted
        #expect(count >= 1 && count * 24 <= max(24, bytes) && count * 48 > bytes)
        for key in 1...10_000 as ClosedRange<UInt64> {
            #expect(table.start(of: key &* 0x9E37_79B9_7F4A_7C15) == (key > table.evicted ? key : nil))
        }
    }
}
