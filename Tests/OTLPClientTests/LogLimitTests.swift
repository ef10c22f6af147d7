import Model
import Testing

@testable import OTLPClient

@Suite("Lines of the log that are held back")
struct LogLimitTests {
    @Test("There is one line in each pause, which says how many were held back since the one before")
    func pause() {
        var limit = LogLimit(pause: .seconds(10))
        var told: [Int?] = []
        for seconds in [0, 1, 9, 10, 19, 20, 30, 31, 40] as [Int64] {
            told.append(limit.take(at: MonotonicTime(nanoseconds: 0).advanced(by: .seconds(100 + seconds))))
        }
        #expect(told == [0, nil, nil, 2, nil, 1, 0, nil, 1])
    }

    private static func moment(_ seconds: Int64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1).advanced(by: .seconds(seconds))
    }

    @Test("Causes that take turns have a line each, with the number of their own that were held back")
    func causes() {
        var limits = LogLimits(pause: .seconds(10))
        for (second, expected) in [(1, 0), (2, nil), (10, nil), (11, 2)] as [(Int64, Int?)] {
            for cause in ["401", "404"] { #expect(limits.take(cause, at: Self.moment(second)) == expected) }
        }
    }

    @Test("Causes beyond the thirty-second share a limit until a pause of another is over")
    func manyCauses() {
        var limits = LogLimits(pause: .seconds(10))
        let told = (0..<100).map { limits.take("\($0)", at: Self.moment(1)) }
        #expect(told == Array(repeating: 0, count: 33) + Array(repeating: nil, count: 67))
        #expect(limits.take("99", at: Self.moment(11)) == 0)
    }

    @Test("Three texts of a cause have a limit each, whatever numbers they name; further ones share one")
    func texts() {
        var limits = LogLimits(pause: .seconds(10))
        func take(_ text: String, at second: Int64) -> Int? { limits.take("400", text: text, at: Self.moment(second)) }
        for text in ["alpha is bad", "beta gamma"] {
            #expect(take(text + " 1", at: 1) == 0)
            #expect(take(text + " 2", at: 2) == nil)
            #expect(take(text + " 3", at: 11) == 1)
        }
        #expect(["c", "d", "e", "f"].map { take($0, at: 12) } == [0, 0, nil, nil])
        #expect(limits.take("500", text: "e", at: Self.moment(12)) == 0, "another cause")
        #expect(take("e", at: 22) == 2)
    }

    @Test("Texts that differ each time are few lines: one in each pause, and three more a minute")
    func wordy() {
        var limits = LogLimits(pause: .seconds(10))
        var lines: [Int64] = []
        for second in 0..<600 as Range<Int64> {
            let word = String(repeating: "x", count: Int(second))
            if limits.take("400", text: word, at: Self.moment(second)) != nil { lines.append(second) }
        }
        #expect(Array(lines.prefix(5)) == [0, 1, 2, 3, 13] && lines.count <= 60 + 3 * 10)
    }
}
