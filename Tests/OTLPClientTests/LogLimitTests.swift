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
}
