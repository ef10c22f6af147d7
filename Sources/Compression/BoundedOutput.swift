/// The point that a decoder reached with the space that it had.
enum Filling {
    case finished
    /// More output follows than the space takes.
    case full
    case failed(DecompressionError)
}

/// Returns the output of a decoder in one array. Its first size is a guess. If that is too small the decoder goes on in
/// more, four times as much each time, up to one byte more than `limit`: output that fills this is too large. Input
/// that lies about its size therefore costs no more than the limit.
///
/// `fill` gets all of the space and the number of bytes in it that are made, and counts those that it adds.
/// - Throws: `DecompressionError` where the output is too large, or `fill` fails.
func growingOutput(
    limit: Int, expecting expected: Int, _ fill: (_ space: UnsafeMutableRawBufferPointer, _ count: inout Int) -> Filling
) throws(DecompressionError) -> [UInt8] {
    let smallestCapacity = 1024
    let growth = 4
    var output: [UInt8] = []
    var capacity = min(max(expected, smallestCapacity), limit + 1)
    while true {
        var filling = Filling.finished
        output = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            let space = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<capacity])
            space.copyBytes(from: output)
            count = output.count
            filling = fill(space, &count)
        }
        if case .failed(let error) = filling { throw error }
        if output.count > limit { throw .tooLarge(limit: limit) }
        if case .finished = filling { return output }
        if capacity > limit { throw .tooLarge(limit: limit) }
        capacity = min(capacity * growth, limit + 1)
    }
}
