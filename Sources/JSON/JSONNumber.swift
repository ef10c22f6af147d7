/// A number as JSON writes it, exact: digits × 10^exponent, of any length.
package struct JSONNumber {
    package private(set) var isNegative = false
    /// The significant digits, as many as fit.
    private var digits: UInt64 = 0
    private var exponent = 0
    /// A digit other than zero did not fit into `digits`.
    private var isCut = false
    /// Once a digit did not fit, none behind it may.
    private var isFull = false
    /// What is written behind the e.
    private var writtenExponent = 0
    private let text: UnsafeRawBufferPointer
    /// Behind the number.
    package private(set) var end: Int
    private let start: Int

    /// Longer exponents change nothing: a body has fewer digits to make up for them.
    private static let maxExponent = 1 << 40

    /// nil where no number starts.
    @inline(__always)
    package init?(_ text: UnsafeRawBufferPointer, from start: Int) {
        self.text = text
        self.start = start
        end = start
        if take(UInt8(ascii: "-")) { isNegative = true }
        let first = end
        takeDigits(power: 0)
        guard end > first, text[first] != UInt8(ascii: "0") || end == first + 1 else { return nil }
        if end < text.count, text[end] == UInt8(ascii: ".") || text[end] | 0x20 == UInt8(ascii: "e") {
            guard takeFractionAndExponent() else { return nil }
        }
    }

    @inline(__always)
    private mutating func take(_ byte: UInt8) -> Bool {
        guard end < text.count, text[end] == byte else { return false }
        end += 1
        return true
    }

    /// `power`: 0 in front of the point, -1 behind it.
    @inline(__always)
    private mutating func takeDigits(power: Int) {
        while end < text.count {
            let digit = text[end] &- UInt8(ascii: "0")
            if digit > 9 { return }
            end += 1
            let (tenfold, isOver) = digits.multipliedReportingOverflow(by: 10)
            let (sum, isOverToo) = tenfold.addingReportingOverflow(UInt64(digit))
            if isOver || isOverToo || isFull {
                isFull = true
                if digit != 0 { isCut = true }
                exponent += power + 1
            } else {
                digits = sum
                exponent += power
            }
        }
    }

    private mutating func takeFractionAndExponent() -> Bool {
        if take(UInt8(ascii: ".")) {
            let first = end
            takeDigits(power: -1)
            if end == first { return false }
        }
        guard take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) else { return true }
        let isNegative = take(UInt8(ascii: "-"))
        if !isNegative { _ = take(UInt8(ascii: "+")) }
        let first = end
        var power = 0
        while end < text.count, text[end] &- UInt8(ascii: "0") <= 9 {
            power = min(power * 10 + Int(text[end] &- UInt8(ascii: "0")), Self.maxExponent)
            end += 1
        }
        writtenExponent = isNegative ? -power : power
        exponent += writtenExponent
        return end > first
    }

    // MARK: As an integer

    /// The number without its sign, if it is whole and fits: `1.0`, `100e-2` and `1E3` are whole.
    @inline(__always)
    package var magnitude: UInt64? {
        if exponent == 0 { return isCut ? nil : digits }
        return scaledMagnitude
    }

    @inline(never)
    private var scaledMagnitude: UInt64? {
        // With a digit cut off, the number is over 2^64 or not whole.
        if isCut { return nil }
        if digits == 0 { return 0 }
        var (value, power) = (digits, exponent)
        while power < 0 {
            guard value % 10 == 0 else { return nil }
            value /= 10
            power += 1
        }
        while power > 0 {
            let (tenfold, isOver) = value.multipliedReportingOverflow(by: 10)
            if isOver { return nil }
            value = tenfold
            power -= 1
        }
        return value
    }

    package func unsigned(max: UInt64) -> UInt64? {
        guard let magnitude, magnitude <= max, !isNegative || magnitude == 0 else { return nil }
        return magnitude
    }

    package func signed(bits: UInt64) -> Int64? {
        guard let magnitude else { return nil }
        let limit = UInt64(1) << (bits - 1)
        guard magnitude < limit || (isNegative && magnitude == limit) else { return nil }
        return isNegative ? Int64(truncatingIfNeeded: 0 &- magnitude) : Int64(magnitude)
    }

    // MARK: As a double

    private static let exactPowers: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20,
        1e21, 1e22,
    ]
    /// No double and no middle between two has more digits than 768.
    private static let maxDigits = 800

    /// The nearest double; nil beyond the largest.
    package var double: Double? {
        // Both are exact then, so the one operation rounds correctly (W. D. Clinger, 1990).
        if !isCut, digits <= 1 << 53, exponent.magnitude < Self.exactPowers.count {
            let power = Self.exactPowers[Int(exponent.magnitude)]
            let value = exponent < 0 ? Double(digits) / power : Double(digits) * power
            return isNegative ? -value : value
        }
        if digits == 0 { return isNegative ? -0.0 : 0 }
        guard let value = Double(canonical), value.isFinite else { return nil }
        return value
    }

    /// The same number for the standard library. Of one that goes on and on, the digits beyond those that matter are cut
    /// off, and a 1 stands for them.
    private var canonical: String {
        if end - start <= Self.maxDigits {
            return String(decoding: UnsafeRawBufferPointer(rebasing: text[start..<end]), as: UTF8.self)
        }
        var result = isNegative ? "-" : ""
        var (kept, places, isBehindPoint, isCut) = (0, 0, false, false)
        for byte in text[start..<end] {
            if byte == UInt8(ascii: ".") { isBehindPoint = true }
            if byte | 0x20 == UInt8(ascii: "e") { break }
            let digit = byte &- UInt8(ascii: "0")
            if digit > 9 { continue }
            if isBehindPoint { places -= 1 }
            if kept == Self.maxDigits {
                places += 1
                if digit != 0 { isCut = true }
            } else if kept > 0 || digit != 0 {
                result.unicodeScalars.append(Unicode.Scalar(byte))
                kept += 1
            }
        }
        if isCut {
            places -= 1
            result += "1"
        }
        return "\(result)e\(places + writtenExponent)"
    }
}
