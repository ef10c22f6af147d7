import CLinux

/// Returns the CRC-32C (Castagnoli), by the CPU's instruction where it has one.
package func crc32c(_ bytes: UnsafeRawBufferPointer, continuing crc: UInt32 = 0) -> UInt32 {
    guard let start = bytes.baseAddress else { return crc }
    return collector_crc32c(crc, start, bytes.count)
}

/// Returns the same without the instruction, for other CPUs. Tests compare the two.
package func crc32cPortable(_ bytes: UnsafeRawBufferPointer, continuing crc: UInt32 = 0) -> UInt32 {
    guard let start = bytes.baseAddress else { return crc }
    return collector_crc32c_portable(crc, start, bytes.count)
}
