/// Memory that is written from front to back and used again: the owner of the converter's buffers. Room is asked for
/// once per field, not per byte.
package struct GrowingBytes: ~Copyable {
    package private(set) var base: UnsafeMutableRawPointer
    package private(set) var capacity: Int
    package private(set) var count = 0

    private static let initialCapacity = 4096

    package init() {
        capacity = Self.initialCapacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit {
        base.deallocate()
    }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// Empties it. What it took for a monster of a request goes back.
    package mutating func reset(keepingAtMost maxKept: Int) {
        count = 0
        guard capacity > maxKept else { return }
        base.deallocate()
        capacity = Self.initialCapacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    package mutating func truncate(to count: Int) {
        self.count = count
    }

    @inline(__always)
    package mutating func reserve(_ more: Int) {
        if capacity - count < more { grow(more) }
    }

    @inline(never)
    private mutating func grow(_ more: Int) {
        let needed = max(capacity * 2, count + more)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: needed, alignment: 16)
        moved.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = moved
        capacity = needed
    }

    // MARK: Writing into room that was reserved

    @inline(__always)
    package mutating func put(_ byte: UInt8) {
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    @inline(__always)
    package mutating func put<Word: FixedWidthInteger & BitwiseCopyable>(word: Word) {
        base.storeBytes(of: word.littleEndian, toByteOffset: count, as: Word.self)
        count += MemoryLayout<Word>.size
    }

    @inline(__always)
    package mutating func put(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress else { return }
        (base + count).copyMemory(from: start, byteCount: source.count)
        count += source.count
    }

    /// At most 10 bytes.
    @inline(__always)
    package mutating func put(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            put(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        put(UInt8(truncatingIfNeeded: rest))
    }

    // MARK: Changing what is written

    /// The ranges before and after may overlap; the caller has reserved the room.
    package mutating func move(_ range: Range<Int>, by distance: Int) {
        (base + range.lowerBound + distance).copyMemory(from: base + range.lowerBound, byteCount: range.count)
    }

    @inline(__always)
    package mutating func set(_ byte: UInt8, at offset: Int) {
        base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
    }
}
