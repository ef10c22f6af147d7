import CZstd

/// One reusable compressor to zstd (RFC 8878).
package final class ZstdCompressor {
    private let context: OpaquePointer

    package init(level: Int = 1) {
        guard let context = ZSTD_createCCtx() else { preconditionFailure("ZSTD_createCCtx: no memory") }
        self.context = context
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        // gzip has a checksum as well: what a proxy broke on the way must not pass for spans.
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }

    deinit {
        ZSTD_freeCCtx(context)
    }

    /// Returns one frame of `input`, with its size in the header.
    package func compress(_ input: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(input.count)) { output, count in
            let size = ZSTD_compress2(context, output.baseAddress, output.count, input.baseAddress, input.count)
            // Only a lack of memory lets this fail: the space is as much as libzstd asks for.
            precondition(ZSTD_isError(size) == 0, "ZSTD_compress2: \(String(cString: ZSTD_getErrorName(size)))")
            count = size
        }
    }

    /// Returns one frame of the pieces that `write` hands over; its size is not in the header.
    package func compress(piecesOf write: (_ take: (UnsafeRawBufferPointer) -> Void) -> Void) -> [UInt8] {
        var output: [UInt8] = []
        begin()
        write { add($0, to: &output) }
        end(to: &output)
        return output
    }

    /// Begins a frame whose pieces come one by one; its size is not in the header.
    package func begin() {
        ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
    }

    /// Appends to `output` what a piece of the frame leads to; it may be nothing yet.
    package func add(_ piece: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        compress(piece, ZSTD_e_continue, into: &output)
    }

    /// Appends the end of the frame.
    package func end(to output: inout [UInt8]) {
        compress(UnsafeRawBufferPointer(start: nil, count: 0), ZSTD_e_end, into: &output)
    }

    /// Compresses all of a piece; with `ZSTD_e_end` also writes the end of the frame.
    private func compress(
        _ piece: UnsafeRawBufferPointer, _ mode: ZSTD_EndDirective, into output: inout [UInt8]
    ) {
        withUnsafeTemporaryAllocation(byteCount: 32 << 10, alignment: 16) { space in
            var input = ZSTD_inBuffer(src: piece.baseAddress, size: piece.count, pos: 0)
            var isDone = false
            while !isDone {
                var made = ZSTD_outBuffer(dst: space.baseAddress, size: space.count, pos: 0)
                let left = ZSTD_compressStream2(context, &made, &input, mode)
                precondition(
                    ZSTD_isError(left) == 0, "ZSTD_compressStream2: \(String(cString: ZSTD_getErrorName(left)))")
                output.append(contentsOf: space.prefix(made.pos))
                isDone = mode == ZSTD_e_end ? left == 0 : input.pos == input.size
            }
        }
    }
}

/// One reusable decompressor of zstd data.
///
/// A frame is decoded straight into the output, which is its own window. Nothing is allocated for the window size that
/// a frame asks for, so the output limit is the only bound that is needed.
package final class ZstdDecompressor {
    private let context: OpaquePointer

    package init() {
        guard let context = ZSTD_createDCtx() else { preconditionFailure("ZSTD_createDCtx: no memory") }
        self.context = context
    }

    deinit {
        ZSTD_freeDCtx(context)
    }

    /// Decompresses all of `input`, several frames in a row included; at most `limit` bytes come out. Bytes behind a
    /// frame must be another frame.
    /// - Throws: `DecompressionError` where the input is malformed, or more would come out.
    package func decompress(_ input: UnsafeRawBufferPointer, limit: Int) throws(DecompressionError) -> [UInt8] {
        if input.isEmpty { throw .truncated }
        var position = 0
        return try growingOutput(limit: limit, expecting: try Self.expectedBytes(input, limit: limit)) { space, count in
            while position < input.count {
                let rest = UnsafeRawBufferPointer(rebasing: input[position...])
                if let error = Self.magicError(rest) { return .failed(error) }
                let frameBytes = ZSTD_findFrameCompressedSize(rest.baseAddress, rest.count)
                if ZSTD_isError(frameBytes) != 0 { return .failed(Self.error(frameBytes)) }
                let free = UnsafeMutableRawBufferPointer(rebasing: space[count...])
                let made = ZSTD_decompressDCtx(context, free.baseAddress, free.count, rest.baseAddress, frameBytes)
                if ZSTD_isError(made) != 0 {
                    // The frame is decoded again, from its start, in more space.
                    return ZSTD_getErrorCode(made) == ZSTD_error_dstSize_tooSmall ? .full : .failed(Self.error(made))
                }
                count += made
                position += frameBytes
            }
            return .finished
        }
    }

    /// Returns the fault of a frame's first bytes. libzstd could read the formats from before 2016, too, by decoders
    /// that are no longer maintained.
    private static func magicError(_ frame: UnsafeRawBufferPointer) -> DecompressionError? {
        if frame.count < 4 { return .truncated }
        let magic = UInt32(littleEndian: frame.loadUnaligned(as: UInt32.self))
        let isFrame = magic == 0xFD2F_B528
        let isSkippable = magic & 0xFFFF_FFF0 == 0x184D_2A50
        return isFrame || isSkippable ? nil : .malformed("no zstd frame")
    }

    /// Returns the size that the first frame states. Encoders that stream don't know it; then most spans are guessed to
    /// shrink about sevenfold.
    /// - Throws: `DecompressionError` where the header is malformed.
    private static func expectedBytes(_ input: UnsafeRawBufferPointer, limit: Int) throws(DecompressionError) -> Int {
        let guess = input.count * 8
        let size = ZSTD_getFrameContentSize(input.baseAddress, input.count)
        if size == collector_zstd_size_unknown || size == collector_zstd_size_error { return guess }
        if size > UInt64(limit) { throw .tooLarge(limit: limit) }
        return Int(size)
    }

    private static func error(_ code: Int) -> DecompressionError {
        ZSTD_getErrorCode(code) == ZSTD_error_srcSize_wrong
            ? .truncated : .malformed(String(cString: ZSTD_getErrorName(code)))
    }
}
