import Text

/// A page is written piece by piece into the same memory, and each piece is handed over: a page of tens of megabytes needs
/// neither memory of that size nor the way there and back, but stays in the processor's cache.
extension GrowingBytes {
    /// About how long pieces are. What has to stay together may be longer.
    private static let pieceBytes = 64 << 10

    /// Gives what was written to `sink`, and empties the buffer.
    mutating func handOver(to sink: (UnsafeRawBufferPointer) -> Void) {
        if count > 0 { sink(bytes) }
        truncate(to: 0)
    }

    /// The same where there is enough for a piece.
    @inline(__always)
    mutating func handOverPiece(to sink: (UnsafeRawBufferPointer) -> Void) {
        if count >= Self.pieceBytes { handOver(to: sink) }
    }

    /// Appends the shortest text that reads back as the same number; whole numbers without a fraction.
    mutating func append(_ value: Double) {
        if let whole = NumberText.wholeNumber(value) {
            if value < 0 { append(UInt8(ascii: "-")) }
            append(decimal: whole)
        } else if let shortest = ShortestDecimal(abs(value)) {
            if value < 0 { append(UInt8(ascii: "-")) }
            append(decimal: shortest.whole)
            append(UInt8(ascii: "."))
            append(decimal: shortest.digits, digits: shortest.fraction)
        } else {
            append(NumberText.plain(value))
        }
    }
}
