/// Hexadecimal digits.
public enum Hex {
    /// The last `digits` digits of a number, zeros in front included.
    public static func text(_ value: UInt64, digits: Int, uppercase: Bool = false) -> String {
        let text = String(value, radix: 16, uppercase: uppercase)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text.suffix(digits)
    }

    /// The value of a digit of either case; nil for any other byte.
    @inlinable @inline(__always)
    public static func value(ofDigit byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The number that at most 16 digits write, 0 for none; nil where a byte is no digit, or there are more.
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
