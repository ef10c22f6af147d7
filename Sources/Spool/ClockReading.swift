import Model
import Platform

/// Both clocks, read together, so that an age does not change when the wall clock is set.
struct ClockReading {
    /// The least difference that is a step of the clock. A smaller one is the time between two readings.
    private static let stepNanoseconds: UInt64 = 5_000_000_000

    let wall: WallTime
    let monotonic: MonotonicTime

    init(_ clock: Clock) {
        var reading = (before: clock.monotonic(), wall: clock.wall(), after: clock.monotonic())
        // The thread was stopped between the readings.
        for _ in 0..<3 where reading.after.duration(since: reading.before) > .seconds(1) {
            reading = (clock.monotonic(), clock.wall(), clock.monotonic())
        }
        (wall, monotonic) = (reading.wall, reading.after)
    }

    /// The wall clock minus the monotonic one, in nanoseconds. It stays the same until the wall clock is set.
    var offset: Int64 { wall.nanoseconds(since: WallTime(clampedNanoseconds: monotonic.nanoseconds)) }

    /// Returns by how much the wall clock was set since it had this offset.
    func step(since offset: Int64) -> Duration {
        .nanoseconds(WallTime(nanoseconds: self.offset).nanoseconds(since: WallTime(nanoseconds: offset)))
    }

    func hasStepped(from offset: Int64) -> Bool {
        step(since: offset).wholeNanoseconds.magnitude > Self.stepNanoseconds
    }

    /// Returns the time that the wall clock would show now, had it not been set since it had this offset; the time that
    /// it shows where the offset is nil.
    func wall(byOffset offset: Int64?) -> WallTime {
        guard let offset else { return wall }
        return WallTime(clampedNanoseconds: monotonic.nanoseconds).advanced(by: .nanoseconds(offset))
    }
}
