/// Writes a page into memory that was set aside for it: a copy and one comparison per text, nothing else. Pages have
/// hundreds of thousands of lines, and appending to an array costs several times as much.
///
/// What finds no room is not written, and `isFull` says so.
struct PageWriter: ~Copyable {
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0
    private(set) var isFull = false

    /// A page that `write` writes. `estimatedBytes` is a guess: too small costs a second run, too large costs nothing but
    /// addresses.
    static func page(estimatedBytes: Int, _ write: (inout PageWriter) -> Void) -> [UInt8] {
        var capacity = max(estimatedBytes, 256)
        while true {
            var isWhole = false
            let page = [UInt8](unsafeUninitializedCapacity: capacity) { memory, count in
                var writer = PageWriter(UnsafeMutableRawBufferPointer(memory))
                write(&writer)
                isWhole = !writer.isFull
                count = writer.count
            }
            if isWhole { return page }
            capacity *= 2
        }
    }

    private init(_ memory: UnsafeMutableRawBufferPointer) {
        self.memory = memory
    }

    /// The place of the next `size` bytes; nil where there is no room.
    @inline(__always)
    private mutating func take(_ size: Int) -> UnsafeMutableRawPointer? {
        guard let base = memory.baseAddress, size <= memory.count - count else {
            isFull = true
            return nil
        }
        defer { count += size }
        return base + count
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        take(1)?.storeBytes(of: byte, as: UInt8.self)
    }

    @inline(__always)
    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, let place = take(bytes.count) else { return }
        place.copyMemory(from: source, byteCount: bytes.count)
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Again what was written at `range`.
    @inline(__always)
    mutating func append(copyOf range: Range<Int>) {
        append(UnsafeRawBufferPointer(rebasing: memory[range]))
    }

    mutating func append(integer: UInt64) {
        if integer < 10 { return append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: integer)) }
        var size = 2
        var rest = integer / 100
        while rest > 0 {
            size += 1
            rest /= 10
        }
        guard let place = take(size) else { return }
        rest = integer
        for offset in stride(from: size - 1, through: 0, by: -1) {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            place.storeBytes(of: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit), toByteOffset: offset, as: UInt8.self)
            rest = quotient
        }
    }

    /// The shortest text that reads back as the same number; whole numbers without a fraction.
    mutating func append(_ value: Double) {
        guard let whole = NumberText.wholeNumber(value) else { return append(NumberText.plain(value)) }
        if value < 0 { append(UInt8(ascii: "-")) }
        append(integer: whole)
    }

    /// 16 lower-case hex digits.
    mutating func append(hex value: UInt64) {
        guard let place = take(16) else { return }
        for offset in 0..<16 {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(60 - 4 * offset)) & 15
            let letter = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit
            place.storeBytes(of: letter, toByteOffset: offset, as: UInt8.self)
        }
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
        take(8)?.storeBytes(of: value.littleEndian, as: UInt64.self)
    }

    /// What `write` writes, preceded by its length. `guess` is about how long it will be: wrong by a digit (7 bits) it costs
    /// moving what was written.
    @inline(__always)
    mutating func append(lengthGuess guess: Int, _ write: (inout PageWriter) -> Void) {
        let start = count
        let reserved = Self.varintSize(UInt64(guess))
        guard take(reserved) != nil, let base = memory.baseAddress else { return }
        write(&self)
        if isFull { return }
        let size = count - start - reserved
        let needed = Self.varintSize(UInt64(size))
        if needed != reserved {
            guard needed < reserved || take(needed - reserved) != nil else { return }
            (base + start + needed).copyMemory(from: base + start + reserved, byteCount: size)
        }
        count = start
        append(varint: UInt64(size))
        count += size
    }

    @inline(__always)
    static func varintSize(_ value: UInt64) -> Int {
        (9 * (63 - (value | 1).leadingZeroBitCount) + 73) / 64
    }

    static func varintSizes(_ values: Int...) -> Int {
        values.reduce(0) { $0 + varintSize(UInt64($1)) }
    }
}
