import Compression
import FoundationEssentials
import TestSupport
import Testing

/// A library of gzip. In a build without ISA-L both are zlib.
struct GzipLibrary: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let makeCompressor: @Sendable () -> (UnsafeRawBufferPointer) -> [UInt8]
    /// Of pieces.
    let makePieceCompressor: @Sendable () -> ([ArraySlice<UInt8>]) -> [UInt8]
    let makeInflater: @Sendable () -> (UnsafeRawBufferPointer, Int) throws(DecompressionError) -> [UInt8]

    static let inUse = GzipLibrary(testDescription: gzipLibraryName) {
        let compressor = GzipCompressor()
        return { compressor.compress($0) }
    } makePieceCompressor: {
        let compressor = GzipCompressor()
        return { pieces in compressor.compress { take in for piece in pieces { piece.withUnsafeBytes(take) } } }
    } makeInflater: {
        let inflater = Inflater()
        return { (bytes, limit) throws(DecompressionError) in try inflater.inflate(bytes, limit: limit) }
    }

    static let zlib = GzipLibrary(testDescription: "zlib") {
        let compressor = ZlibCompressor()
        return { compressor.compress($0) }
    } makePieceCompressor: {
        let compressor = ZlibCompressor()
        return { pieces in compressor.compress { take in for piece in pieces { piece.withUnsafeBytes(take) } } }
    } makeInflater: {
        let inflater = ZlibInflater()
        return { (bytes, limit) throws(DecompressionError) in try inflater.inflate(bytes, limit: limit) }
    }

    static let all = [inUse, zlib]

    func gzip(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { makeCompressor()($0) }
    }

    func inflate(_ bytes: [UInt8], limit: Int = 1 << 20) throws(DecompressionError) -> [UInt8] {
        try Reused(self).inflate(bytes, limit: limit)
    }

    func error(_ bytes: [UInt8], limit: Int = 1 << 20) -> DecompressionError? {
        Reused(self).error(bytes, limit: limit)
    }
}

/// One inflater for many bodies.
struct Reused {
    private let inflateBytes: (UnsafeRawBufferPointer, Int) throws(DecompressionError) -> [UInt8]

    init(_ library: GzipLibrary) {
        inflateBytes = library.makeInflater()
    }

    init(_ zstd: ZstdDecompressor) {
        inflateBytes = { (bytes, limit) throws(DecompressionError) in try zstd.decompress(bytes, limit: limit) }
    }

    func inflate(_ bytes: [UInt8], limit: Int = 1 << 20) throws(DecompressionError) -> [UInt8] {
        try bytes.withUnsafeBufferPointer { (buffer) throws(DecompressionError) in
            try inflateBytes(UnsafeRawBufferPointer(buffer), limit)
        }
    }

    func error(_ bytes: [UInt8], limit: Int = 1 << 20) -> DecompressionError? {
        do throws(DecompressionError) {
            _ = try inflate(bytes, limit: limit)
            return nil
        } catch {
            return error
        }
    }
}

func isMalformed(_ error: DecompressionError?) -> Bool {
    if case .malformed = error { true } else { false }
}

/// The requests that a Go SDK sent, one after the other: 440 KB.
func capturedRequests() throws -> [UInt8] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/otlp-go-sdk")
    return try (0..<44).flatMap { number in
        try [UInt8](Data(contentsOf: folder.appending(path: (number < 10 ? "00" : "0") + "\(number).pb")))
    }
}

/// `block` over and over, from `start` on. In debug builds much faster than sequences that are joined.
func tiled(_ block: [UInt8], count: Int, from start: Int = 0) -> [UInt8] {
    if block.isEmpty || count == 0 { return [] }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + block.count)
    bytes += block[(start % block.count)...]
    while bytes.count < count { bytes += block }
    return Array(bytes[..<count])
}

extension SeededGenerator {
    /// Without a match within the windows of deflate and of zstd's lowest levels.
    mutating func noise(_ count: Int) -> [UInt8] {
        tiled(bytes(min(count, 1 << 20)), count: count)
    }
}
