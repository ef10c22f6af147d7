import CLinux

extension UnsafeRawBufferPointer {
    /// Returns where the bytes of the mark, the lowest first, stand for the first time from `start` on; nil where they do not.
    package func firstOffset(of mark: UInt32, from start: Int) -> Int? {
        guard let base = baseAddress, start < count else { return nil }
        let length = count - start
        let found = withUnsafeBytes(of: mark.littleEndian) { pattern in
            collector_find(base + start, length, pattern.baseAddress, pattern.count)
        }
        return found < length ? start + found : nil
    }
}
