import CLinux

extension UnsafeRawBufferPointer {
    /// Returns the first place from `start` on at which the bytes of the mark stand, the lowest first; nil where there
    /// is no such place.
    package func firstOffset(of mark: UInt32, from start: Int) -> Int? {
        guard let base = baseAddress, start < count else { return nil }
        let length = count - start
        let found = withUnsafeBytes(of: mark.littleEndian) { pattern in
            collector_find(base + start, length, pattern.baseAddress, pattern.count)
        }
        return found < length ? start + found : nil
    }
}
