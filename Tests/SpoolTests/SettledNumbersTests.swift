import TestSupport
import Testing

@testable import Spool

@Suite("SettledNumbers")
struct SettledNumbersTests {
    @Test("Agrees with a plain set after any series of insertions", arguments: 1...20 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let below = UInt64.random(in: 0...5, using: &random)
        var settled = SettledNumbers(below: below)
        var model = Set(0..<below)
        for _ in 0..<60 {
            let first = UInt64.random(in: 0...120, using: &random)
            let last = first + UInt64.random(in: 0...6, using: &random)
            settled.insert(first...last)
            model.formUnion(first...last)
            check(settled, model)
            let low = UInt64.random(in: 0...130, using: &random)
            let high = low + UInt64.random(in: 0...40, using: &random)
            let expected = (low...high).filter { !model.contains($0) }.count
            #expect(settled.countUnsettled(in: low...high) == UInt64(expected), "seed \(seed)")
            let unsettled = settled.unsettled(below: high).flatMap { Array($0) }
            #expect(unsettled == (0..<high).filter { !model.contains($0) }, "seed \(seed)")
        }
    }

    private func check(_ settled: SettledNumbers, _ model: Set<UInt64>) {
        for sequence in 0...140 as ClosedRange<UInt64> {
            #expect(settled.contains(sequence) == model.contains(sequence))
        }
        var last = settled.below
        for range in settled.ranges {
            #expect(range.lowerBound > last, "ascending, disjoint, not adjacent")
            last = range.upperBound + 1
        }
    }

    @Test("Huge ranges are counted by arithmetic, not by counting")
    func hugeRanges() {
        var settled = SettledNumbers(below: 10)
        settled.insert(1 << 40...1 << 41)
        #expect(settled.countUnsettled(in: 1...1 << 60) == (1 << 60) - 9 - ((1 << 40) + 1))
    }
}
