/// The shortest decimal that reads back as a number, and of several such the nearest to it: `digits` / 10^`fraction`.
///
/// Decimals that read back as the number lie less than half a step of doubles from it. Scaled by a power of ten that
/// gives the number 17 or 18 digits, all of this is whole numbers of at most 105 bits:
///
/// ```
/// value · 10^k = 2m · 5^k / 2^s           m the significand, of 53 bits; 5^k less than 2^49
/// its limits     (2m ± 1) · 5^k / 2^s     no whole numbers, for what is above the line is odd
/// ```
/// Whole numbers between the limits are the candidates; those with the most zeros at their end are the shortest. There
/// are some, because a step of doubles is more than one at 17 digits.
struct ShortestDecimal {
    private(set) var digits: UInt64
    private(set) var fraction: Int

    /// Finds the decimal. Returns nil for rare numbers that are not worth the trouble: wholes, powers of two (whose
    /// steps differ on both sides), numbers that are written with an exponent, and those in the middle of two
    /// candidates.
    @inline(__always)
    init?(_ value: Double) {
        let significand = value.significandBitPattern
        guard value >= 1e-4, value < 1e15, significand != 0 else { return nil }
        let exponent = Int(value.exponent)
        // This is 16 less the floor of log10(2^exponent).
        let k = 16 - (exponent * 78_913) >> 18
        let s = UInt128(truncatingIfNeeded: 53 - exponent - k)
        let power = UInt128(Self.powersOfFive[k])
        let middle = UInt128((significand | 1 << 52) << 1) * power
        var lowest = UInt64(truncatingIfNeeded: (middle - power) &>> s) + 1
        var highest = UInt64(truncatingIfNeeded: (middle + power) &>> s)
        // Last digits are removed as long as one candidate is left.
        var step: UInt64 = 1
        fraction = k
        while (lowest + 9) / 10 <= highest / 10 {
            lowest = (lowest + 9) / 10
            highest /= 10
            step *= 10
            fraction -= 1
        }
        guard fraction > 0 else { return nil }
        // The candidate nearest to the middle is taken.
        digits = lowest
        if lowest != highest {
            let whole = UInt64(truncatingIfNeeded: middle &>> s)
            let below = whole / step
            let rest = middle - UInt128(below * step) &<< s
            let half = UInt128(step) &<< (s - 1)
            if rest == half { return nil }
            digits = rest < half ? below : below + 1
        }
    }

    /// The digits in front of the point. With 19 digits behind it and more the number is below 1.
    @inline(__always)
    var whole: UInt64 { fraction < 19 ? digits / Self.powersOfTen[fraction] : 0 }

    private static let powersOfTen: [UInt64] = (0..<19).map { (0..<$0).reduce(1) { power, _ in power * 10 } }
    /// The powers of five below 2^49; 5^21 is the last.
    private static let powersOfFive: [UInt64] = (0...21).map { (0..<$0).reduce(1) { power, _ in power * 5 } }
}
