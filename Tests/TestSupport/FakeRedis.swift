import Glibc
import Model
import Platform
package import Redis
import Synchronization

/// What a `FakeRedis` does about a command.
package enum FakeAnswer: Sendable {
    case send(String)
    case sendAndClose(String)
    /// Nothing, and nothing to what comes later over this connection.
    case silence
    case close

    package static let ok = FakeAnswer.send("+OK\r\n")

    fileprivate static func send(_ descriptor: Int32, _ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Ends the connection, and waits until the far side's kernel knows.
    fileprivate static func end(_ descriptor: Int32) {
        shutdown(descriptor, Int32(SHUT_WR))
        awaitDelivery(descriptor)
    }

    /// Waits until the far side's kernel has acknowledged all that was sent.
    fileprivate static func awaitDelivery(_ descriptor: Int32) {
        // `struct tcp_info`: the segments in flight are its UInt32 at 24.
        var info = [UInt8](repeating: 0, count: 104)
        var size = socklen_t(info.count)
        while getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &size) == 0,
            info[24..<28].contains(where: { $0 != 0 })
        {
            poll(nil, 0, 1)
        }
    }
}

/// Speaks Redis' protocol on a TCP port of its own, over any number of connections, and answers as a test says.
package final class FakeRedis: Sendable {
    /// Connections are counted from 0.
    package typealias Answer = @Sendable (_ connection: Int, _ words: [String]) -> FakeAnswer

    fileprivate struct Client {
        let number: Int
        let descriptor: Int32
        var received: [UInt8] = []
        var isSilent = false
    }

    fileprivate struct State {
        var commands: [(connection: Int, words: [String])] = []
        var connections = 0
        /// Connections that were ended here.
        var ended = 0
        var open: [Int32] = []
    }

    /// What the thread knows; it may outlast the one that ends it by a moment.
    fileprivate final class Core: Sendable {
        let listener: Int32
        let waker: Waker
        let state = Mutex(State())
        let greeting: FakeAnswer?
        let answersLogin: Bool
        let answer: Answer

        init(_ listener: Int32, _ greeting: FakeAnswer?, answersLogin: Bool, _ answer: @escaping Answer) throws {
            self.listener = listener
            self.greeting = greeting
            self.answersLogin = answersLogin
            self.answer = answer
            waker = try Waker()
        }
    }

    package let port: UInt16
    private let core: Core
    private let thread: OSThread

    /// The login's CLIENT SETNAME is answered here, unless the test answers it; `greeting` is sent to each client that connects.
    package init(greeting: FakeAnswer? = nil, answersLogin: Bool = true, _ answer: @escaping Answer) throws {
        let listener = try TCPSocket.listen("127.0.0.1", backlog: 64)
        port = listener.port
        let core = try Core(listener.descriptor, greeting, answersLogin: answersLogin, answer)
        self.core = core
        thread = try OSThread(name: "fake-redis") { core.run() }
    }

    deinit {
        core.waker.wake()
        thread.join()
        close(core.listener)
    }

    package var address: RedisEndpoint.Address { .tcp(host: "127.0.0.1", port: port) }
    package var endpoint: RedisEndpoint { RedisEndpoint(address: address) }
    /// Made so far.
    package var connections: Int { core.state.withLock { $0.connections } }

    /// The commands that have come in, without the logins.
    package var commands: [[String]] { core.state.withLock { $0.commands.map(\.words).filter { $0[0] != "CLIENT" } } }

    /// Sends to all that are connected, unasked, and waits until it is there.
    package func push(_ text: String) {
        for descriptor in core.state.withLock({ $0.open }) {
            FakeAnswer.send(descriptor, text)
            FakeAnswer.awaitDelivery(descriptor)
        }
    }

    /// Waits until a connection has been ended here, and the far side can see it.
    package func awaitEnd() {
        while core.state.withLock({ $0.ended }) == 0, Clock.system.monotonic() < deadline { poll(nil, 0, 1) }
    }

    private let deadline = MonotonicTime.soon
}

extension FakeRedis.Core {
    func run() {
        var clients: [FakeRedis.Client] = []
        defer { for client in clients { close(client.descriptor) } }
        while true {
            var entries = ([waker.descriptor, listener] + clients.map(\.descriptor)).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            poll(&entries, nfds_t(entries.count), -1)
            if entries[0].revents != 0 { return }
            for (index, entry) in entries.dropFirst(2).enumerated().reversed() where entry.revents != 0 {
                if serve(&clients[index]) { continue }
                let descriptor = clients.remove(at: index).descriptor
                state.withLock { $0.open.removeAll { $0 == descriptor } }
                close(descriptor)
            }
            if entries[1].revents != 0 { welcome(&clients) }
        }
    }

    private func welcome(_ clients: inout [FakeRedis.Client]) {
        let descriptor = accept(listener, nil, nil)
        // Replies to the commands of a transaction are small and many; none waits for the far side's acknowledgement.
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        let number = state.withLock { state in
            defer { state.connections += 1 }
            state.open.append(descriptor)
            return state.connections
        }
        var client = FakeRedis.Client(number: number, descriptor: descriptor)
        if let greeting, !perform(greeting, &client) {
            state.withLock { $0.open.removeAll { $0 == descriptor } }
            close(descriptor)
            return
        }
        clients.append(client)
    }

    /// False once the connection is to be closed.
    private func serve(_ client: inout FakeRedis.Client) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(client.descriptor, &buffer, buffer.count, 0)
        if count <= 0 { return false }
        client.received += buffer[..<count]
        while !client.isSilent, let words = Self.takeCommand(&client.received) {
            state.withLock { $0.commands.append((client.number, words)) }
            let isLogin = answersLogin && words.prefix(2) == ["CLIENT", "SETNAME"]
            if !perform(isLogin ? .ok : answer(client.number, words), &client) { return false }
        }
        return true
    }

    private func perform(_ answer: FakeAnswer, _ client: inout FakeRedis.Client) -> Bool {
        switch answer {
        case .send(let text): FakeAnswer.send(client.descriptor, text)
        case .sendAndClose(let text):
            FakeAnswer.send(client.descriptor, text)
            return end(client)
        case .silence: client.isSilent = true
        case .close: return end(client)
        }
        return true
    }

    private func end(_ client: FakeRedis.Client) -> Bool {
        FakeAnswer.end(client.descriptor)
        state.withLock { $0.ended += 1 }
        return false
    }

    /// `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`; nil while it is not all there.
    private static func takeCommand(_ bytes: inout [UInt8]) -> [String]? {
        var rest = bytes[...]
        func number() -> Int? {
            guard let end = rest.firstIndex(of: 10) else { return nil }
            defer { rest = rest[(end + 1)...] }
            return Int(String(decoding: rest[rest.startIndex..<end - 1].dropFirst(), as: UTF8.self))
        }
        guard let count = number() else { return nil }
        var words: [String] = []
        for _ in 0..<count {
            guard let size = number(), rest.count >= size + 2 else { return nil }
            words.append(String(decoding: rest.prefix(size), as: UTF8.self))
            rest = rest.dropFirst(size + 2)
        }
        bytes = Array(rest)
        return words
    }
}

package enum TCPSocket {
    /// A listener on a port that the kernel chooses, or on `port`.
    package static func listen(_ host: String, port: UInt16 = 0, backlog: Int32) throws -> (
        descriptor: Int32, port: UInt16
    ) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                if bind(descriptor, pointer, size) != 0 || Glibc.listen(descriptor, backlog) != 0 { return Int32(-1) }
                return getsockname(descriptor, pointer, &size)
            }
        }
        if code != 0 { throw SystemError("listening on \(host)") }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }
}

/// What was thrown, if anything was.
package func failure(_ body: () throws -> Void) -> RedisError? {
    do {
        try body()
        return nil
    } catch {
        return error as? RedisError
    }
}
