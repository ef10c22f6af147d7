import Glibc
package import Model

/// Writes times of day.
package enum TopClock {
    /// Returns `14:02:11` in UTC.
    package static func utc(_ time: WallTime) -> String {
        let second = time.wholeSeconds % 86_400
        return text(hours: second / 3600, minutes: second / 60 % 60, seconds: second % 60)
    }

    /// Returns `14:02:11` in the time zone of the environment.
    package static func local(_ time: WallTime) -> String {
        var seconds = time_t(time.wholeSeconds)
        var parts = tm()
        guard localtime_r(&seconds, &parts) != nil else { return utc(time) }
        return text(hours: Int64(parts.tm_hour), minutes: Int64(parts.tm_min), seconds: Int64(parts.tm_sec))
    }

    private static func text(hours: Int64, minutes: Int64, seconds: Int64) -> String {
        [hours, minutes, seconds].map { $0 < 10 ? "0\($0)" : String($0) }.joined(separator: ":")
    }
}
