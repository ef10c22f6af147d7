import CZlib

/// Why bytes could not be inflated.
package enum DecompressionError: Error, Equatable, Sendable, CustomStringConvertible {
    case truncated
    case malformed(String)
    /// More than `limit` bytes would come out.
    case tooLarge(limit: Int)

    package var description: String {
        switch self {
        case .truncated: "the compressed data ends early"
        case .malformed(let reason): "the compressed data is broken: \(reason)"
        case .tooLarge(let limit): "the data inflates to more than \(limit) bytes"
        }
    }
}

/// One reusable gzip compressor. Not thread-safe: each thread that compresses owns one.
package final class GzipCompressor {
    /// 1, the fastest: spans shrink about sixfold at any level.
    private static let level: Int32 = 1
    private static let gzipWindow: Int32 = 15 + 16
    /// On the heap because zlib keeps a pointer to it.
    private let stream: UnsafeMutablePointer<z_stream>

    package init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let code = collector_deflate_init(stream, Self.level, Self.gzipWindow)
        // Fails for lack of 256 KiB or a wrong constant above only.
        precondition(code == Z_OK, "deflateInit2: \(code)")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// A complete gzip member of `input`.
    package func compress(_ input: UnsafeRawBufferPointer) -> [UInt8] {
        deflateReset(stream)
        let bound = Int(deflateBound(stream, UInt(input.count)))
        return [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            stream.pointee.next_in = input.baseAddress.map {
                UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self))
            }
            stream.pointee.avail_in = UInt32(input.count)
            stream.pointee.next_out = output.baseAddress
            stream.pointee.avail_out = UInt32(output.count)
            let code = deflate(stream, Z_FINISH)
            precondition(code == Z_STREAM_END, "deflate into deflateBound bytes: \(code)")
            count = output.count - Int(stream.pointee.avail_out)
        }
    }
}

/// One reusable decompressor of gzip and zlib data (RFC 1952, 1950). Not thread-safe.
package final class Inflater {
    /// 32: the header tells gzip from zlib.
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

    /// Inflates all of `input`, several gzip members in a row included; at most `limit` bytes are ever held.
    package func inflate(_ input: UnsafeRawBufferPointer, limit: Int) throws(DecompressionError) -> [UInt8] {
        inflateReset(stream)
        guard let start = input.baseAddress, input.count > 0 else { throw .truncated }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: start.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(clamping: input.count)
        var output: [UInt8] = []
        // Spans shrink about sixfold; the guess saves re-allocations without trusting the data.
        output.reserveCapacity(min(limit, input.count * 8) + 64)
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let (code, produced) = step(into: &chunk)
            if output.count + produced > limit { throw .tooLarge(limit: limit) }
            output += chunk[..<produced]
            switch code {
            case Z_OK: continue
            case Z_STREAM_END:
                if stream.pointee.avail_in == 0 { return output }
                inflateReset(stream)
            case Z_BUF_ERROR: throw .truncated
            default: throw .malformed(stream.pointee.msg.map { String(cString: $0) } ?? "code \(code)")
            }
        }
    }

    private func step(into chunk: inout [UInt8]) -> (code: Int32, produced: Int) {
        chunk.withUnsafeMutableBufferPointer { buffer in
            stream.pointee.next_out = buffer.baseAddress
            stream.pointee.avail_out = UInt32(buffer.count)
            let code = CZlib.inflate(stream, Z_NO_FLUSH)
            return (code, buffer.count - Int(stream.pointee.avail_out))
        }
    }
}
