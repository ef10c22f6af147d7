/// A moment on the wall clock: nanoseconds since 1970-01-01T00:00:00Z. It is for stamps that others read or wrote,
/// never for measuring how long something took.
package struct WallTime: Hashable, Sendable, Comparable {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// Makes a time of nanoseconds as OTLP has them.
    package init(clampedNanoseconds nanoseconds: UInt64) {
        self.nanoseconds = Int64(clamping: nanoseconds)
    }

    /// Makes a time of whole seconds since the epoch, as Asynq stores most of its times. Saturates on numbers from
    /// outside.
    package init(seconds: Int64) {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        self.nanoseconds = overflow ? (seconds < 0 ? .min : .max) : product
    }

    /// The whole seconds since the epoch, rounded towards minus infinity as Go's `time.Time.Unix()` does.
    package var wholeSeconds: Int64 {
        let quotient = nanoseconds / 1_000_000_000
        return nanoseconds % 1_000_000_000 < 0 ? quotient - 1 : quotient
    }

    /// Seconds since the epoch; exact to about 0.2 µs in this century.
    package var seconds: Double { Double(nanoseconds) / 1e9 }

    package static func < (left: WallTime, right: WallTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Returns the nanoseconds from `earlier` to this moment; saturates instead of overflowing on stamps from outside.
    package func nanoseconds(since earlier: WallTime) -> Int64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return overflow ? (nanoseconds < 0 ? .min : .max) : difference
    }
}

/// A moment on the monotonic clock of this machine: nanoseconds since an arbitrary origin. It is for waiting and
/// measuring.
package struct MonotonicTime: Hashable, Sendable, Comparable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    package func advanced(byNanoseconds delta: UInt64) -> MonotonicTime {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
        return MonotonicTime(nanoseconds: overflow ? .max : sum)
    }

    /// Returns the nanoseconds from `earlier` to this moment; zero when `earlier` is not earlier.
    package func nanoseconds(since earlier: MonotonicTime) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }

    package func seconds(since earlier: MonotonicTime) -> Double {
        Double(nanoseconds(since: earlier)) / 1e9
    }
}
