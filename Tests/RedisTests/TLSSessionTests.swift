import Glibc
import Model
import Platform
import TestSupport
import Testing

@testable import Redis

@Suite("A TLS session")
struct TLSSessionTests {
    /// A case of the table: what is expected, and of whom.
    struct Name: Sendable, CustomTestStringConvertible {
        let host: String
        var serverName: String?
        var skips = false
        var trusts = true
        /// A part of the refusal; nil where the certificate is accepted.
        var refusal: String?

        var testDescription: String { "\(host) \(serverName ?? "") \(skips) \(trusts)" }
    }

    private static let mismatch = "its subjectAltName has to hold "
    private static let names = [
        Name(host: "redis.example"), Name(host: "192.0.2.7"),
        Name(host: "other.example", refusal: mismatch + "other.example, its common name does not count"),
        Name(host: "192.0.2.8", refusal: mismatch + "192.0.2.8"),
        Name(host: "elsewhere.example", serverName: "redis.example"),
        Name(host: "elsewhere.example", serverName: "192.0.2.7"),
        Name(host: "redis.example", serverName: "other.example", refusal: mismatch + "other.example"),
        Name(
            host: "redis.example", trusts: false,
            refusal: "checked against redis.tls.ca-file, or the system's authorities, and for the name redis.example"),
        Name(host: "other.example", skips: true, trusts: false),
    ]

    @Test(
        "It begins where the certificate is for the host, or for the name that is set; refusals say what to do",
        arguments: names)
    func name(_ name: Name) throws {
        let far = try TLSFarSide(host: name.host, trusts: name.trusts) { options in
            options.serverName = name.serverName
            options.skipsVerification = name.skips
        }
        guard let refusal = name.refusal else {
            #expect(try far.shakeHands().words == "0 bytes")
            return
        }
        let error = try #require(failure { _ = try far.shakeHands() })
        #expect(error.reason == .tls && error.message.contains(refusal), "\(error)")
        #expect(error.message.hasPrefix("Redis at \(name.host):6379: the server's certificate is not accepted: "))
    }

    @Test(
        "A far side that speaks no TLS is told by its first bytes, with what to write",
        arguments: ["-ERR unknown command\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "+PONG\r\n"])
    func plain(text: String) throws {
        let far = try TLSFarSide()
        #expect(try far.near.handshake().words == "wait for input")
        far.sendPlain(Array(text.utf8))
        let error = try #require(failure { _ = try far.near.handshake() })
        #expect(
            error.reason == .tls
                && error.message.hasSuffix("if that is a plain port, write redis for rediss in redis.url"))
        #expect(error.message.hasPrefix("TLS handshake with Redis at redis.example:6379: "), "\(error)")
    }

    @Test("An alert of the far side is its reason, without a hint")
    func alert() throws {
        let far = try TLSFarSide()
        _ = try far.near.handshake()
        far.sendPlain([21, 3, 3, 0, 2, 2, 40])
        let error = try #require(failure { _ = try far.near.handshake() })
        #expect(
            error.reason == .tls && error.message.contains("handshake failure") && !error.message.contains("redis.url"))
    }

    @Test("A far side that closes in the midst of the handshake has closed, which is no error of TLS")
    func closedEarly() throws {
        let far = try TLSFarSide()
        _ = try far.near.handshake()
        far.end()
        #expect(try far.near.handshake().words == "closed")
    }

    @Test("Bytes that are decrypted already are told of, because the socket knows nothing of them")
    func pending() throws {
        let far = try TLSFarSide()
        _ = try far.shakeHands()
        #expect(try !far.near.hasPendingBytes && far.near.receive(10) == "wait for input")
        #expect(far.send([UInt8](repeating: 7, count: 100)) == 100)
        #expect(try far.near.receive(10) == "10 bytes" && far.near.hasPendingBytes)
        #expect(try far.near.receive(1000) == "90 bytes" && !far.near.hasPendingBytes)
        #expect(try far.near.receive(10) == "wait for input")
    }

    @Test("What is sent arrives; a socket that is full is waited for, and goes on from other memory")
    func full() throws {
        let far = try TLSFarSide()
        _ = try far.shakeHands()
        #expect(try far.near.send(Array("GET k".utf8)) == "5 bytes")
        #expect(far.receive() == Array("GET k".utf8))
        let part = [UInt8](repeating: 1, count: 1 << 20)
        var progress = ""
        for _ in 0..<100 where progress != "wait for output" { progress = try far.near.send(part) }
        #expect(progress == "wait for output")
        #expect(far.receive().count > 0)
        #expect(try far.near.send([UInt8](repeating: 1, count: 1 << 20)).hasSuffix(" bytes"))
    }

    @Test(
        "The session's end, and a connection that ends without it, are the same to a reader", arguments: [false, true])
    func end(isOrderly: Bool) throws {
        let far = try TLSFarSide()
        _ = try far.shakeHands()
        _ = far.send([1, 2, 3])
        if isOrderly { far.sayGoodbye() } else { far.end() }
        #expect(try far.near.receive(10) == "3 bytes")
        #expect(try far.near.receive(10) == "closed")
    }
}

@Suite("A handshake that leads to nothing")
struct HandshakeTests {
    private func open(_ server: ScriptedServer, deadline: MonotonicTime) throws -> RedisError {
        blockBrokenPipes()
        var endpoint = server.endpoint
        endpoint.tls = RedisTLSOptions()
        endpoint.tls?.skipsVerification = true
        return try #require(failure { _ = try RedisConnection(endpoint, clock: .system, deadline: deadline) })
    }

    @Test("A far side that closes, and one that is silent, are told apart; both may be plain ports")
    func ends() throws {
        let closed = try open(ScriptedServer([""], closesAtEnd: true), deadline: .soon)
        #expect(
            closed.reason == .tls && closed.message.contains("closed the connection in the TLS handshake; if that is a")
        )
        let silent = try open(ScriptedServer(), deadline: .shortly)
        #expect(
            silent.reason == .timeout && silent.message.contains("did not answer the TLS handshake in time; if that is")
        )
    }
}

@Suite("A plain connection")
struct PlainStreamTests {
    @Test("Each step tells what it did, or what to wait for")
    func steps() throws {
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, type, 0, &ends) == 0)
        let near = RedisStream(ends[0], tls: nil, name: "Redis at test")
        #expect(try near.handshake().words == "0 bytes")
        #expect(try near.receive(10) == "wait for input" && !near.hasPendingBytes)
        _ = Glibc.send(ends[1], [1, 2, 3] as [UInt8], 3, 0)
        #expect(try near.receive(2) == "2 bytes" && !near.hasPendingBytes)
        #expect(try near.receive(2) == "1 bytes")
        let part = [UInt8](repeating: 1, count: 1 << 20)
        var progress = ""
        for _ in 0..<100 where progress != "wait for output" { progress = try near.send(part) }
        #expect(progress == "wait for output")
        close(ends[1])
        let error = try #require(failure { _ = try near.send(part) })
        #expect(error.reason == .connection && error.message == "sending to Redis at test: Broken pipe")
    }

    @Test("A far side that has closed is at its end; a reset is an error with its reason")
    func ends() throws {
        for (bytes, words) in [([], "closed"), ([1], "error")] as [([UInt8], String)] {
            var ends: [Int32] = [0, 0]
            let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            try #require(socketpair(AF_UNIX, type, 0, &ends) == 0)
            let near = RedisStream(ends[0], tls: nil, name: "Redis at test")
            // Bytes that the far side has not read make its end a reset.
            if !bytes.isEmpty { _ = try near.send(bytes) }
            close(ends[1])
            if words == "closed" {
                #expect(try near.receive(10) == words)
            } else {
                let error = failure { _ = try near.receive(10) }
                #expect(error?.message == "reading from Redis at test: Connection reset by peer", "\(error as Any)")
            }
        }
    }
}
