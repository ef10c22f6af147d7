import Glibc
package import Model

extension WallTime {
    /// The time as RFC 3339 in UTC with milliseconds: `2026-11-21T12:53:51.042Z`.
    package var rfc3339: String {
        var seconds = time_t(wholeSeconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let rest = nanoseconds % 1_000_000_000
        let milliseconds = (rest < 0 ? rest + 1_000_000_000 : rest) / 1_000_000
        func padded(_ number: some BinaryInteger, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))T"
            + "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2)).\(padded(milliseconds, 3))Z"
    }
}
