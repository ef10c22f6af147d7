import Model
import TestSupport
import Testing

@testable import WaitTime

private func reference(_ number: Int) -> SpanReference {
    SpanReference(trace: trace(1), span: SpanID(UInt64(number) + 1))
}

@Suite("The spans that are remembered to tell what comes again")
struct RecentReferencesTests {
    @Test("They are the last ones that came, and the oldest makes space, however many come", arguments: [1, 2, 3, 7])
    func lastOnes(capacity: Int) {
        var spans = RecentReferences(capacity: capacity)
        for number in 0..<5 * capacity {
            let isNew = spans.insert(reference(number))
            #expect(isNew)
            let remembered = max(0, number - capacity + 1)...number
            // A span that comes again is not inserted once more, and keeps its place.
            for known in remembered {
                let isNewAgain = spans.insert(reference(known))
                #expect(!isNewAgain, "\(known) after \(number)")
            }
        }
    }

    @Test("A span that was forgotten is a new one, and is remembered again")
    func forgotten() {
        var spans = RecentReferences(capacity: 3)
        // Behind the first three each takes the place of the oldest, which is the one that comes next.
        let areNew = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1].map { spans.insert(reference($0)) }
        #expect(!areNew.contains(false))
        let areNewAgain = [3, 0, 1, 2].map { spans.insert(reference($0)) }
        #expect(areNewAgain == [false, false, false, true])
    }

    @Test("They do what a list does, also where ids differ in one bit, or in one half only", arguments: [5, 64, 1000])
    func model(capacity: Int) {
        var random = SeededGenerator.fresh(for: "RecentReferences")
        var spans = RecentReferences(capacity: capacity)
        var model: [SpanReference] = []
        for _ in 0..<20 * capacity {
            let bit = UInt64(1) << UInt64.random(in: 0..<64, using: &random)
            let number = UInt64.random(in: 0..<UInt64(capacity), using: &random)
            let next =
                switch Int.random(in: 0..<3, using: &random) {
                case 0: SpanReference(trace: TraceID(high: bit, low: 0), span: SpanID(number))
                case 1: SpanReference(trace: TraceID(high: 0, low: bit), span: SpanID(number << 50))
                default: SpanReference(trace: TraceID(high: number, low: number), span: SpanID(bit))
                }
            let isNew = spans.insert(next)
            #expect(isNew == !model.contains(next))
            if isNew { model.append(next) }
            if model.count > capacity { model.removeFirst() }
        }
    }

    @Test("However many come, the bytes stay within their limit; a small table is small")
    func bytes() {
        var spans = RecentReferences(capacity: 10_000)
        #expect(spans.bytes.used < 1000)
        var most = 0
        for number in 0..<50_000 {
            _ = spans.insert(reference(number))
            most = max(most, spans.bytes.used)
        }
        #expect(most <= spans.bytes.limit && spans.bytes.limit < 1 << 20)
    }
}

@Suite("The index of a flat table")
struct SlotTableTests {
    @Test("It does what a dictionary does, while entries come, go and replace one another, and hashes collide")
    func model() {
        var random = SeededGenerator.fresh(for: "SlotTable")
        var table = SlotTable()
        var model: [UInt64: Int] = [:]
        for step in 0..<40_000 {
            // Few tags, and homes that lie side by side: whole runs of slots have to be moved.
            let hash = UInt64.random(in: 0..<500, using: &random) << 32 + UInt64.random(in: 0..<4, using: &random)
            func isIt(_ entry: Int) -> Bool { model[hash] == entry }
            #expect(table.find(hash, where: isIt) == model[hash])
            switch (model[hash], Bool.random(using: &random)) {
            case (let known?, true):
                table.remove(known, hash: hash)
                model[hash] = nil
            case (let known?, false):
                table.replace(known, with: step, hash: hash)
                model[hash] = step
            case (nil, _):
                table.insert(step, hash: hash)
                model[hash] = step
            }
            #expect(table.count == model.count)
        }
        for (hash, entry) in model { #expect(table.find(hash) { $0 == entry } == entry) }
        #expect(table.bytes <= SlotTable.bytes(entries: 2000))
    }

    @Test("What is not there is neither removed nor replaced")
    func absent() {
        var table = SlotTable()
        table.insert(3, hash: 7 << 32)
        table.remove(4, hash: 7 << 32)
        table.replace(4, with: 5, hash: 7 << 32)
        table.remove(3, hash: 8 << 32)
        let found = table.find(7 << 32) { _ in true }
        #expect(found == 3 && table.count == 1)
    }

    @Test("Ids that differ in few bits do not pile up")
    func hostile() {
        let hash = KeyedHash()
        // What a product alone would map to few values: all that differs are the highest bits.
        let ids = (0..<32 as Range<UInt64>).flatMap { high in
            (0..<32 as Range<UInt64>).map { low in
                SpanReference(trace: TraceID(high: high << 59, low: low << 59), span: SpanID(1 << 59))
            }
        }
        let homes = Set(ids.map { hash($0) >> 32 & 0xFFFF })
        #expect(homes.count > 950)
        #expect(Set(ids.map { hash($0) }).count == ids.count)
        #expect(hash(ids[1]) != KeyedHash()(ids[1]), "each table has its own keys")
    }
}
