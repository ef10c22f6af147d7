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
}
