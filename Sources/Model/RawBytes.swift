extension UnsafeRawBufferPointer {
    /// Returns true if both hold the same bytes; compares eight at a time.
    @inlinable @inline(__always)
    public func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        if count != other.count { return false }
        if count < 8 {
            for index in 0..<count where self[index] != other[index] { return false }
            return true
        }
        var offset = 0
        while offset <= count - 8 {
            if !hasSameWord(as: other, at: offset) { return false }
            offset += 8
        }
        // The last eight are compared whole, so some bytes are compared twice.
        return hasSameWord(as: other, at: count - 8)
    }

    @inlinable @inline(__always)
    func hasSameWord(as other: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            == other.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}
