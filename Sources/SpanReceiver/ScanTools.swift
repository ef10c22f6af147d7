import Compression
import OTLP
import Synchronization

/// The compression of a body.
enum BodyCoding {
    case identity
    /// The body is gzip or zlib; the bytes tell which.
    case deflated
    case zstd
}

/// The tools that read a request. They are reused from request to request, so that a scan allocates nothing.
final class ScanTools: Sendable {
    struct Tools: ~Copyable {
        var scanner: SpanScanner
        var converter = JSONRequestConverter()
        let inflater = Inflater()
        let zstd = ZstdDecompressor()

        func decompress(
            _ body: UnsafeRawBufferPointer, _ coding: BodyCoding, limit: Int
        ) throws(DecompressionError) -> [UInt8] {
            coding == .zstd ? try zstd.decompress(body, limit: limit) : try inflater.inflate(body, limit: limit)
        }
    }
    let tools: Mutex<Tools>

    init(_ table: TaskAttributeTable) {
        tools = Mutex(Tools(scanner: SpanScanner(table: table)))
    }
}
