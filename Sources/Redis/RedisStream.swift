import Glibc
import Platform

/// A connected, non-blocking socket, plain or under TLS, which is closed with this object.
final class RedisStream {
    let descriptor: Int32
    private let tls: TLSSession?
    /// The name of the far side, for error messages.
    private let name: String

    init(_ descriptor: Int32, tls: TLSSession?, name: String) {
        self.descriptor = descriptor
        self.tls = tls
        self.name = name
    }

    deinit {
        close(descriptor)
    }

    /// Takes one step of the TLS handshake; a plain stream is done at once.
    /// - Throws: `RedisError` where the handshake fails.
    func handshake() throws(RedisError) -> StreamProgress {
        try tls?.handshake() ?? .bytes(0)
    }

    /// Sends as many bytes as the socket takes.
    /// - Throws: `RedisError` where the socket fails.
    func send(_ bytes: UnsafeRawBufferPointer) throws(RedisError) -> StreamProgress {
        if let tls { return try tls.send(bytes) }
        let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        if count >= 0 { return .bytes(count) }
        if errno == EAGAIN || errno == EINTR { return .wait(Int16(POLLOUT)) }
        throw RedisError(SystemError("sending to \(name)"))
    }

    /// Receives as many bytes as are there and fit.
    /// - Throws: `RedisError` where the socket fails.
    func receive(_ buffer: UnsafeMutableRawBufferPointer) throws(RedisError) -> StreamProgress {
        if let tls { return try tls.receive(buffer) }
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        if count > 0 { return .bytes(count) }
        if count == 0 { return .closed }
        if errno == EAGAIN || errno == EINTR { return .wait(Int16(POLLIN)) }
        throw RedisError(SystemError("reading from \(name)"))
    }

    /// True if there is more to receive without another poll.
    var hasPendingBytes: Bool { tls?.hasPendingBytes ?? false }
}
