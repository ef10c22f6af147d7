/// Hexadecimal digits.
public enum Hex {
    /// Returns the last `digits` digits of a number, zeros in front included.
    public static func text(_ value: UInt64, digits: Int, uppercase: Bool = false) -> String {
        let text = String(value, radix: 16, uppercase: uppercase)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text.suffix(digits)
    }

    /// Returns the value of a digit of either case, or nil for any other byte.
    @inlinable @inline(__always)
    public static func value(ofDigit byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Returns the number that at most 16 digits write, 0 for an empty range. Returns nil for a longer one, and for a
    /// byte that is not a digit.
    @inlinable @inline(__always)
    public static func value(_ digits: some Collection<UInt8>) -> UInt64? {
        if digits.count > 16 { return nil }
        var value: UInt64 = 0
        for byte in digits {
            guard let digit = Self.value(ofDigit: byte) else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
