import Glibc
import NIOCore
import NIOPosix
import Platform
import Synchronization
import Testing

@testable import HTTPService

@Suite("The listeners of a server", .timeLimit(.minutes(1)))
final class HTTPServerTests {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let folder: String
    private let path: String

    init() throws {
        var template = Array("/tmp/http-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = folder + "/s.sock"
    }

    deinit {
        try? group.syncShutdownGracefully()  // It fails only where it was shut down before.
        Files.removeTree(folder)
    }

    private func server(
        _ addresses: [ListenAddress]? = nil, mode: UInt32 = 0o660, http2: Bool = false,
        limits: HTTPLimits = HTTPLimits()
    ) throws -> HTTPServer {
        try HTTPServer(
            addresses ?? [.unix(path: path)], unixSocket: UnixSocketOptions(mode: mode), http2: http2, limits: limits,
            group: group, responder: LengthResponder())
    }

    /// A connection to a path; nil where none is accepted.
    private func connection(_ path: String) -> Int32? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if UnixAddress.with(path, { connect(descriptor, $0, $1) }) == 0 { return descriptor }
        close(descriptor)
        return nil
    }

    private func send(_ text: String, on descriptor: Int32) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// What comes until the other side closes.
    private func rest(of descriptor: Int32) -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 { all += buffer.prefix(count) }
        return String(decoding: all, as: UTF8.self)
    }

    /// The answer to a request over a connection of its own; nil where none is accepted.
    private func answer(_ path: String, _ request: String = "GET / HTTP/1.0\r\n\r\n") -> String? {
        guard let descriptor = connection(path) else { return nil }
        defer { close(descriptor) }
        send(request, on: descriptor)
        return rest(of: descriptor)
    }

    private func mode(_ path: String) -> UInt32? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
    }

    @Test("A unix socket has its mode, and its requests are answered until the server ends; then its file is gone")
    func unixSocket() throws {
        let server = try server(mode: 0o600)
        #expect(mode(path) == 0o600 && server.addresses == [.unix(path: path)] && server.unreachableSocket == nil)
        #expect(answer(path)?.hasPrefix("HTTP/1.0 200 OK\r\n") == true)
        server.quiesce()
        #expect(mode(path) == nil && answer(path) == nil)
        server.close()
    }

    @Test("An abstract socket has no file that could be lost")
    func abstract() throws {
        let name = "@asynq-collector-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let server = try server([.unix(path: name)])
        #expect(answer(name)?.hasPrefix("HTTP/1.0 200 OK\r\n") == true && server.unreachableSocket == nil)
        server.quiesce()
        server.close()
        #expect(connection(name) == nil)
    }

    @Test("The port that the system chooses is told, and each address stands in its place")
    func ports() throws {
        let server = try server([.tcp(host: "127.0.0.1", port: 0), .unix(path: path)])
        let port = try #require(server.addresses.first?.port)
        #expect(port > 0 && server.addresses == [.tcp(host: "127.0.0.1", port: port), .unix(path: path)])
        let failure = #expect(throws: ListenError.self) { try self.server([.tcp(host: "127.0.0.1", port: port)]) }
        #expect(failure?.description == "listening on 127.0.0.1:\(port): the address is already in use")
        server.quiesce()
        server.close()
    }

    @Test("What can't be bound says why: an address that another entry has, and one that the machine has not")
    func taken() throws {
        let first = try server([.tcp(host: "127.0.0.1", port: 0)])
        let port = try #require(first.addresses.first?.port)
        first.quiesce()
        first.close()
        func failure(_ addresses: ListenAddress...) -> String? {
            #expect(throws: ListenError.self) { try self.server(addresses) }?.description
        }
        let address = ListenAddress.tcp(host: "127.0.0.1", port: port)
        #expect(
            failure(address, address)
                == "listening on \(address): the address is already in use")
        #expect(
            failure(.tcp(host: "192.0.2.1", port: 0)) == "listening on 192.0.2.1:0: this machine has no such address")
        // Those that were bound before are closed.
        let again = try server([address])
        again.quiesce()
        again.close()
    }

    @Test("A name is bound at all its addresses that the machine has, at one port")
    func name() throws {
        let server = try server([.tcp(host: "localhost", port: 0), .anyAddress(port: 0)])
        let ports = server.addresses.map(\.port)
        #expect(ports.count == 2 && ports.allSatisfy { ($0 ?? 0) > 0 })
        #expect(server.addresses[0] == .tcp(host: "localhost", port: ports[0] ?? 0))
        server.quiesce()
        server.close()
    }

    @Test("Where one address can't be bound, none stays open")
    func noneStaysOpen() throws {
        let taken = folder + "/file"
        try Files.replace(taken, with: [1])
        let failure = #expect(throws: ListenError.self) { try server([.unix(path: path), .unix(path: taken)]) }
        #expect(failure?.address == "unix://" + taken || failure?.address == taken)
        #expect(failure?.problem == "the path exists and is not a socket; remove it or choose another one")
        #expect(mode(path) == nil && connection(path) == nil)
        #expect(try Files.read(taken) == [1])
    }

    @Test("HTTP/2 is spoken where it is wished for, and told by its preface")
    func http2() throws {
        let preface =
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + String(repeating: "\0", count: 3) + "\u{4}"
            + String(
                repeating: "\0", count: 5)
        let other = folder + "/2.sock"
        let (plain, both) = (try server(), try server([.unix(path: other)], http2: true))
        #expect(answer(path, preface)?.hasPrefix("HTTP/1.1 ") == true)
        #expect(answer(other)?.hasPrefix("HTTP/1.0 200 OK\r\n") == true)
        let descriptor = try #require(connection(other))
        send(preface, on: descriptor)
        // The first frame of a server is SETTINGS: its type stands behind the length.
        var head = [UInt8](repeating: 0xFF, count: 9)
        #expect(recv(descriptor, &head, head.count, Int32(MSG_WAITALL)) == 9 && head[3] == 4)
        close(descriptor)
        for server in [plain, both] {
            server.quiesce()
            server.close()
        }
    }

    @Test("Connections are counted, end after their present request once the server ends, or are cut off")
    func connections() throws {
        let server = try server()
        let (busy, idle) = (try #require(connection(path)), try #require(connection(path)))
        send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", on: idle)
        var byte: UInt8 = 0
        #expect(recv(idle, &byte, 1, 0) == 1 && byte == UInt8(ascii: "H"))
        send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", on: busy)
        // Both are accepted once a third one, behind them, has its answer.
        #expect(answer(path) != nil)
        #expect(server.openConnections >= 2)
        server.quiesce()
        #expect(rest(of: idle).hasPrefix("TTP/1.1 200 OK\r\n"))
        server.close()
        #expect(!rest(of: busy).contains("200 OK"))
        close(busy)
        close(idle)
    }

    // MARK: A file that is lost

    private func listener(_ responder: LengthResponder = LengthResponder()) throws -> UnixListener {
        let group = group
        return try UnixListener(
            path: path, options: UnixSocketOptions(), backlog: 16,
            makeBootstrap: {
                ServerBootstrap(group: group).childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try HTTPServer.addHandlers(
                            to: channel.pipeline.syncOperations, http2: false, responder, HTTPLimits())
                    }
                }
            })
    }

    /// The event of a look at the file; the look must have one.
    private func look(_ listener: UnixListener) throws -> SocketFileEvent {
        let event = group.next().makePromise(of: SocketFileEvent.self)
        listener.reopenIfLost { event.succeed($0) }
        return try event.futureResult.wait()
    }

    @Test("A socket whose file is removed listens anew at the same path")
    func reopened() throws {
        let listener = try listener()
        listener.reopenIfLost { _ in Issue.record("nothing is lost") }
        unlink(path)
        #expect(!listener.isReachable)
        #expect(try look(listener) == .reopened(path: path))
        #expect(listener.isReachable && mode(path) == 0o660)
        #expect(answer(path)?.hasPrefix("HTTP/1.0 200 OK\r\n") == true)
        listener.close()
        #expect(mode(path) == nil)
    }

    @Test("What others put in its place is left alone, told once, and told again when the socket is back")
    func replaced() throws {
        let listener = try listener()
        let events = Mutex<[SocketFileEvent]>([])
        unlink(path)
        try Files.replace(path, with: [1])
        for _ in 0..<3 { listener.reopenIfLost { event in events.withLock { $0.append(event) } } }
        let problem = "the path exists and is not a socket; remove it or choose another one"
        #expect(events.withLock { $0 } == [.unreachable(path: path, problem: problem)])
        #expect(try Files.read(path) == [1])
        unlink(path)
        #expect(try look(listener) == .reopened(path: path))
        // A problem that comes back is news.
        unlink(path)
        try Files.replace(path, with: [1])
        #expect(try look(listener) == .unreachable(path: path, problem: problem))
        listener.close()
        #expect(try Files.read(path) == [1])
    }

    @Test("One that is closed does not listen anew, and the file of another one stays")
    func closed() throws {
        let listener = try listener()
        unlink(path)
        let other = try self.listener()
        listener.close()
        #expect(mode(path) != nil && other.isReachable)
        #expect(answer(path)?.hasPrefix("HTTP/1.0 200 OK\r\n") == true)
        other.close()
    }

    @Test("A server names the socket that its clients can't reach")
    func unreachable() throws {
        let other = folder + "/2.sock"
        let server = try server([.unix(path: path), .tcp(host: "127.0.0.1", port: 0), .unix(path: other)])
        #expect(server.unreachableSocket == nil)
        // A server that ends has removed its files, and makes none anew.
        server.quiesce()
        #expect(server.unreachableSocket == .unix(path: path))
        server.close()
    }
}
