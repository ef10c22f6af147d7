/// A number as JSON writes it (RFC 8259, 6), exact, of any length.
package struct JSONNumber {
    package let isNegative: Bool
    /// The place of the first byte behind the number.
    package let end: Int
    private let text: UnsafeRawBufferPointer
    private let start: Int
    /// The digits in front of the point, and those behind it.
    private let whole: Range<Int>
    private let fraction: Range<Int>
    /// The number that is written behind the `e`.
    private let exponent: Int

    /// The bound of exponents. Longer ones change nothing: a body has fewer digits to make up for them.
    private static let maxExponent = 1 << 40

    /// Reads a number; returns nil where none starts.
    package init?(_ text: UnsafeRawBufferPointer, from start: Int) {
        var cursor = Cursor(text: text, position: start)
        isNegative = cursor.take(UInt8(ascii: "-"))
        whole = cursor.takeDigits()
        guard !whole.isEmpty, whole.count == 1 || text[whole.lowerBound] != UInt8(ascii: "0") else { return nil }
        if cursor.take(UInt8(ascii: ".")) {
            fraction = cursor.takeDigits()
            if fraction.isEmpty { return nil }
        } else {
            fraction = cursor.position..<cursor.position
        }
        var exponent = 0
        if cursor.take(UInt8(ascii: "e")) || cursor.take(UInt8(ascii: "E")) {
            let isNegative = cursor.take(UInt8(ascii: "-"))
            if !isNegative { _ = cursor.take(UInt8(ascii: "+")) }
            let digits = cursor.takeDigits()
            if digits.isEmpty { return nil }
            for byte in text[digits] { exponent = min(exponent * 10 + Int(byte - UInt8(ascii: "0")), Self.maxExponent) }
            if isNegative { exponent = -exponent }
        }
        self.text = text
        self.start = start
        self.exponent = exponent
        end = cursor.position
    }

    private struct Cursor {
        let text: UnsafeRawBufferPointer
        var position: Int

        mutating func take(_ byte: UInt8) -> Bool {
            guard position < text.count, text[position] == byte else { return false }
            position += 1
            return true
        }

        mutating func takeDigits() -> Range<Int> {
            let first = position
            while position < text.count, text[position] &- UInt8(ascii: "0") <= 9 { position += 1 }
            return first..<position
        }
    }

    // MARK: As an integer

    /// The number without its sign, if it is whole and fits: `1.0`, `100e-2` and `1E3` are whole.
    package var magnitude: UInt64? {
        if fraction.isEmpty && exponent == 0 { return Self.integer(text[whole]) }
        var digits = Array(text[whole]) + Array(text[fraction])
        var power = exponent - fraction.count
        while digits.last == UInt8(ascii: "0") {
            digits.removeLast()
            power += 1
        }
        if digits.isEmpty { return 0 }
        // 2^64 has 20 digits.
        guard (0...20).contains(power) else { return nil }
        return Self.integer(digits + repeatElement(UInt8(ascii: "0"), count: power))
    }

    private static func integer(_ digits: some Sequence<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            let (tenfold, isOver) = value.multipliedReportingOverflow(by: 10)
            let (sum, isOverToo) = tenfold.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            if isOver || isOverToo { return nil }
            value = sum
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

    /// The nearest double, or nil beyond the largest.
    package var double: Double? {
        let number = String(decoding: UnsafeRawBufferPointer(rebasing: text[start..<end]), as: UTF8.self)
        guard let value = Double(number), value.isFinite else { return nil }
        return value
    }
}
