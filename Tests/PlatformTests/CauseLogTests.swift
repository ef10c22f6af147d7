import Model
import Platform
import Testing

@Suite("Lines once for each cause")
struct CauseLogTests {
    private static func moment(_ seconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: seconds * 1_000_000_000)
    }

    @Test("Causes that take turns are told of once each")
    func turns() {
        var log = CauseLog()
        var lines: [String] = []
        for second in 0..<1000 {
            if let (text, _) = log.take(["a", "b", "c"][second % 3], at: Self.moment(UInt64(second))) {
                lines.append(text)
            }
        }
        #expect(lines == ["a", "b", "c"])
    }

    @Test("Of causes without end some are told of each minute, with how many were not, and cut")
    func bounded() {
        var log = CauseLog()
        var (count, bytes, more) = (0, 0, 0)
        for number in 0..<6000 {
            let cause = "\(number)" + String(repeating: "x", count: 10_000)
            guard let line = log.take(cause, at: Self.moment(UInt64(number / 50))) else { continue }
            count += 1
            bytes += line.text.utf8.count
            more += line.more
        }
        #expect(count == 2 * CauseLog.maxCauses)
        #expect(bytes <= count * CauseLog.maxTextBytes)
        #expect(more == 3000 - CauseLog.maxCauses)
    }

    @Test("The end is told of once, and what comes back within a minute is not told again")
    func end() {
        var log = CauseLog()
        func tells(at second: UInt64) -> Bool { log.take("a", at: Self.moment(second)) != nil }
        func tellsEnd(at second: UInt64) -> Bool { log.recordEnd(at: Self.moment(second)) }
        #expect(!tellsEnd(at: 0))
        #expect(tells(at: 1))
        #expect(tellsEnd(at: 2))
        for second in stride(from: UInt64(3), to: 50, by: 2) {
            #expect(!tells(at: second))
            #expect(!tellsEnd(at: second + 1))
        }
        #expect(tells(at: 200))
    }
}
