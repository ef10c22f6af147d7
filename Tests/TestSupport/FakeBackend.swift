import Glibc
import Platform
import Synchronization

/// An HTTP server on a TCP port of its own: answers each request with the next of some answers, one a connection, and
/// those that follow with the last of them.
package final class FakeBackend: Sendable {
    package struct Answer: Sendable {
        let status: Int
        let headers: [String]
        let body: String

        package init(status: Int, headers: [String] = [], body: String = "") {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }

    package let port: UInt16
    private let listener: Int32
    private let thread: OSThread
    private let requests: Requests

    /// The heads of the requests that came.
    private final class Requests: Sendable {
        let heads = Mutex<[String]>([])
    }

    package convenience init(_ statuses: [Int]) throws {
        try self.init(answers: statuses.map { Answer(status: $0) })
    }

    package init(answers: [Answer]) throws {
        let (listener, port) = try TCPSocket.listen("127.0.0.1", backlog: 16)
        self.listener = listener
        self.port = port
        let requests = Requests()
        self.requests = requests
        thread = try OSThread(name: "fake-backend") { Self.serve(listener, answers, requests) }
    }

    /// The lines of each request's head.
    package var heads: [[Substring]] { requests.heads.withLock { $0.map { $0.split(separator: "\r\n") } } }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        thread.join()
        close(listener)
    }

    private static func serve(_ listener: Int32, _ answers: [Answer], _ requests: Requests) {
        var left = answers[...]
        while true {
            let client = accept(listener, nil, nil)
            if client < 0 { return }
            if let head = readRequest(client), let answer = left.first {
                requests.heads.withLock { $0.append(head) }
                let fields = answer.headers + ["Content-Length: \(answer.body.utf8.count)", "Connection: close"]
                let text = "HTTP/1.1 \(answer.status) Said\r\n\(fields.joined(separator: "\r\n"))\r\n\r\n\(answer.body)"
                _ = send(client, text, text.utf8.count, Int32(MSG_NOSIGNAL))
                if left.count > 1 { left.removeFirst() }
            }
            close(client)
        }
    }

    /// Reads the head and the body that it announces; nil where the client hangs up before.
    private static func readRequest(_ client: Int32) -> String? {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var bytes: [UInt8] = []
        while true {
            let count = recv(client, &buffer, buffer.count, 0)
            if count <= 0 { return nil }
            bytes += buffer[..<count]
            text = String(decoding: bytes, as: Unicode.ASCII.self)
            guard let end = text.firstRange(of: "\r\n\r\n") else { continue }
            let lines = text[..<end.lowerBound].lowercased().split(separator: "\r\n")
            let length = lines.first { $0.hasPrefix("content-length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
            if bytes.count >= text[..<end.upperBound].utf8.count + length { return String(text[..<end.lowerBound]) }
        }
    }
}
