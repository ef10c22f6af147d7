import Glibc

/// A buffer that is written from front to back, in memory that is used again from one text to the next.
///
/// Every append checks that there is space and grows where there is none, as an array does. A line of the metrics page
/// takes an array 60 ns and this buffer 10, and a page may have 200,000 (docs/decisions/0012-plain-arithmetic.md). The
/// type is public and inlinable, because nothing else is inlined into other targets.
public struct GrowingBytes: ~Copyable {
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var capacity: Int
    @usableFromInline var end = 0

    private static let initialCapacity = 4096

    public init() {
        capacity = Self.initialCapacity
        base = Self.checked(malloc(capacity))
    }

    deinit {
        free(base)
    }

    @inlinable public var count: Int { end }

    /// The bytes that are written, valid until the next append.
    @inlinable public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: end) }

    /// Empties the buffer. Memory beyond `maxKept` bytes is returned to the allocator.
    public mutating func reset(keepingAtMost maxKept: Int) {
        end = 0
        guard capacity > maxKept else { return }
        free(base)
        capacity = Self.initialCapacity
        base = Self.checked(malloc(capacity))
    }

    /// Removes what stands behind the first `count` bytes.
    @inlinable
    public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= end)
        end = count
    }

    @inlinable @inline(__always)
    public mutating func reserve(_ more: Int) {
        if capacity - end < more { grow(by: more) }
    }

    @usableFromInline @inline(never)
    mutating func grow(by more: Int) {
        capacity = max(capacity * 2, end + more)
        // The kernel moves the pages of a large block, not its bytes.
        base = Self.checked(realloc(base, capacity))
    }

    private static func checked(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
        guard let memory else { preconditionFailure("out of memory") }
        return memory
    }

    // MARK: Appending

    @inlinable @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: end, as: UInt8.self)
        end += 1
    }

    /// Appends the bytes of an integer, the lowest first.
    @inlinable @inline(__always)
    public mutating func append<Word: FixedWidthInteger & BitwiseCopyable>(littleEndian word: Word) {
        reserve(MemoryLayout<Word>.size)
        base.storeBytes(of: word.littleEndian, toByteOffset: end, as: Word.self)
        end += MemoryLayout<Word>.size
    }

    @inlinable @inline(__always)
    public mutating func append(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress else { return }
        reserve(source.count)
        (base + end).copyMemory(from: start, byteCount: source.count)
        end += source.count
    }

    @inlinable @inline(__always)
    public mutating func append(_ source: [UInt8]) {
        source.withUnsafeBytes { append($0) }
    }

    @inlinable @inline(__always)
    public mutating func append(_ source: Span<UInt8>) {
        source.withUnsafeBytes { append($0) }
    }

    @inlinable @inline(__always)
    public mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Appends a copy of what stands in `range` of the buffer.
    @inlinable @inline(__always)
    public mutating func append(copyOf range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= end)
        reserve(range.count)
        (base + end).copyMemory(from: base + range.lowerBound, byteCount: range.count)
        end += range.count
    }

    public mutating func append(zeros count: Int) {
        precondition(count >= 0)
        reserve(count)
        (base + end).initializeMemory(as: UInt8.self, repeating: 0, count: count)
        end += count
    }

    /// Appends a line of a histogram: a copy of what stands in `beginning`, a short text, and a number in decimal
    /// digits. The space is asked for once and nothing is called, because a page has hundreds of thousands of such
    /// lines.
    @inlinable @inline(__always)
    public mutating func append(copyOf beginning: Range<Int>, _ text: ShortText, decimal value: UInt64) {
        precondition(beginning.lowerBound >= 0 && beginning.upperBound <= end)
        let block = ShortText.capacity
        reserve(beginning.count + 2 * block + 20)
        // The copy is made in blocks: what is too much at the end is written over.
        let (source, target, length) = (base + beginning.lowerBound, base + end, beginning.count)
        var offset = 0
        while offset < length {
            let bytes = source.loadUnaligned(fromByteOffset: offset, as: SIMD32<UInt8>.self)
            target.storeBytes(of: bytes, toByteOffset: offset, as: SIMD32<UInt8>.self)
            offset &+= block
        }
        target.storeBytes(of: text.bytes, toByteOffset: length, as: SIMD32<UInt8>.self)
        end &+= length &+ text.count
        append(decimal: value)
    }

    /// Appends a number in decimal digits.
    @inlinable @inline(__always)
    public mutating func append(decimal value: UInt64) {
        if value < 10 { return append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value)) }
        var size = 2
        var bound: UInt64 = 100
        while value >= bound && size < 20 {
            size += 1
            bound = bound.multipliedReportingOverflow(by: 10).partialValue
        }
        append(decimal: value, digits: size)
    }

    @inlinable static var pairs: StaticString {
        """
        0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
        """
    }

    /// Appends the last `digits` decimal digits of a number, zeros in front included.
    @inlinable @inline(__always)
    public mutating func append(decimal value: UInt64, digits: Int) {
        reserve(digits)
        var rest = value
        var position = end + digits
        // Two by two: with a division for each digit an exemplar would take 25 ns more.
        while position - end >= 2 {
            position -= 2
            let pair = Int(truncatingIfNeeded: rest % 100) * 2
            rest /= 100
            base.storeBytes(of: Self.pairs.utf8Start[pair], toByteOffset: position, as: UInt8.self)
            base.storeBytes(of: Self.pairs.utf8Start[pair + 1], toByteOffset: position + 1, as: UInt8.self)
        }
        if position > end {
            let digit = UInt8(truncatingIfNeeded: rest % 10)
            base.storeBytes(of: UInt8(ascii: "0") + digit, toByteOffset: end, as: UInt8.self)
        }
        end += digits
    }

    /// Appends integers of variable length (protobuf's), seven bits a byte. The space is asked for once.
    @inlinable @inline(__always)
    public mutating func append(varints count: Int, _ value: (Int) -> UInt64) {
        reserve(10 * count)
        var position = end
        for index in 0..<count {
            var rest = value(index)
            while rest >= 0x80 {
                base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: position, as: UInt8.self)
                position += 1
                rest >>= 7
            }
            base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: position, as: UInt8.self)
            position += 1
        }
        end = position
    }

    /// Appends 16 lower-case hex digits.
    @inlinable @inline(__always)
    public mutating func append(hex value: UInt64) {
        reserve(16)
        let digits: StaticString = "0123456789abcdef"
        for digit in 0..<16 {
            let nibble = Int(truncatingIfNeeded: value >> UInt64(60 - 4 * digit)) & 15
            base.storeBytes(of: digits.utf8Start[nibble], toByteOffset: end + digit, as: UInt8.self)
        }
        end += 16
    }

    // MARK: Changing what is written

    @inlinable @inline(__always)
    public mutating func set(_ byte: UInt8, at position: Int) {
        precondition(position >= 0 && position < end)
        base.storeBytes(of: byte, toByteOffset: position, as: UInt8.self)
    }

    /// Copies what stands in `range` to another place of the buffer; the two may overlap.
    public mutating func copy(_ range: Range<Int>, to position: Int) {
        precondition(range.lowerBound >= 0 && range.upperBound <= end)
        precondition(position >= 0 && position <= end - range.count)
        (base + position).copyMemory(from: base + range.lowerBound, byteCount: range.count)
    }
}
