import Glibc
import Platform
import TestSupport

/// A trace backend on a TCP port of its own: answers each request with the next of some statuses, one a connection, and
/// those that follow with the last of them.
final class FakeBackend: Sendable {
    let port: UInt16
    private let listener: Int32
    private let thread: OSThread

    init(_ statuses: [Int]) throws {
        let (listener, port) = try TCPSocket.listen("127.0.0.1", backlog: 16)
        self.listener = listener
        self.port = port
        thread = try OSThread(name: "fake-backend") { Self.serve(listener, statuses) }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        thread.join()
        close(listener)
    }

    private static func serve(_ listener: Int32, _ statuses: [Int]) {
        var left = statuses[...]
        while true {
            let client = accept(listener, nil, nil)
            if client < 0 { return }
            if readRequest(client), let status = left.first {
                let answer = "HTTP/1.1 \(status) Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                _ = send(client, answer, answer.utf8.count, Int32(MSG_NOSIGNAL))
                if left.count > 1 { left.removeFirst() }
            }
            close(client)
        }
    }

    /// Reads the head and the body that it announces; false where the client hangs up before.
    private static func readRequest(_ client: Int32) -> Bool {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var bytes: [UInt8] = []
        while true {
            let count = recv(client, &buffer, buffer.count, 0)
            if count <= 0 { return false }
            bytes += buffer[..<count]
            text = String(decoding: bytes, as: Unicode.ASCII.self)
            guard let end = text.firstRange(of: "\r\n\r\n") else { continue }
            let lines = text[..<end.lowerBound].lowercased().split(separator: "\r\n")
            let length = lines.first { $0.hasPrefix("content-length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
            if bytes.count >= text[..<end.upperBound].utf8.count + length { return true }
        }
    }
}
