import Platform
import Testing

@Suite("First in, first out")
struct FIFOTests {
    private final class Body {}

    @Test("elements come in the order of their arrival, also where the line is never empty")
    func order() {
        var line = FIFO<Int>()
        var taken: [Int] = []
        for number in 0..<1000 {
            line.append(number)
            if number % 3 != 0 { taken.append(line.popFirst() ?? -1) }
            #expect(line.count == number + 1 - taken.count && !line.isEmpty)
        }
        while let next = line.popFirst() { taken.append(next) }
        #expect(taken == Array(0..<1000) && line.isEmpty && line.popFirst() == nil)
    }

    @Test("what was taken is held no longer, however many wait behind it")
    func release() {
        var line = FIFO<Body>()
        for _ in 0..<100 { line.append(Body()) }
        weak var first: Body?
        do {
            let taken = line.popFirst()
            first = taken
            #expect(first != nil)
        }
        #expect(first == nil && line.count == 99)
    }

    @Test("some are taken out, the others keep their order")
    func removal() {
        var line = FIFO<Int>()
        for number in 0..<10 { line.append(number) }
        _ = line.popFirst()
        #expect(line.removeAll { $0 % 2 == 0 } == [2, 4, 6, 8])
        #expect(line.popFirst() == 1 && line.count == 4 && line.popFirst() == 3)
    }
}
