import Glibc
package import Model
import Platform
package import Redis
import Synchronization

/// A directory with sockets in it, removed at the end.
package final class SocketDirectory: Sendable {
    package let path: String

    package init() throws {
        var template = Array("/tmp/redis-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        Files.removeTree(path)
    }
}

extension MonotonicTime {
    /// Long enough for any machine; a test that needs it all has failed.
    package static var soon: MonotonicTime { Clock.system.monotonic().advanced(byNanoseconds: 30_000_000_000) }
    package static var shortly: MonotonicTime { Clock.system.monotonic().advanced(byNanoseconds: 100_000_000) }
}

/// Listens on a unix socket. For each entry of the script: waits for bytes of the client, then sends the entry. Then
/// closes and accepts no more, or stays silent until it is deallocated.
package final class ScriptedServer {
    private let directory: SocketDirectory
    private let listener: Int32
    private var thread: OSThread?
    package let socket: String

    /// Without a script nothing is even accepted.
    package init(_ script: [String]? = nil, closesAtEnd: Bool = false) throws {
        directory = try SocketDirectory()
        socket = directory.path + "/fake.sock"
        listener = try UnixSocket.listen(socket)
        guard let script else { return }
        let listener = listener
        thread = try OSThread(name: "scripted") {
            let client = accept(listener, nil, nil)
            defer { close(client) }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            for answer in script {
                if recv(client, &buffer, buffer.count, 0) <= 0 { return }
                let bytes = Array(answer.utf8)
                _ = Glibc.send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            }
            if closesAtEnd { shutdown(listener, Int32(SHUT_RDWR)) }
            while !closesAtEnd && recv(client, &buffer, buffer.count, 0) > 0 {}
        }
    }

    deinit {
        // Ends an accept that no client answered.
        shutdown(listener, Int32(SHUT_RDWR))
        thread?.join()
        close(listener)
    }

    package var endpoint: RedisEndpoint { RedisEndpoint(address: .unix(path: socket)) }
}

package enum UnixSocket {
    package static func listen(_ path: String) throws -> Int32 {
        let descriptor = try make(path) { bind($0, $1, $2) }
        if Glibc.listen(descriptor, 16) != 0 { throw SystemError("listen") }
        return descriptor
    }

    package static func connect(_ path: String) throws -> Int32 {
        try make(path) { Glibc.connect($0, $1, $2) }
    }

    package static func accepts(_ path: String) -> Bool {
        do {
            close(try connect(path))
            return true
        } catch {
            return false
        }
    }

    private static func make(
        _ path: String, _ attach: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                attach(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result != 0 {
            let error = SystemError("socket", path: path)
            close(descriptor)
            throw error
        }
        return descriptor
    }
}
