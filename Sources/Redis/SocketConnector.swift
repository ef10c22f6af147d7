import Glibc
import Model
import Platform

/// Opens a non-blocking, connected socket within a deadline.
struct SocketConnector {
    let clock: Clock
    let deadline: MonotonicTime
    /// The waker that ends the wait early; it is not drained here.
    let interrupt: Waker?
    var resolver = NameResolver.system

    /// Returns the addresses of the endpoint, in the order in which they are tried.
    /// - Throws: `RedisError` where the name can't be looked up in time.
    func addresses(of endpoint: RedisEndpoint) throws(RedisError) -> [SocketAddress] {
        switch endpoint.address {
        case .unix(let path): [try Self.unixAddress(path)]
        case .tcp(let host, let port):
            try resolver.addresses(of: host, port, clock: clock, deadline: deadline, interrupt: interrupt)
        }
    }

    private static func unixAddress(_ path: String) throws(RedisError) -> SocketAddress {
        guard path.utf8.count <= UnixAddress.maxPathBytes else {
            throw RedisError(.connection, "the socket path \(path) is longer than \(UnixAddress.maxPathBytes) bytes")
        }
        let bytes = UnixAddress.with(path) { Array(UnsafeRawBufferPointer(start: $0, count: Int($1))) }
        return SocketAddress(family: AF_UNIX, bytes: bytes)
    }

    /// Connects to one address; `name` says in errors whose it is.
    /// - Throws: `RedisError` where no connection is made before the deadline.
    func open(_ address: SocketAddress, _ name: String) throws(RedisError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        if descriptor < 0 { throw RedisError(SystemError("socket")) }
        do throws(RedisError) {
            let code = address.bytes.withUnsafeBytes { bytes in
                Glibc.connect(
                    descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            }
            if code != 0 {
                // EAGAIN says that the queue of a unix socket is full, and that no connection is on its way.
                if errno != EINPROGRESS { throw RedisError(SystemError("connecting to \(name)")) }
                try awaitConnection(descriptor, name)
            }
        } catch {
            close(descriptor)
            throw error
        }
        if address.family != AF_UNIX {
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        return descriptor
    }

    private func awaitConnection(_ descriptor: Int32, _ name: String) throws(RedisError) {
        var entries = [pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)]
        guard try RedisExchange.poll(&entries, clock: clock, deadline: deadline, interrupt: interrupt) else {
            throw RedisError(.timeout, "connecting to \(name): timed out")
        }
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        if code != 0 { throw RedisError(SystemError("connecting to \(name)", code: code)) }
    }
}
