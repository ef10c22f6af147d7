// This target compresses bodies on their way out and inflates them on their way in. docs/decisions/0006-compression.md
// says why there are three libraries, and what each of them costs.
//
//   GzipCompressor                      ISA-L; zlib where a machine that builds has no ISA-L
//   Inflater (gzip and zlib's format)   ISA-L on x86-64; else zlib
//   ZstdCompressor, ZstdDecompressor    libzstd
//
// All codecs keep their state from call to call and are not thread-safe: each thread owns its own. Their output is one
// array, which is all that they allocate in a call.

#if canImport(CISAL) && !WITHOUT_ISAL
    package typealias GzipCompressor = ISALCompressor
    /// The name of the library of this build, for benchmarks.
    package let gzipLibraryName = "ISA-L"
#else
    package typealias GzipCompressor = ZlibCompressor
    package let gzipLibraryName = "zlib in the place of ISA-L"
#endif

// On arm64 ISA-L before 2.32 refuses some good bodies of 128 KiB and more: https://github.com/intel/isa-l/issues/316
#if canImport(CISAL) && !WITHOUT_ISAL && arch(x86_64)
    package typealias Inflater = ISALInflater
#else
    package typealias Inflater = ZlibInflater
#endif

/// The reason why bytes could not be decompressed.
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
