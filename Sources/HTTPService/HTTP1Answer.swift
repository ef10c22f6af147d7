import NIOCore
import NIOHTTP1

/// An answer of HTTP/1.1 as it is written, but for the pieces of a stream.
struct HTTP1Answer: Equatable {
    /// The size from which answers count against the limit of answers that are not read yet.
    static let largeBytes = 16 << 10

    let head: HTTPResponseHead
    /// The body; nil where none follows the head.
    let body: ByteBuffer?
    /// The bytes of the limit of unread answers that the body holds, to be returned once it is written.
    var heldBytes = 0
    /// True if the body is written in chunks, and more of them follow.
    var isChunked = false

    var bodyBytes: Int { body?.readableBytes ?? 0 }

    /// The answer to bytes that are not HTTP.
    static var badRequest: HTTP1Answer {
        let headers: HTTPHeaders = ["Connection": "close", "Content-Length": "0"]
        return HTTP1Answer(
            head: HTTPResponseHead(version: .http1_1, status: .badRequest, headers: headers), body: nil)
    }

    /// Writes the head (RFC 9112, 4 and 5), into space that is asked for once. Bytes in a field's value that would end it are
    /// written as spaces.
    func writeHead(into buffer: inout ByteBuffer) {
        let version = head.version == .http1_0 ? "HTTP/1.0 " : "HTTP/1.1 "
        let status = head.status == .ok ? "200 OK" : "\(head.status.code) \(head.status.reasonPhrase)"
        var size = version.utf8.count + status.utf8.count + 4
        for (name, value) in head.headers { size += name.utf8.count + value.utf8.count + 4 }
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { space in
            var count = 0
            func write(_ text: String) -> Range<Int> {
                let start = count
                var text = text
                text.withUTF8 { bytes in
                    UnsafeMutableRawBufferPointer(rebasing: space[start...]).copyMemory(
                        from: UnsafeRawBufferPointer(bytes))
                    count += bytes.count
                }
                return start..<count
            }
            _ = write(version)
            _ = write(status)
            for (name, value) in head.headers {
                _ = write("\r\n")
                _ = write(name)
                _ = write(": ")
                for index in write(value) where space[index] < 14 {
                    if space[index] == 13 || space[index] == 10 || space[index] == 0 { space[index] = 32 }
                }
            }
            _ = write("\r\n\r\n")
            return count
        }
    }
}

/// The form of the answer that the head of a request asks for.
struct AnswerForm {
    private let version: HTTPVersion
    private let omitsBody: Bool
    /// True if the connection goes on after the answer.
    private(set) var keepsAlive: Bool

    init(_ head: HTTPRequestHead) {
        version = head.version
        omitsBody = head.method == .HEAD
        // After a request to upgrade the parser expects another protocol, and would not see the next request.
        keepsAlive = head.isKeepAlive && !head.headers.contains(name: "upgrade") && head.method != .CONNECT
    }

    /// True if the client can be told by chunks where a body of unknown length ends.
    var knowsChunks: Bool { version != .http1_0 }

    mutating func makeLast() {
        keepsAlive = false
    }

    /// Returns the bytes of a response that are in memory until the client has read it.
    func heldBytes(by response: HTTPResponse) -> Int {
        omitsBody ? 0 : response.body.readableBytes + (response.stream?.heldBytes ?? 0)
    }

    /// Returns the stream that follows a response's body, where that is written. Chunks tell its end. A client that
    /// does not know chunks learns it from the end of the connection, and so does one that asked for the head alone.
    mutating func stream(of response: HTTPResponse) -> (any BodyStream)? {
        guard let stream = response.stream else { return nil }
        if omitsBody || !knowsChunks { makeLast() }
        return omitsBody ? nil : stream
    }

    func answer(_ response: HTTPResponse, heldBytes: Int = 0) -> HTTP1Answer {
        var headers = response.headers
        if !response.status.mayHaveResponseBody {
            headers.remove(name: "Content-Length")
        } else if response.stream == nil {
            headers.replaceOrAdd(name: "Content-Length", value: String(response.body.readableBytes))
        } else if knowsChunks {
            headers.replaceOrAdd(name: "Transfer-Encoding", value: "chunked")
        }
        if !keepsAlive {
            headers.replaceOrAdd(name: "Connection", value: "close")
        } else if version == .http1_0 {
            headers.replaceOrAdd(name: "Connection", value: "keep-alive")
        }
        return HTTP1Answer(
            head: HTTPResponseHead(version: version, status: response.status, headers: headers),
            body: omitsBody || response.body.readableBytes == 0 ? nil : response.body, heldBytes: heldBytes,
            isChunked: response.stream != nil && knowsChunks)
    }
}
