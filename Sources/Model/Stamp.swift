/// Reads a moment from any form that a worker's stamp has: RFC 3339 text, or Unix time as integer, double or text.
/// Seconds, milliseconds, microseconds and nanoseconds are told apart by size.
package enum Stamp {
    /// Returns the moment, or nil for a value outside the years 2000 to 2200.
    package static func parse(_ value: AttributeValue, in body: UnsafeRawBufferPointer) -> WallTime? {
        switch value {
        case .integer(let number): fromNumber(Double(number), exact: number)
        case .double(let number): fromNumber(number, exact: nil)
        case .string(let range): parse(text: range.bytes(in: body))
        case .absent, .boolean, .other: nil
        }
    }

    /// Returns the moment of a number, whose size tells its unit: this century's seconds have 9 to 10 digits,
    /// milliseconds 12 to 13, microseconds 15 to 16, nanoseconds 18 to 19.
    private static func fromNumber(_ number: Double, exact: Int64?) -> WallTime? {
        guard number.isFinite, number > 0 else { return nil }
        let nanosecondsPerUnit: Double
        switch number {
        case ..<1e11: nanosecondsPerUnit = 1e9
        case ..<1e14: nanosecondsPerUnit = 1e6
        case ..<1e17: nanosecondsPerUnit = 1e3
        case ..<9.2e18: nanosecondsPerUnit = 1
        default: return nil
        }
        let time: WallTime
        if let exact {
            let (nanoseconds, overflow) = exact.multipliedReportingOverflow(by: Int64(nanosecondsPerUnit))
            if overflow { return nil }
            time = WallTime(nanoseconds: nanoseconds)
        } else {
            let nanoseconds = number * nanosecondsPerUnit
            guard nanoseconds < 9.2e18 else { return nil }
            time = WallTime(nanoseconds: Int64(nanoseconds))
        }
        return plausible.contains(time.wholeSeconds) ? time : nil
    }

    /// The Unix seconds of 2000-01-01 up to 2200-01-01.
    private static let plausible: Range<Int64> = 946_684_800..<7_258_118_400

    /// Reads the usual form without a `String`. Returns nil for anything but 1 to 18 digits.
    private static func number(digits: UnsafeRawBufferPointer) -> Int64? {
        guard (1...18).contains(digits.count) else { return nil }
        var number: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            number = number * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        return number
    }

    /// Returns true if two stamps may be of one enqueueing. Senders and messages may keep them to the second or the
    /// millisecond.
    package static func agree(_ one: WallTime, _ other: WallTime) -> Bool {
        let second: Int64 = 1_000_000_000
        let isWhole = one.nanoseconds % second == 0 || other.nanoseconds % second == 0
        return one.nanoseconds(since: other).magnitude < (isWhole ? 1_000_000_000 : 1_000_000)
    }

    /// Reads a number, or RFC 3339. Returns nil for a text outside the years 2000 to 2200.
    package static func parse(text: UnsafeRawBufferPointer) -> WallTime? {
        guard text.count <= 64 else { return nil }
        if let digits = number(digits: text) { return fromNumber(Double(digits), exact: digits) }
        let string = String(decoding: text, as: UTF8.self)
        if let integer = Int64(string) { return fromNumber(Double(integer), exact: integer) }
        if let double = Double(string) { return fromNumber(double, exact: nil) }
        guard let time = RFC3339.parse(Array(text)), plausible.contains(time.wholeSeconds) else { return nil }
        return time
    }
}
