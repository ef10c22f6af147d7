import Compression

/// What a body goes through on its way out. Owned by the forwarder's thread.
enum BodyCompressor {
    case gzip(GzipCompressor)
    case zstd(ZstdCompressor)
    case none

    init(_ compression: ForwardCompression) {
        switch compression {
        case .gzip: self = .gzip(GzipCompressor())
        case .zstd: self = .zstd(ZstdCompressor())
        case .none: self = .none
        }
    }

    /// The value of `Content-Encoding`; nil = no such header: Tempo refuses `identity`.
    var contentEncoding: String? {
        switch self {
        case .gzip: "gzip"
        case .zstd: "zstd"
        case .none: nil
        }
    }

    func compress(_ body: [UInt8]) -> [UInt8] {
        switch self {
        case .gzip(let compressor): body.withUnsafeBytes { compressor.compress($0) }
        case .zstd(let compressor): body.withUnsafeBytes { compressor.compress($0) }
        case .none: body
        }
    }
}
