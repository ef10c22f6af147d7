import Glibc
import Model
import Platform

/// Opens a non-blocking, connected socket within a deadline. (Name resolution is the C library's and has its own limits.)
struct SocketConnector {
    let clock: Clock
    let deadline: MonotonicTime
    /// Ends the wait early when it wakes; not drained here.
    let interrupt: Waker?

    func connect(to endpoint: RedisEndpoint) throws(RedisError) -> Int32 {
        switch endpoint.address {
        case .unix(let path): return try connectUnix(path)
        case .tcp(let host, let port): return try connectTCP(host, port)
        }
    }

    private func connectUnix(_ path: String) throws(RedisError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw RedisError(.connection, "the socket path \(path) is longer than 107 bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let count = socklen_t(MemoryLayout<sockaddr_un>.size)
        return try withUnsafePointer(to: &address) { pointer throws(RedisError) in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer throws(RedisError) in
                try open(AF_UNIX, pointer, count, "unix:\(path)")
            }
        }
    }

    /// Tries each address of the host until one accepts.
    private func connectTCP(_ host: String, _ port: UInt16) throws(RedisError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        guard code == 0 else {
            throw RedisError(.connection, "resolving \(host): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(found) }
        var last = RedisError(.connection, "\(host) has no address")
        var next = found
        while let entry = next?.pointee {
            do throws(RedisError) {
                return try open(entry.ai_family, entry.ai_addr, entry.ai_addrlen, "\(host):\(port)")
            } catch {
                last = error
            }
            next = entry.ai_next
        }
        throw last
    }

    private func open(
        _ family: Int32, _ address: UnsafePointer<sockaddr>, _ count: socklen_t, _ name: String
    ) throws(RedisError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        if descriptor < 0 { throw RedisError(SystemError("socket")) }
        do throws(RedisError) {
            if Glibc.connect(descriptor, address, count) != 0 {
                if errno != EINPROGRESS && errno != EAGAIN {
                    throw RedisError(SystemError("connecting to Redis at \(name)"))
                }
                try awaitConnection(descriptor, name)
            }
        } catch {
            close(descriptor)
            throw error
        }
        if family != AF_UNIX {
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        return descriptor
    }

    private func awaitConnection(_ descriptor: Int32, _ name: String) throws(RedisError) {
        var entries = [pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)]
        guard try RedisExchange.poll(&entries, clock: clock, deadline: deadline, interrupt: interrupt) else {
            throw RedisError(.timeout, "connecting to Redis at \(name): timed out")
        }
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        if code != 0 { throw RedisError(SystemError("connecting to Redis at \(name)", code: code)) }
    }
}
