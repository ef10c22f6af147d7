package import Model
package import Platform
import Synchronization

/// A wall clock and a monotonic clock that stand still until a test moves them.
package final class TestClock: Sendable {
    private struct Times {
        var wall: WallTime
        /// It begins where the machine's clock is, so that deadlines of the machine's clock lie ahead.
        var monotonic = Clock.system.monotonic()
        var readingsLeft = Int.max
    }

    private let times: Mutex<Times>

    package init(_ wall: WallTime = WallTime(seconds: 1_800_000_000)) {
        times = Mutex(Times(wall: wall))
    }

    package var now: WallTime { times.withLock { $0.wall } }

    /// Moves both clocks.
    package func advance(milliseconds: Int64) {
        times.withLock { times in
            times.wall = WallTime(nanoseconds: times.wall.nanoseconds + milliseconds * 1_000_000)
            times.monotonic = times.monotonic.advanced(byNanoseconds: UInt64(milliseconds) * 1_000_000)
        }
    }

    package func advance(seconds: Int64) {
        advance(milliseconds: seconds * 1000)
    }

    /// Sets the wall clock alone, forward or back.
    package func set(_ wall: WallTime) {
        times.withLock { $0.wall = wall }
    }

    /// Lets the monotonic clock jump past every deadline after so many readings.
    package func expireDeadlines(afterReadings count: Int) {
        times.withLock { $0.readingsLeft = count }
    }

    package var clock: Clock {
        Clock(
            wall: { self.now },
            monotonic: {
                self.times.withLock { times in
                    times.readingsLeft -= 1
                    return times.readingsLeft < 0 ? MonotonicTime(nanoseconds: .max) : times.monotonic
                }
            })
    }
}
