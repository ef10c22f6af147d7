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

    @Test("What differs in numbers only behind our own words is one cause; our own words are not alike")
    func alike() {
        var log = CauseLog()
        func lines(_ words: (Int) -> String) -> Int {
            (0..<200).count { log.take(words($0), at: Self.moment(UInt64($0) * 2)) != nil }
        }
        #expect(lines { "Redis: ERR proxy: read tcp 10.0.0.1:\(40000 + $0)->10.0.0.2:6379: i/o timeout" } == 1)
        #expect(lines { "queue a: Redis: ERR request \($0)f3 failed" } == 1)
        #expect(lines { "queue b: Redis: ERR request \($0)f3 failed" } == 1, "another queue")
        #expect(lines { "connecting to 10.0.0.\($0 % 3): Connection refused" } == 3, "another node")
        #expect(lines { $0 % 2 == 0 ? "Redis: ERR here \($0)" : "Redis: ERR there \($0)" } == 2)
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

    @Test("A cause is cut to 400 bytes, and those that are the same up to there are one")
    func cut() {
        var log = CauseLog()
        func text(_ cause: String) -> String? { log.take(cause, at: Self.moment(1))?.text }
        let long = String(repeating: "x", count: CauseLog.maxTextBytes)
        #expect(text(long) == long)
        #expect(text(long + "y") == nil)
        #expect(text("y" + long)?.utf8.count == CauseLog.maxTextBytes)
    }

    @Test("A full table makes place once its first cause is a minute old, and says how many found none")
    func fullTable() {
        var log = CauseLog()
        func more(_ cause: String, at second: Int) -> Int? { log.take(cause, at: Self.moment(UInt64(second)))?.more }
        for number in 0..<CauseLog.maxCauses { #expect(more("\(number)", at: 100 + number) == 0) }
        #expect(more("a", at: 159) == nil && more("b", at: 159) == nil)
        #expect(more("0", at: 159) == nil, "it was told, and is not counted")
        #expect(more("c", at: 160) == 2 && more("d", at: 160) == 0)
        #expect(more("0", at: 160) == 0, "what was told before may be told again")
    }

    @Test("What comes back is told again from a minute after its first end on; each end is told once")
    func comesBack() {
        func tells(again second: UInt64, endsBetween: [UInt64] = []) -> Bool {
            var log = CauseLog()
            _ = log.take("a", at: Self.moment(1))
            let ends = ([10] + endsBetween).map { log.recordEnd(at: Self.moment($0)) }
            #expect(ends == [true] + endsBetween.map { _ in false })
            return log.take("a", at: Self.moment(second)) != nil
        }
        #expect(!tells(again: 69) && tells(again: 70))
        #expect(tells(again: 70, endsBetween: [69]))
    }

    /// What is logged where each second's letter is a failure of that cause, and a point is a success; `-` for no line.
    private static func lines(_ seconds: String, text: (Character) -> String = { String($0) }, cause: String? = nil)
        -> String
    {
        var log = CauseLog()
        var lines = ""
        for (second, what) in seconds.enumerated() {
            let now = moment(UInt64(100 + second))
            if what == "." {
                lines += log.recordEnd(at: now) ? "." : "-"
            } else {
                lines += log.take(text(what), of: cause ?? text(what), at: now) == nil ? "-" : String(what)
            }
        }
        return lines
    }

    private static func times(_ count: Int, _ text: String = "-") -> String { String(repeating: text, count: count) }

    @Test(
        "The last line says what is a minute later at most, whatever came before",
        arguments: [
            ("a." + times(200, "a"), "a." + times(59) + "a" + times(140)),
            ("aa.aa." + times(100, "a"), "a-." + times(59) + "a" + times(43)),
            ("a.a.b" + times(100, "a"), "a.--b" + times(100)),
            ("a.ab.a" + times(100, "."), "a.-b.-" + times(100)),
            (times(50, "aa."), "a-." + times(60) + "a-." + times(60) + "a-." + times(21)),
            ("a" + times(100, "."), "a." + times(99)),
        ])
    func truth(seconds: String, expected: String) {
        #expect(Self.lines(seconds) == expected)
    }

    @Test("Other words of a known cause come a minute later, and open the trouble again, so that its end is told")
    func otherWords() {
        let words = ["a": "first words", "b": "second thing entirely", "c": "third one", "d": "fourth one"]
        func lines(_ seconds: String) -> String {
            Self.lines(seconds, text: { words[String($0)] ?? "" }, cause: "500")
        }
        #expect(lines("a.a" + Self.times(50, ".") + "b.") == "a." + Self.times(53))
        #expect(
            lines(Self.times(50, "a") + Self.times(12, ".") + "bb.")
                == "a" + Self.times(49) + "." + Self.times(11) + "b-.")
        let hour = "a" + Self.times(60, "b") + Self.times(60, "c") + Self.times(3600, "d")
        let told = lines(hour).enumerated().filter { $0.element != "-" }.map { "\($0.element)\($0.offset)" }
        #expect(told == ["a0", "b60", "c120", "d3720"])
    }
}
