/// How far a decoder came with the room that it had.
enum Filling {
    case finished
    /// There is more, and no room for it.
    case full
    case failed(DecompressionError)
}

/// What a decoder makes, in one array. Its first room is a guess; if that is too small the decoder goes on in more, four
/// times as much each time, up to one byte more than `limit`: what fills that is too large. So input that lies about its
/// size costs no more than the limit.
///
/// `fill` gets all of the room and how many bytes of it are made, and counts those that it adds.
func growingOutput(
    limit: Int, expecting expected: Int, _ fill: (_ room: UnsafeMutableRawBufferPointer, _ count: inout Int) -> Filling
) throws(DecompressionError) -> [UInt8] {
    let smallestRoom = 1024
    let growth = 4
    var output: [UInt8] = []
    var capacity = min(max(expected, smallestRoom), limit + 1)
    while true {
        var filling = Filling.finished
        output = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            let room = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<capacity])
            room.copyBytes(from: output)
            count = output.count
            filling = fill(room, &count)
        }
        if case .failed(let error) = filling { throw error }
        if output.count > limit { throw .tooLarge(limit: limit) }
        if case .finished = filling { return output }
        if capacity > limit { throw .tooLarge(limit: limit) }
        capacity = min(capacity * growth, limit + 1)
    }
}
