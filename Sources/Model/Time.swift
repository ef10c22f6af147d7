/// A moment on the wall clock: nanoseconds since 1970-01-01T00:00:00Z. It is for stamps that others read or wrote,
/// never for measuring how long something took.
public struct WallTime: Hashable, Sendable, Comparable {
    public let nanoseconds: Int64

    @inlinable
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// Makes a time of nanoseconds as OTLP has them.
    @inlinable
    public init(clampedNanoseconds nanoseconds: UInt64) {
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
    @inlinable
    public var seconds: Double { Double(nanoseconds) / 1e9 }

    @inlinable
    public static func < (left: WallTime, right: WallTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Returns the nanoseconds from `earlier` to this moment; saturates instead of overflowing on stamps from outside.
    @inlinable
    public func nanoseconds(since earlier: WallTime) -> Int64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return overflow ? (nanoseconds < 0 ? .min : .max) : difference
    }
}

/// A moment on the monotonic clock of this machine: nanoseconds since an arbitrary origin. It is for waiting and
/// measuring.
public struct MonotonicTime: Hashable, Sendable, Comparable {
    public let nanoseconds: UInt64

    @inlinable
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    @inlinable
    public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    @inlinable
    public func advanced(byNanoseconds delta: UInt64) -> MonotonicTime {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
        return MonotonicTime(nanoseconds: overflow ? .max : sum)
    }

    /// Returns the nanoseconds from `earlier` to this moment; zero when `earlier` is not earlier.
    @inlinable
    public func nanoseconds(since earlier: MonotonicTime) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }

    @inlinable
    public func seconds(since earlier: MonotonicTime) -> Double {
        Double(nanoseconds(since: earlier)) / 1e9
    }
}
