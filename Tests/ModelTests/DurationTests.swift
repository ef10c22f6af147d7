import Model
import Testing

@Suite("Durations")
struct DurationTests {
    @Test(
        "Whole nanoseconds are rounded towards zero, and saturate",
        arguments: [
            (.zero, 0), (.nanoseconds(1), 1), (.seconds(1), 1_000_000_000), (.milliseconds(-250), -250_000_000),
            (Duration(secondsComponent: 0, attosecondsComponent: 999_999_999), 0),
            (Duration(secondsComponent: 0, attosecondsComponent: -1_999_999_999), -1),
            (.nanoseconds(Int64.max), .max), (.nanoseconds(Int64.min), .min), (.seconds(Int64.max), .max),
            (.seconds(Int64.min), .min),
            (Duration(secondsComponent: 9_223_372_036, attosecondsComponent: 854_775_807 << 30), .max),
        ] as [(Duration, Int64)])
    func whole(duration: Duration, nanoseconds: Int64) {
        #expect(duration.wholeNanoseconds == nanoseconds)
    }

    @Test("Seconds keep their fraction")
    func seconds() {
        #expect(Duration.milliseconds(1500).inSeconds == 1.5)
        #expect(Duration.nanoseconds(-1).inSeconds == -1e-9)
    }

    @Test("A monotonic moment moves both ways and stops at the ends of its clock")
    func advanced() {
        let moment = MonotonicTime(nanoseconds: 1_000)
        #expect(moment.advanced(by: .nanoseconds(5)).nanoseconds == 1_005)
        #expect(moment.advanced(by: .nanoseconds(-5)).nanoseconds == 995)
        #expect(moment.advanced(by: .seconds(-1)).nanoseconds == 0)
        #expect(MonotonicTime(nanoseconds: .max - 1).advanced(by: .seconds(1)).nanoseconds == .max)
    }

    @Test("Differences are durations: never negative on the monotonic clock, saturating on the wall clock")
    func differences() {
        let early = MonotonicTime(nanoseconds: 100)
        let late = MonotonicTime(nanoseconds: 350)
        #expect(late.duration(since: early) == .nanoseconds(250))
        #expect(early.duration(since: late) == .zero)
        #expect(WallTime(seconds: 1).duration(since: WallTime(seconds: 3)) == .seconds(-2))
        #expect(WallTime(nanoseconds: .max).duration(since: WallTime(nanoseconds: -2)) == .nanoseconds(Int64.max))
    }
}
