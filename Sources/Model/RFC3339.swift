/// RFC 3339 date-times: `2026-11-20T18:04:41.065251733Z`, `…+01:00`, with `t`, `z` or a blank as well.
package enum RFC3339 {
    package static func parse(_ text: [UInt8]) -> WallTime? {
        var cursor = Cursor(text: text)
        guard let year = cursor.digits(4), cursor.skip("-"), let month = cursor.digits(2), cursor.skip("-"),
            let day = cursor.digits(2), cursor.skip("Tt "), let hour = cursor.digits(2), cursor.skip(":"),
            let minute = cursor.digits(2), cursor.skip(":"), let second = cursor.digits(2)
        else { return nil }
        guard (1...12).contains(month), (1...daysIn(month, year)).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        var nanoseconds: Int64 = 0
        if cursor.skip(".") || cursor.skip(",") {
            guard let fraction = cursor.fraction() else { return nil }
            nanoseconds = fraction
        }
        guard let offset = cursor.offset(), cursor.isAtEnd else { return nil }
        let days = daysSinceEpoch(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? nil : WallTime(nanoseconds: scaled &+ nanoseconds)
    }

    private struct Cursor {
        let text: [UInt8]
        var position = 0

        var isAtEnd: Bool { position == text.count }

        mutating func digits(_ count: Int) -> Int64? {
            guard position + count <= text.count else { return nil }
            var value: Int64 = 0
            for byte in text[position..<position + count] {
                guard byte >= 48, byte <= 57 else { return nil }
                value = value * 10 + Int64(byte - 48)
            }
            position += count
            return value
        }

        mutating func skip(_ allowed: StaticString) -> Bool {
            guard position < text.count else { return false }
            let isAllowed = allowed.withUTF8Buffer { $0.contains(text[position]) }
            if isAllowed { position += 1 }
            return isAllowed
        }

        /// Reads the fraction of a second, which has at least one digit. Digits beyond nanoseconds are cut off.
        mutating func fraction() -> Int64? {
            var value: Int64 = 0
            var count = 0
            while position < text.count, text[position] >= 48, text[position] <= 57 {
                if count < 9 { value = value * 10 + Int64(text[position] - 48) }
                count += 1
                position += 1
            }
            if count == 0 { return nil }
            for _ in min(count, 9)..<9 { value *= 10 }
            return value
        }

        /// Reads the offset from UTC, in seconds east of it.
        mutating func offset() -> Int64? {
            if skip("Zz") { return 0 }
            let sign: Int64
            if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
            guard let hours = digits(2), skip(":"), let minutes = digits(2), hours < 24, minutes < 60 else {
                return nil
            }
            return sign * (hours * 3600 + minutes * 60)
        }
    }

    private static func daysIn(_ month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// Returns the days from 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the
    /// leap day is the last one.
    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let marchYear = month <= 2 ? year - 1 : year
        let marchMonth = (month + 9) % 12
        let leapDays = marchYear / 4 - marchYear / 100 + marchYear / 400
        return marchYear * 365 + leapDays + (marchMonth * 306 + 5) / 10 + day - 1 - 719_468
    }
}
