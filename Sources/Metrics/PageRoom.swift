/// Room on a page that suffices, as whoever asked for it knows: nothing is checked here, so that a byte costs a store.
struct PageRoom {
    private(set) var next: UnsafeMutableRawPointer

    @inline(__always)
    init(_ start: UnsafeMutableRawPointer) { next = start }

    @inline(__always)
    mutating func skip(_ size: Int) { next += size }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        next.storeBytes(of: byte, as: UInt8.self)
        next += 1
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        next.copyMemory(from: source, byteCount: bytes.count)
        next += bytes.count
    }

    @inline(__always)
    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    // MARK: Text

    static let maxIntegerBytes = 20

    @inline(__always)
    mutating func append(integer: UInt64) {
        if integer < 10 { return append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: integer)) }
        append(integer: integer, digits: Self.digitCount(integer))
    }

    /// So many digits, leading zeros included.
    mutating func append(integer: UInt64, digits: Int) {
        var rest = integer
        var left = digits
        while left >= 2 {
            left -= 2
            let pair = Int(truncatingIfNeeded: rest % 100) * 2
            rest /= 100
            next.storeBytes(
                of: UnsafeRawPointer(Self.pairs.utf8Start).loadUnaligned(fromByteOffset: pair, as: UInt16.self),
                toByteOffset: left, as: UInt16.self)
        }
        if left == 1 { next.storeBytes(of: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10), as: UInt8.self) }
        next += digits
    }

    private static func digitCount(_ integer: UInt64) -> Int {
        var count = 1
        var bound: UInt64 = 10
        while integer >= bound && count < 19 {
            count += 1
            bound *= 10
        }
        return integer >= bound ? 20 : count
    }

    private static let pairs: StaticString = """
        0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
        """

    /// As long as the longest double, and more than a whole number takes.
    static let maxNumberBytes = 25

    /// The shortest text that reads back as the same number; whole numbers without a fraction.
    mutating func append(_ value: Double) {
        if let whole = NumberText.wholeNumber(value) {
            if value < 0 { append(UInt8(ascii: "-")) }
            append(integer: whole)
        } else if let decimal = ShortestDecimal(abs(value)) {
            if value < 0 { append(UInt8(ascii: "-")) }
            append(decimal)
        } else {
            append(NumberText.plain(value))
        }
    }

    private mutating func append(_ decimal: ShortestDecimal) {
        var fraction = decimal.digits
        var whole: UInt64 = 0
        // With more digits than these behind the point the number is below 1.
        if decimal.fraction < 19 {
            let unit = Self.powersOfTen[decimal.fraction]
            (whole, fraction) = decimal.digits.quotientAndRemainder(dividingBy: unit)
        }
        append(integer: whole)
        append(UInt8(ascii: "."))
        append(integer: fraction, digits: decimal.fraction)
    }

    private static let powersOfTen: [UInt64] = (0..<19).map { (0..<$0).reduce(1) { power, _ in power * 10 } }

    /// 16 lower-case hex digits.
    mutating func append(hex value: UInt64) {
        append(hex: UInt32(truncatingIfNeeded: value >> 32))
        append(hex: UInt32(truncatingIfNeeded: value))
    }

    /// 8 of them: each of the value's half bytes into a byte of its own, then all of them into letters at once.
    @inline(__always)
    private mutating func append(hex value: UInt32) {
        var halves = UInt64(value)
        halves = (halves | halves << 16) & 0x0000_FFFF_0000_FFFF
        halves = (halves | halves << 8) & 0x00FF_00FF_00FF_00FF
        halves = (halves | halves << 4) & 0x0F0F_0F0F_0F0F_0F0F
        // 1 in each byte that is above 9.
        let letters = (halves + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        let digits = halves + 0x3030_3030_3030_3030 + letters * UInt64(UInt8(ascii: "a") - 10 - UInt8(ascii: "0"))
        next.storeBytes(of: digits.bigEndian, as: UInt64.self)
        next += 8
    }

    // MARK: Protobuf

    @inline(__always)
    mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    mutating func append(fixed64 value: UInt64) {
        next.storeBytes(of: value.littleEndian, as: UInt64.self)
        next += 8
    }

    /// What `write` appends, preceded by its length as a varint. `guess` is about how long it will be: wrong by a digit
    /// (7 bits) it costs moving what was written.
    @inline(__always)
    mutating func append(lengthGuess guess: Int, _ write: (inout PageRoom) -> Void) {
        let reserved = Self.varintSize(UInt64(guess))
        next += reserved
        let start = next
        write(&self)
        let size = next - start
        next = start - reserved
        closeLength(of: size, reserved: reserved)
    }

    /// Writes the length of the `size` bytes that begin `reserved` bytes further on, and moves them next to it.
    @inline(__always)
    mutating func closeLength(of size: Int, reserved: Int) {
        let needed = Self.varintSize(UInt64(size))
        if needed != reserved { (next + needed).copyMemory(from: next + reserved, byteCount: size) }
        append(varint: UInt64(size))
        next += size
    }

    @inline(__always)
    static func varintSize(_ value: UInt64) -> Int {
        (9 * (63 - (value | 1).leadingZeroBitCount) + 73) / 64
    }

    static func varintSizes(_ values: Int...) -> Int {
        values.reduce(0) { $0 + varintSize(UInt64($1)) }
    }
}
