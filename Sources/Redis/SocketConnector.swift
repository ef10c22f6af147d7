import Glibc
import Model
import Platform

/// Opens a non-blocking, connected socket within a deadline.
struct SocketConnector {
    let clock: Clock
    let deadline: MonotonicTime
    /// Ends the wait early when it wakes; not drained here.
    let interrupt: Waker?
    var resolver = NameResolver.system

    func connect(to endpoint: RedisEndpoint) throws(RedisError) -> Int32 {
        switch endpoint.address {
        case .unix(let path): return try connectUnix(path)
        case .tcp(let host, let port):
            let addresses = try resolver.addresses(
                of: host, port, clock: clock, deadline: deadline, interrupt: interrupt)
            return try connect(toFirstOf: addresses, "\(host):\(port)")
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
        let whole = withUnsafeBytes(of: &address) { Array($0) }
        return try open(SocketAddress(family: AF_UNIX, bytes: whole), "unix:\(path)", deadline: deadline)
    }

    /// Tries each address of the host until one accepts. One that is silent (a host may have an IPv6 address that leads
    /// nowhere) takes an equal share of the time, not all of it.
    func connect(toFirstOf addresses: [SocketAddress], _ name: String) throws(RedisError) -> Int32 {
        var last = RedisError(.connection, "\(name) has no address")
        for (index, address) in addresses.enumerated() {
            let now = clock.monotonic()
            let share = Self.share(of: deadline.duration(since: now), remaining: addresses.count - index)
            do throws(RedisError) {
                return try open(address, name, deadline: now.advanced(by: share))
            } catch {
                last = error
            }
        }
        throw last
    }

    /// Of the time that is left, for the next of so many addresses; the last one has it all.
    static func share(of left: Duration, remaining: Int) -> Duration {
        left / max(remaining, 1)
    }

    private func open(_ address: SocketAddress, _ name: String, deadline: MonotonicTime) throws(RedisError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        if descriptor < 0 { throw RedisError(SystemError("socket")) }
        do throws(RedisError) {
            let code = address.bytes.withUnsafeBytes { bytes in
                Glibc.connect(
                    descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            }
            if code != 0 {
                // EAGAIN: the queue of a unix socket is full, and nothing is on its way.
                if errno != EINPROGRESS { throw RedisError(SystemError("connecting to Redis at \(name)")) }
                try awaitConnection(descriptor, name, deadline: deadline)
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

    private func awaitConnection(_ descriptor: Int32, _ name: String, deadline: MonotonicTime) throws(RedisError) {
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
