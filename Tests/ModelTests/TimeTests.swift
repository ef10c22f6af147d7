import Model
import Testing

@Suite("Moments and counters")
struct TimeTests {
    @Test("Whole seconds are those that have passed, before 1970 as well")
    func wholeSeconds() {
        for (nanoseconds, seconds) in [
            (0, 0), (999_999_999, 0), (1_000_000_000, 1), (-1, -1), (-1_000_000_000, -1), (-1_000_000_001, -2),
        ] as [(Int64, Int64)] {
            #expect(WallTime(nanoseconds: nanoseconds).wholeSeconds == seconds)
        }
        #expect(WallTime(nanoseconds: 1_500_000_000).seconds == 1.5)
    }

    @Test("What is too large for a clock is its end")
    func ends() {
        #expect(WallTime(seconds: .max).nanoseconds == .max && WallTime(seconds: .min).nanoseconds == .min)
        #expect(
            WallTime(clampedNanoseconds: .max).nanoseconds == .max && WallTime(clampedNanoseconds: 7).nanoseconds == 7)
        #expect(WallTime(nanoseconds: .max).advanced(by: .seconds(1)).nanoseconds == .max)
        #expect(WallTime(nanoseconds: .min).advanced(by: .seconds(-1)).nanoseconds == .min)
        #expect(WallTime(seconds: 2).advanced(by: .milliseconds(-500)).nanoseconds == 1_500_000_000)
        #expect(WallTime(nanoseconds: .min).nanoseconds(since: WallTime(nanoseconds: 1)) == .min)
        #expect(WallTime(nanoseconds: .max).nanoseconds(since: WallTime(nanoseconds: -1)) == .max)
        #expect(MonotonicTime(nanoseconds: .max).advanced(byNanoseconds: 1).nanoseconds == .max)
        #expect(MonotonicTime(nanoseconds: 5).nanoseconds(since: MonotonicTime(nanoseconds: 7)) == 0)
        #expect(
            MonotonicTime(nanoseconds: 2_500_000_000).seconds(since: MonotonicTime(nanoseconds: 1_000_000_000)) == 1.5)
        #expect(MonotonicTime(nanoseconds: 3).advanced(by: .nanoseconds(-3)).nanoseconds == 0)
    }

    @Test("Times agree within a millisecond, and within a second where one of them has no fraction")
    func agreement() {
        func agree(_ one: Int64, _ other: Int64) -> Bool {
            Stamp.agree(WallTime(nanoseconds: one), WallTime(nanoseconds: other))
        }
        #expect(agree(1_500_000_000, 1_500_999_999) && !agree(1_500_000_000, 1_501_000_000))
        #expect(agree(1_000_000_000, 1_999_999_999) && !agree(1_000_000_000, 2_000_000_000))
        #expect(agree(1_999_999_999, 1_000_000_000) && !agree(2_000_000_000, 1_000_000_000))
        #expect(!agree(1_400_000_000, 1_500_000_000))
    }

    @Test(
        "A counter is read as reset where it lost nine tenths, or half of it and stands at ten at most",
        arguments: [
            (100, 100, false), (100, 101, false), (100, 11, false), (100, 10, true), (100, 0, true), (99, 10, true),
            (20, 10, true), (19, 10, false), (21, 11, false), (1, 0, true), (2, 1, true), (3, 2, false), (0, 0, false),
            (1000, 101, false), (1000, 100, true),
        ] as [(Int64, Int64, Bool)])
    func resets(before: Int64, read: Int64, isReset: Bool) {
        #expect(RisingCounter.isReset(from: before, to: read) == isReset)
        var counter = RisingCounter()
        #expect(counter.value == nil && counter.record(before) == before)
        #expect(counter.record(read) == (isReset ? read : max(before, read)))
        #expect(counter.value == (isReset ? read : max(before, read)))
    }

    @Test("A counter that is raised never falls")
    func raised() {
        var counter = RisingCounter()
        #expect(counter.raise(to: 5) == 5 && counter.raise(to: 3) == 5 && counter.raise(to: 0) == 5)
        #expect(counter.raise(to: 6) == 6 && counter.value == 6)
    }

    @Test("Bytes are the same where all of them are", arguments: 0...40)
    func sameBytes(count: Int) {
        let bytes = (0..<count).map { UInt8($0) }
        func isSame(_ other: [UInt8]) -> Bool {
            bytes.withUnsafeBytes { one in other.withUnsafeBytes { one.hasSameBytes(as: $0) } }
        }
        #expect(isSame(bytes) && !isSame(bytes + [0]))
        for index in 0..<count {
            var changed = bytes
            changed[index] ^= 0x80
            #expect(!isSame(changed))
        }
    }
}

@Suite("A time that is cut off")
struct CutTimeTests {
    @Test("No beginning of a time is one, wherever it ends")
    func beginnings() {
        let whole = Array("2026-11-28T14:02:11.5Z".utf8)
        #expect(RFC3339.parse(whole) != nil)
        for count in 0..<whole.count { #expect(RFC3339.parse(Array(whole.prefix(count))) == nil, "\(count)") }
    }
}
