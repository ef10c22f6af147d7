import CPage
import Compression
import HTTPService
import NIOCore
import NIOHTTP1

/// The files of the status page as they are served. Its document and modules lie in the program (`CPage`).
enum PageFiles {
    struct File: Sendable {
        let contentType: String
        let bytes: [UInt8]
        let packed: [UInt8]
    }

    /// The hash of all files. It is the folder of their addresses, so that a browser may keep them.
    static let hash: String = {
        let digits = String(page_hash(), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }()

    private static let files: [String: File] = {
        var files: [String: File] = [:]
        for index in 0..<page_file_count() {
            let file = page_file_at(index)
            let bytes = Array(UnsafeBufferPointer(start: file.bytes, count: file.count))
            files[String(cString: file.name)] = File(
                contentType: String(cString: file.content_type), bytes: bytes,
                packed: bytes.withUnsafeBytes { GzipCompressor().compress($0) })
        }
        return files
    }()

    private static let shell: String = {
        let file = page_shell()
        return String(decoding: UnsafeBufferPointer(start: file.bytes, count: file.count), as: UTF8.self)
    }()

    /// Returns the document of the page.
    ///
    /// - Parameters:
    ///   - root: The way from the document's address to that of `/`.
    ///   - plain: The HTML that stands in it without script.
    static func document(root: String, title: String, plain: String) -> [UInt8] {
        var rest = shell[...]
        var text = ""
        // One pass replaces the names: what is put in is not searched again.
        while let open = rest.firstRange(of: "{{"), let close = rest[open.upperBound...].firstRange(of: "}}") {
            text += rest[..<open.lowerBound]
            switch rest[open.upperBound..<close.lowerBound] {
            case "assets": text += "\(root)assets/\(hash)"
            case "title": text += PlainHTML.escaped(title)
            case "plain": text += plain
            default: text += rest[open.lowerBound..<close.upperBound]
            }
            rest = rest[close.upperBound...]
        }
        return Array((text + rest).utf8)
    }

    /// Answers a request for one of the files: `hash/name`. Another hash gets the file as it is now, and must not keep
    /// it.
    static func answer(to question: WebQuestion) -> HTTPResponse {
        let parts = String(decoding: question.rest, as: UTF8.self).split(
            separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let file = files[String(parts[1])] else {
            return .text(.notFound, "no such file of the page")
        }
        var response = HTTPResponse(
            .ok, contentType: file.contentType, body: question.acceptsGzip ? file.packed : file.bytes)
        if question.acceptsGzip { response.headers.add(name: "Content-Encoding", value: "gzip") }
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        let isCurrent = parts[0] == hash
        response.headers.add(
            name: "Cache-Control", value: isCurrent ? "public, max-age=31536000, immutable" : "no-cache")
        return response
    }
}
