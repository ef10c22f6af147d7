extension Duration {
    /// The duration in whole nanoseconds, rounded towards zero. A duration beyond 292 years is the nearest number there
    /// is.
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carry ? (seconds < 0 ? .min : .max) : sum
    }

    /// The duration as a number of seconds, for figures that people and Prometheus read.
    package var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}

extension MonotonicTime {
    /// Returns the moment that lies `duration` later; earlier for a negative one. Saturates at both ends of the clock.
    package func advanced(by duration: Duration) -> MonotonicTime {
        let delta = duration.wholeNanoseconds
        if delta >= 0 { return advanced(byNanoseconds: UInt64(delta)) }
        let back = delta.magnitude
        return MonotonicTime(nanoseconds: nanoseconds > back ? nanoseconds - back : 0)
    }

    /// Returns the time from `earlier` to this moment; zero when `earlier` is not earlier.
    package func duration(since earlier: MonotonicTime) -> Duration {
        .nanoseconds(Int64(clamping: nanoseconds(since: earlier)))
    }
}

extension WallTime {
    /// Returns the time from `earlier` to this moment, negative when `earlier` is later. Saturates on stamps from outside.
    package func duration(since earlier: WallTime) -> Duration {
        .nanoseconds(nanoseconds(since: earlier))
    }

    /// Returns the moment that lies `duration` later; earlier for a negative one. Saturates at both ends of the clock.
    package func advanced(by duration: Duration) -> WallTime {
        let delta = duration.wholeNanoseconds
        let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
        return WallTime(nanoseconds: overflow ? (delta < 0 ? .min : .max) : sum)
    }
}
