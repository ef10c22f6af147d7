import Compression
import HTTPService
package import Model
import NIOCore
import NIOHTTP1
import Platform
import Synchronization

/// A JSON document that several clients get, with its bytes packed once for all of them.
package final class CachedDocument: Sendable {
    let etag: String
    private let bytes: ByteBuffer
    private let packed = Mutex<ByteBuffer?>(nil)

    /// - Parameter changing: The number of bytes at the beginning that say when it was made. A document that differs
    ///   from another in them alone counts as the same.
    init(_ bytes: [UInt8], changing: Int) {
        let checksum = bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[changing...])) }
        // The tag is weak, because the packed bytes are others.
        etag = "W/\"\(checksum)-\(bytes.count - changing)\""
        self.bytes = ByteBuffer(bytes: bytes)
    }

    private var gzip: ByteBuffer {
        packed.withLock { packed in
            if let packed { return packed }
            let made = ByteBuffer(bytes: bytes.withUnsafeReadableBytes { GzipCompressor().compress($0) })
            packed = made
            return made
        }
    }

    /// Returns 304 where the client has the document already.
    func answer(to question: WebQuestion) -> HTTPResponse {
        let known = question.headers[canonicalForm: "if-none-match"]
        var response = HTTPResponse(.ok, contentType: "application/json")
        if known.contains(where: { $0 == etag || $0 == "*" }) {
            response = HTTPResponse(.notModified)
        } else if question.acceptsGzip {
            response.body = gzip
            response.headers.add(name: "Content-Encoding", value: "gzip")
        } else {
            response.body = bytes
        }
        response.headers.add(name: "ETag", value: etag)
        response.headers.add(name: "Cache-Control", value: "no-cache")
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        return response
    }
}

/// Documents that are made once for each version of the state, and at most once a second, however many clients ask.
package final class DocumentCache: Sendable {
    private static let maxDocuments = 32
    private static let leastLifetime = Duration.seconds(1)

    private struct Made {
        let version: UInt64
        let time: MonotonicTime
        let document: CachedDocument

        func isCurrent(_ version: UInt64, at now: MonotonicTime) -> Bool {
            self.version == version || now.duration(since: time) < leastLifetime
        }
    }

    private let made = Mutex<[String: Made]>([:])

    package init() {}

    /// - Parameters:
    ///   - version: The version of the state that the document shows.
    ///   - make: Returns the bytes, and the number of those at the beginning that say when they were made.
    package func document(
        _ key: String, version: UInt64, at now: MonotonicTime, make: () -> (bytes: [UInt8], changing: Int)
    ) -> CachedDocument {
        known(key, version, at: now) ?? keep(key, make(), version, at: now)
    }

    /// Returns the same for a document that may not exist; its absence is not remembered.
    package func existing(
        _ key: String, version: UInt64, at now: MonotonicTime, make: () -> (bytes: [UInt8], changing: Int)?
    ) -> CachedDocument? {
        known(key, version, at: now) ?? make().map { keep(key, $0, version, at: now) }
    }

    private func known(_ key: String, _ version: UInt64, at now: MonotonicTime) -> CachedDocument? {
        made.withLock { $0[key] }.flatMap { $0.isCurrent(version, at: now) ? $0.document : nil }
    }

    private func keep(
        _ key: String, _ new: (bytes: [UInt8], changing: Int), _ version: UInt64, at now: MonotonicTime
    ) -> CachedDocument {
        let document = CachedDocument(new.bytes, changing: new.changing)
        made.withLock { made in
            made = made.filter { $0.value.isCurrent(version, at: now) }
            if made.count >= Self.maxDocuments { made = [:] }
            made[key] = Made(version: version, time: now, document: document)
        }
        return document
    }
}
