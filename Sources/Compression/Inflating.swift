/// A decoder of one gzip or zlib stream (RFC 1952, 1950) at a time.
protocol DeflateDecoder {
    /// Starts with the stream that `input` begins with. Returns nil, or the fault of its first bytes.
    func begin(_ input: UnsafeRawBufferPointer) -> DecompressionError?
    /// Writes as much into `space`, which is not empty, as fits.
    func step(into space: UnsafeMutableRawBufferPointer) -> DeflateStep
}

enum DeflateStep {
    /// The space is full, or the input has ended.
    case wrote(Int)
    /// The stream has ended, and its checksum is right; `unread` bytes of the input are behind it.
    case ended(wrote: Int, unread: Int)
    case failed(DecompressionError)
}

extension DeflateDecoder {
    /// Inflates all of `input`, several streams in a row included. Bytes behind a stream must be another stream.
    /// - Throws: `DecompressionError` where the input is malformed, or more than `limit` bytes would come out.
    func inflateStreams(_ input: UnsafeRawBufferPointer, limit: Int) throws(DecompressionError) -> [UInt8] {
        if input.isEmpty { throw .truncated }
        if let error = begin(input) { throw error }
        return try growingOutput(limit: limit, expecting: Self.expectedBytes(input)) { space, count in
            while true {
                let rest = UnsafeMutableRawBufferPointer(rebasing: space[count...])
                if rest.isEmpty { return .full }
                switch step(into: rest) {
                case .failed(let error): return .failed(error)
                case .wrote(let bytes):
                    count += bytes
                    return bytes < rest.count ? .failed(.truncated) : .full
                case .ended(let bytes, unread: 0):
                    count += bytes
                    return .finished
                case .ended(let bytes, let unread):
                    count += bytes
                    if let error = begin(UnsafeRawBufferPointer(rebasing: input[(input.count - unread)...])) {
                        return .failed(error)
                    }
                }
            }
        }
    }

    /// Returns a guess of the output's size. A gzip member ends with its size (RFC 1952, ISIZE). All other input is
    /// guessed to shrink about sixfold, as spans do, and so is a member whose size deflate could not reach.
    private static func expectedBytes(_ input: UnsafeRawBufferPointer) -> Int {
        let guess = input.count * 8
        let bestRatio = 1032
        guard input.count >= 18, input[0] == 0x1F else { return guess }
        let size = Int(UInt32(littleEndian: input.loadUnaligned(fromByteOffset: input.count - 4, as: UInt32.self)))
        // The extra byte shows a decoder that space is left when it is done.
        return size <= input.count * bestRatio ? size + 1 : guess
    }
}
