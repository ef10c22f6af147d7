import Compression
import HTTPService
import NIOCore

/// A metrics page as the body of an answer, compressed if that is wanted.
///
/// `@unchecked Sendable`: it is used on the event loop of its connection only (`BodyStream`).
final class MetricsPageBody: BodyStream, @unchecked Sendable {
    /// The length of text or of protobuf, and the number of series, that makes a piece full.
    private static let pieceBytes = 320 << 10

    private let page: any MetricsPage
    private let compressor: GzipCompressor?
    /// True if the last piece was made.
    private(set) var isOver = false

    init(_ page: any MetricsPage, isCompressed: Bool) {
        self.page = page
        compressor = isCompressed ? GzipCompressor() : nil
        compressor?.begin()
    }

    var heldBytes: Int { Self.pieceBytes + (compressor?.byteCount ?? 0) }

    func next() -> ByteBuffer? {
        while !isOver {
            let piece = nextPiece()
            if piece.readableBytes > 0 { return piece }
        }
        return nil
    }

    /// Returns the next piece. It may be empty: a compressor keeps what it gets until there is enough.
    private func nextPiece() -> ByteBuffer {
        guard let compressor else {
            var buffer = ByteBuffer()
            isOver = !page.next { buffer.writeBytes($0) }
            return buffer
        }
        var packed: [UInt8] = []
        isOver = !page.next { compressor.add($0, to: &packed) }
        if isOver { compressor.end(to: &packed) }
        return ByteBuffer(bytes: packed)
    }
}
