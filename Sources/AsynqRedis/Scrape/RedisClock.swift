import Model

/// Redis' own clock, next to the one of this machine.
///
/// Each time that a worker or client leaves in Redis is compared with Redis' clock. It is the one clock that all of
/// them share with the collector, and a collector whose clock is wrong must not take live servers for dead ones.
struct RedisClock {
    /// The largest offset that is corrected. A larger one is not drift: one of the clocks is wrong altogether.
    static let largestCorrection = Duration.seconds(86_400)
    /// The range of Redis' time: up to the year 2255, as all times of Asynq.
    private static let plausibleMicroseconds: Range<Int64> = 0..<9_000_000_000_000_000
    /// The offset above which the log says so: times in Redis are whole seconds, and waits tolerate a second of
    /// skew.
    static let tolerated = Duration.seconds(2)

    /// Redis' clock minus the collector's, in whole microseconds; nil until Redis has told it.
    private(set) var offset: Duration?
    /// The command that has told the time: only that is asked the next time. With nil both are asked.
    var source: Source?

    enum Source {
        case time
        /// The field `server_time_usec` of `INFO server`, where an ACL forbids `TIME`.
        case info
    }

    /// Records the time that Redis told between two readings of the collector's clock. The offset stays as it was where it fits:
    /// else a slow round trip would move all times by half of its length. A time out of range is ignored.
    mutating func record(microseconds: Int64, sent: WallTime, received: WallTime) {
        guard Self.plausibleMicroseconds.contains(microseconds) else { return }
        let least = microseconds - received.wholeMicroseconds
        let most = microseconds - sent.wholeMicroseconds
        let known = (offset ?? .zero).wholeNanoseconds / 1000
        if least <= known && known <= most {
            offset = .microseconds(known)
        } else {
            offset = .microseconds(least + (most - least) / 2)
        }
    }

    /// The duration to add to the collector's clock.
    var correction: Duration {
        guard let offset, abs(offset) <= Self.largestCorrection else { return .zero }
        return offset
    }

    /// True if the two clocks differ by more than is tolerated.
    var isOff: Bool { abs(offset ?? .zero) > Self.tolerated }

    private func abs(_ duration: Duration) -> Duration { duration < .zero ? .zero - duration : duration }
}

extension WallTime {
    fileprivate var wholeMicroseconds: Int64 {
        let quotient = nanoseconds / 1000
        return nanoseconds % 1000 < 0 ? quotient - 1 : quotient
    }
}
