import CTLS
import Glibc
import Platform
import TestSupport
import Testing

@testable import Redis

/// A TLS session over a pair of sockets, without a server: the far side takes its steps on the same thread, when a test
/// says so. Its certificate is for redis.example and 192.0.2.7; its common name is other.example.
final class TLSFarSide {
    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBhzCCASygAwIBAgIUamLa2EC3775b4M1fL34zy3lwZvAwCgYIKoZIzj0EAwIw
        GDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIw
        MDEwMTAwMDAwMFowGDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTBZMBMGByqGSM49
        AgEGCCqGSM49AwEHA0IABDEaD5n1cQJ2/CwnHDTvoBCOKSYcl9aUiDM8lcSVd9j8
        YT24K5eSinyYhRyWmfwIJ/kw3+3/5eYjJ0yTobKit4CjUjBQMA8GA1UdEwEB/wQF
        MAMBAf8wHgYDVR0RBBcwFYINcmVkaXMuZXhhbXBsZYcEwAACBzAdBgNVHQ4EFgQU
        oLUZ6GD0vZ2FO8wW5yzOf66P3wEwCgYIKoZIzj0EAwIDSQAwRgIhAO7gbgqq+0cu
        lvmXEm63miA1LgT2Xc1ghMyDrc3JcWGWAiEA69AJDqpR8y03r95DAOwILheyqVrQ
        9lpkstbaCw7/6vY=
        -----END CERTIFICATE-----

        """
    /// Its password is "secret".
    private static let key = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgs3Nzf3Hd63gICCAAw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEBHnGN1pbW3EAMsU+BdgCtEEgZBB
        QbA2ia+YEWcXVmQF2ZETbDkaEBQ8WlozYaA50tJjGjypu2EI4xU3OGJtnHohbv38
        lxRjKpLMpT4OmoI3gQyO6mm9vn7ZiGa3GfZdP5Myyac4ZCZmoVB3dhHsUksMb15J
        3g7ASb30pntVJTT+pWghyL3vJ7dD23BJZsCa3/0Zj52FksWvhIQI3joH5gU8p3A=
        -----END ENCRYPTED PRIVATE KEY-----

        """

    let near: RedisStream
    private let folder: SocketDirectory
    private let context: OpaquePointer
    private let session: OpaquePointer
    private let descriptor: Int32

    /// - Parameter trusts: Has the near side trust the certificate.
    init(host: String = "redis.example", trusts: Bool = true, _ change: (inout RedisTLSOptions) -> Void = { _ in })
        throws
    {
        blockBrokenPipes()
        folder = try SocketDirectory()
        let (certificate, key) = (folder.path + "/certificate.pem", folder.path + "/key.pem")
        try Files.replace(certificate, with: Array(Self.certificate.utf8))
        try Files.replace(key, with: Array(Self.key.utf8))
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw SystemError("socketpair") }
        descriptor = ends[1]
        let context = try #require(SSL_CTX_new(TLS_server_method()))
        self.context = context
        var password = Array("secret".utf8CString)
        let isLoaded = password.withUnsafeMutableBytes { password in
            SSL_CTX_set_default_passwd_cb_userdata(context, password.baseAddress)
            defer { SSL_CTX_set_default_passwd_cb_userdata(context, nil) }
            return SSL_CTX_use_certificate_chain_file(context, certificate) == 1
                && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1
        }
        session = try #require(SSL_new(context))
        SSL_set_fd(session, ends[1])
        SSL_set_accept_state(session)
        var options = RedisTLSOptions()
        options.caFile = trusts ? certificate : nil
        change(&options)
        let endpoint = RedisEndpoint(address: .tcp(host: host, port: 6379))
        let near = try TLSContext(options).makeSession(ends[0], to: endpoint)
        self.near = RedisStream(ends[0], tls: near, name: endpoint.name)
        try #require(isLoaded)
    }

    deinit {
        SSL_free(session)
        SSL_CTX_free(context)
        end()
    }

    private var isOpen = true

    /// Closes the far socket without a word.
    func end() {
        if isOpen { close(descriptor) }
        isOpen = false
    }

    /// Ends the session as TLS has it.
    func sayGoodbye() { SSL_shutdown(session) }

    /// Puts bytes on the wire as they are.
    func sendPlain(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

    func send(_ bytes: [UInt8]) -> Int { Int(SSL_write(session, bytes, Int32(bytes.count))) }

    /// Reads what is there.
    func receive() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var all: [UInt8] = []
        while case let count = SSL_read(session, &buffer, Int32(buffer.count)), count > 0 {
            all += buffer[..<Int(count)]
        }
        return all
    }

    /// Shakes hands, step by step in turns, until the near side waits for nothing.
    func shakeHands() throws(RedisError) -> StreamProgress {
        for _ in 0..<20 {
            let progress = try near.handshake()
            if case .wait = progress { SSL_do_handshake(session) } else { return progress }
        }
        return .wait(0)
    }
}

/// Has OpenSSL's writes to a socket that is closed fail in this thread, as they do in the program, which ignores SIGPIPE.
func blockBrokenPipes() {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &set, nil)
}

extension StreamProgress {
    var words: String {
        switch self {
        case .bytes(let count): "\(count) bytes"
        case .wait(let events): "wait for \(events == POLLIN ? "input" : events == POLLOUT ? "output" : "\(events)")"
        case .closed: "closed"
        }
    }
}

extension RedisStream {
    func send(_ bytes: [UInt8]) throws -> String { try bytes.withUnsafeBytes { try send($0).words } }

    /// What one step of reading gives, with space for so many bytes.
    func receive(_ count: Int) throws -> String {
        var buffer = [UInt8](repeating: 0, count: count)
        return try buffer.withUnsafeMutableBytes { try receive($0).words }
    }
}
