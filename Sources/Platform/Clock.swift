import Glibc
package import Model

/// Both clocks of a machine. They are injected wherever time matters, so that tests choose it.
package struct Clock: Sendable {
    package let wall: @Sendable () -> WallTime
    package let monotonic: @Sendable () -> MonotonicTime

    package init(
        wall: @escaping @Sendable () -> WallTime, monotonic: @escaping @Sendable () -> MonotonicTime
    ) {
        self.wall = wall
        self.monotonic = monotonic
    }

    /// The clocks CLOCK_REALTIME and CLOCK_MONOTONIC of the C library. The former stands still from the year 2262 on,
    /// where 64 bits of nanoseconds end.
    package static let system = Clock(
        wall: {
            let time = read(CLOCK_REALTIME)
            return WallTime(seconds: Int64(time.tv_sec)).advanced(by: .nanoseconds(Int64(time.tv_nsec)))
        },
        monotonic: {
            let time = read(CLOCK_MONOTONIC)
            return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
        })

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        clock_gettime(clock, &time)
        return time
    }
}

extension MonotonicTime {
    /// Returns the whole milliseconds from `now` until this moment, rounded up, for `poll` and its kin; 0 when it has
    /// passed.
    package func milliseconds(from now: MonotonicTime) -> Int32 {
        let (whole, rest) = nanoseconds(since: now).quotientAndRemainder(dividingBy: 1_000_000)
        return Int32(clamping: rest == 0 ? whole : whole + 1)
    }
}
