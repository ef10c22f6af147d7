package import Compression

/// Compresses bodies on their way out. The thread that sends owns it.
package enum BodyCompressor {
    case gzip(GzipCompressor)
    case zstd(ZstdCompressor)
    case none

    package init(_ compression: OTLPCompression) {
        switch compression {
        case .gzip: self = .gzip(GzipCompressor())
        case .zstd: self = .zstd(ZstdCompressor())
        case .none: self = .none
        }
    }

    /// The value of `Content-Encoding`; nil for no such header, because Tempo refuses `identity`.
    package var contentEncoding: String? {
        switch self {
        case .gzip: "gzip"
        case .zstd: "zstd"
        case .none: nil
        }
    }

    package func compress(_ body: [UInt8]) -> [UInt8] {
        switch self {
        case .gzip(let compressor): body.withUnsafeBytes { compressor.compress($0) }
        case .zstd(let compressor): body.withUnsafeBytes { compressor.compress($0) }
        case .none: body
        }
    }

    /// Compresses the pieces that `write` hands over, so that only the result is in memory as a whole.
    package func compress(piecesOf write: (_ take: (UnsafeRawBufferPointer) -> Void) -> Void) -> [UInt8] {
        switch self {
        case .gzip(let compressor): return compressor.compress(piecesOf: write)
        case .zstd(let compressor): return compressor.compress(piecesOf: write)
        case .none:
            var body: [UInt8] = []
            write { body.append(contentsOf: $0) }
            return body
        }
    }
}
