/// Finds the ends of frames of HTTP/2 in the bytes of a connection (RFC 9113, 4.1): three bytes of length, six others,
/// the payload.
struct FrameBoundaries {
    private static let prefaceBytes = 24
    private static let headerBytes = 9

    /// The rest of the preface or of a payload.
    private var payloadLeft = prefaceBytes
    private var headerCount = 0
    private var length = 0

    /// Takes the next bytes, and returns how many of them lie before the end of the last frame that ends in them; 0
    /// where none does.
    mutating func lastEnd(in bytes: UnsafeRawBufferPointer) -> Int {
        var (position, last) = (0, 0)
        while position < bytes.count {
            if payloadLeft > 0 {
                let count = min(payloadLeft, bytes.count - position)
                payloadLeft -= count
                position += count
            } else {
                if headerCount < 3 { length = length << 8 | Int(bytes[position]) }
                headerCount += 1
                position += 1
                if headerCount < Self.headerBytes { continue }
                (payloadLeft, length, headerCount) = (length, 0, 0)
            }
            if payloadLeft == 0 { last = position }
        }
        return last
    }
}
