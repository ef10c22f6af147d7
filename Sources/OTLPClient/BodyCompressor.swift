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

    // MARK: A body whose pieces come one by one, so that only what comes out is in memory as a whole

    package func begin() {
        switch self {
        case .gzip(let compressor): compressor.begin()
        case .zstd(let compressor): compressor.begin()
        case .none: break
        }
    }

    /// Appends to `body` what a piece leads to; it may be nothing yet.
    package func add(_ piece: UnsafeRawBufferPointer, to body: inout [UInt8]) {
        switch self {
        case .gzip(let compressor): compressor.add(piece, to: &body)
        case .zstd(let compressor): compressor.add(piece, to: &body)
        case .none: body.append(contentsOf: piece)
        }
    }

    package func end(to body: inout [UInt8]) {
        switch self {
        case .gzip(let compressor): compressor.end(to: &body)
        case .zstd(let compressor): compressor.end(to: &body)
        case .none: break
        }
    }
}
