import Model
import Testing

@testable import MetricsPush

@Suite("When metrics are pushed")
struct PushScheduleTests {
    private static let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

    private func at(_ seconds: Int64) -> MonotonicTime { Self.start.advanced(by: .seconds(seconds)) }

    @Test("The first push comes after five seconds or an interval, the others one interval after the other")
    func regular() {
        var schedule = PushSchedule(interval: .seconds(30), start: Self.start)
        #expect(schedule.next == at(5))
        schedule.advance(at: at(6))
        #expect(schedule.next == at(35))
        #expect(PushSchedule(interval: .seconds(1), start: Self.start).next == at(1))
    }

    @Test("A push that took longer than the interval is followed by one, not by all that were missed")
    func slow() {
        var schedule = PushSchedule(interval: .seconds(5), start: Self.start)
        schedule.advance(at: at(23))
        #expect(schedule.next == at(23))
        schedule.advance(at: at(24))
        #expect(schedule.next == at(28))
    }

    @Test("Retry-After is heeded, also by the last push")
    func retryAfter() {
        var schedule = PushSchedule(interval: .seconds(5), start: Self.start)
        schedule.pause(.seconds(60), at: at(5))
        schedule.advance(at: at(5))
        #expect(schedule.next == at(65))
        #expect(schedule.last(at: at(10), deadline: at(15)) == nil)
        #expect(schedule.last(at: at(64), deadline: at(69)) == at(65))
        #expect(schedule.last(at: at(70), deadline: at(75)) == at(70))
        schedule.pause(PushFailure(kind: .passing, reason: "429", retryAfterSeconds: .max).pause, at: at(70))
        schedule.pause(.zero, at: at(71))
        schedule.advance(at: at(71))
        #expect(schedule.next == at(70 + 3600))
    }
}
