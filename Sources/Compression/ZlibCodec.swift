import CZlib

/// One reusable gzip compressor by zlib.
package final class ZlibCompressor {
    private static let gzipWindow: Int32 = 15 + 16
    /// The compressor's state, on the heap because zlib keeps a pointer to it.
    private let stream: UnsafeMutablePointer<z_stream>

    /// Makes a compressor. Level 1 is the fastest: spans shrink about sixfold at any level.
    package init(level: Int = 1) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let code = collector_deflate_init(stream, Int32(level), Self.gzipWindow)
        // Only a lack of 256 KiB or a wrong constant above lets this fail.
        precondition(code == Z_OK, "deflateInit2: \(code)")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// The bytes that it takes in memory: zlib's window and tables.
    package var byteCount: Int { 256 << 10 }

    /// Returns a complete gzip member of `input`.
    package func compress(_ input: UnsafeRawBufferPointer) -> [UInt8] {
        deflateReset(stream)
        let bound = Int(deflateBound(stream, UInt(input.count)))
        return [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            stream.pointee.next_in = mutableBytes(of: input)
            stream.pointee.avail_in = UInt32(input.count)
            stream.pointee.next_out = output.baseAddress
            stream.pointee.avail_out = UInt32(output.count)
            let code = deflate(stream, Z_FINISH)
            precondition(code == Z_STREAM_END, "deflate into deflateBound bytes: \(code)")
            count = output.count - Int(stream.pointee.avail_out)
        }
    }

    /// Returns a complete gzip member of the pieces that `write` hands over.
    package func compress(piecesOf write: (_ take: (UnsafeRawBufferPointer) -> Void) -> Void) -> [UInt8] {
        var output: [UInt8] = []
        begin()
        write { add($0, to: &output) }
        end(to: &output)
        return output
    }

    /// Begins a gzip member whose pieces come one by one.
    package func begin() {
        deflateReset(stream)
    }

    /// Appends to `output` the bytes of the member that a piece leads to; they may be none yet.
    package func add(_ piece: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        stream.pointee.next_in = mutableBytes(of: piece)
        stream.pointee.avail_in = UInt32(piece.count)
        deflateInput(Z_NO_FLUSH, into: &output)
    }

    /// Appends the end of the member.
    package func end(to output: inout [UInt8]) {
        deflateInput(Z_FINISH, into: &output)
    }

    /// Compresses all of the input at hand.
    private func deflateInput(_ flush: Int32, into output: inout [UInt8]) {
        withUnsafeTemporaryAllocation(byteCount: 32 << 10, alignment: 16) { space in
            repeat {
                stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_out = UInt32(space.count)
                let code = deflate(stream, flush)
                // Z_BUF_ERROR says that nothing was left to do.
                precondition([Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(code), "deflate: \(code)")
                output.append(contentsOf: space.dropLast(Int(stream.pointee.avail_out)))
            } while stream.pointee.avail_out == 0
        }
    }
}

/// One reusable decompressor of gzip and zlib data by zlib.
package final class ZlibInflater: DeflateDecoder {
    /// The window with the flag 32, which has the header tell gzip from zlib.
    private static let anyWindow: Int32 = 15 + 32
    private let stream: UnsafeMutablePointer<z_stream>

    package init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let code = collector_inflate_init(stream, Self.anyWindow)
        precondition(code == Z_OK, "inflateInit2: \(code)")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Inflates all of `input`, several gzip members in a row included; at most `limit` bytes come out.
    /// - Throws: `DecompressionError` where the input is malformed, or more would come out.
    package func inflate(_ input: UnsafeRawBufferPointer, limit: Int) throws(DecompressionError) -> [UInt8] {
        try inflateStreams(input, limit: limit)
    }

    func begin(_ input: UnsafeRawBufferPointer) -> DecompressionError? {
        inflateReset(stream)
        stream.pointee.next_in = mutableBytes(of: input)
        stream.pointee.avail_in = UInt32(input.count)
        return nil
    }

    func step(into space: UnsafeMutableRawBufferPointer) -> DeflateStep {
        stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(space.count)
        let code = CZlib.inflate(stream, Z_NO_FLUSH)
        let bytes = space.count - Int(stream.pointee.avail_out)
        switch code {
        case Z_OK, Z_BUF_ERROR: return .wrote(bytes)
        case Z_STREAM_END: return .ended(wrote: bytes, unread: Int(stream.pointee.avail_in))
        default: return .failed(.malformed(stream.pointee.msg.map { String(cString: $0) } ?? "code \(code)"))
        }
    }
}

/// Returns the input as mutable bytes. The C libraries take it so and don't change it.
func mutableBytes(of input: UnsafeRawBufferPointer) -> UnsafeMutablePointer<UInt8>? {
    input.baseAddress.map { UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self)) }
}
