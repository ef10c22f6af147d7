import Model
import Testing

@testable import AsynqRedis

@Suite("How many tasks Redis is asked for")
struct LookupLimitsTests {
    private var limits = LookupLimits()

    private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: UInt64(seconds * 1e9)) }

    @Test("4,000 tasks may wait for an answer, not one more, until some were answered")
    mutating func waiting() {
        #expect(limits.admit(3000, at: at(1)) == nil && limits.admit(1000, at: at(1)) == nil)
        #expect(limits.waitingTasks == 4000)
        #expect(limits.admit(1, at: at(2)) == .limit)
        limits.recordAnswer([.found: 1], of: 1)
        #expect(limits.admit(2, at: at(2)) == .limit)
        #expect(limits.admit(1, at: at(2)) == nil)
    }

    @Test("5,000 tasks may be asked for in a second, and as many in the next")
    mutating func perSecond() {
        for second in [1, 2] as [Double] {
            for _ in 0..<5 {
                #expect(limits.admit(1000, at: at(second)) == nil)
                limits.recordAnswer([.found: 1000], of: 1000)
            }
            #expect(limits.admit(1, at: at(second + 0.999)) == .limit)
        }
        #expect(limits.admit(1, at: at(3)) == nil)
    }

    @Test("a request that is refused takes nothing of the second")
    mutating func refused() {
        #expect(limits.admit(4999, at: at(1)) == .limit, "more than may wait")
        #expect(limits.admit(4000, at: at(1)) == nil)
        limits.recordAnswer([.found: 4000], of: 4000)
        #expect(limits.admit(1001, at: at(1)) == .limit)
        #expect(limits.admit(1000, at: at(1)) == nil)
    }

    @Test("after more than 32 MiB of messages no more are asked for in that second")
    mutating func bytes() {
        #expect(limits.admit(1, at: at(1)) == nil)
        limits.recordRead(32 << 20)
        #expect(limits.admit(1, at: at(1)) == nil)
        limits.recordRead(1)
        #expect(limits.admit(1, at: at(1.9)) == .limit)
        #expect(limits.admit(1, at: at(2)) == nil)
    }

    @Test("after 1,000 useless answers in a row only each hundredth request is made, until one is useful")
    mutating func useless() {
        limits.recordAnswer([.empty: 400, .gone: 399, .unreadable: 200, .failed: 5000, .down: 9], of: 0)
        #expect(limits.admit(1, at: at(1)) == nil, "999 in a row")
        limits.recordAnswer([.gone: 1], of: 1)
        let admitted = (2...300).filter { number in
            let refusal = limits.admit(1, at: at(Double(number)))
            #expect(refusal == nil || refusal == .skipped)
            return refusal == nil
        }
        #expect(admitted == [100, 200, 300])
        limits.recordAnswer([.found: 1, .gone: 2000], of: 1)
        #expect((301...310).allSatisfy { limits.admit(1, at: at(Double($0))) == nil })
    }
}
