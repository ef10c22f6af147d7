import NIOCore
import Testing

@testable import HTTPService

@Suite("Where a listener listens")
struct ListenAddressTests {
    @Test(
        "An address is host and port, or the path or name of a unix socket",
        arguments: [
            ("127.0.0.1:4318", .tcp(host: "127.0.0.1", port: 4318), "127.0.0.1:4318"),
            ("0.0.0.0:80", .tcp(host: "0.0.0.0", port: 80), "0.0.0.0:80"),
            (":0", .anyAddress(port: 0), ":0"),
            ("*:9876", .anyAddress(port: 9876), ":9876"),
            ("localhost:65535", .tcp(host: "localhost", port: 65535), "localhost:65535"),
            ("[::1]:80", .tcp(host: "::1", port: 80), "[::1]:80"),
            ("[::ffff:127.0.0.1]:80", .tcp(host: "127.0.0.1", port: 80), "127.0.0.1:80"),
            ("[::FFFF:7f00:1]:80", .tcp(host: "127.0.0.1", port: 80), "127.0.0.1:80"),
            ("unix:///run/a.sock", .unix(path: "/run/a.sock"), "unix:///run/a.sock"),
            ("unix:/run/a.sock", .unix(path: "/run/a.sock"), "unix:///run/a.sock"),
            ("unix:@a", .unix(path: "@a"), "unix:@a"),
        ] as [(String, ListenAddress, String)])
    func addresses(text: String, expected: ListenAddress, description: String) throws {
        let address = try ListenAddress(text)
        #expect(address == expected && address.description == description)
        let isUnix = text.hasPrefix("unix")
        #expect((address.unixPath != nil) == isUnix)
    }

    @Test(
        "Anything else is none",
        arguments: [
            "", "a", "a:", "a:65536", "a:-1", "a:x", "::1:80", "unix:", "unix:@", "unix:a", "unix://a", "80",
        ])
    func invalid(text: String) {
        #expect(throws: ListenAddress.Invalid.self) { try ListenAddress(text) }
    }

    @Test("The port that the system chose takes the place of the written one; a unix socket has none")
    func withPort() {
        #expect(ListenAddress.tcp(host: "::1", port: 0).withPort(80) == .tcp(host: "::1", port: 80))
        #expect(ListenAddress.anyAddress(port: 0).withPort(80) == .anyAddress(port: 80))
        #expect(ListenAddress.unix(path: "/a").withPort(80) == .unix(path: "/a"))
        #expect(ListenAddress.tcp(host: "a", port: 7).withPort(nil) == .tcp(host: "a", port: 7))
        #expect(
            [ListenAddress.unix(path: "/a"), .tcp(host: "a", port: 7), .anyAddress(port: 8)].map(\.port) == [nil, 7, 8])
    }

    @Test("The path of a unix socket has its limit of bytes")
    func pathLimit() {
        let longest = "@" + String(repeating: "a", count: UnixSocketFile.maxPathBytes)
        #expect(UnixSocketFile.maxPathBytes == 107)
        #expect(throws: ListenError.self) { _ = try UnixSocketFile.bind(longest, mode: 0o660, group: nil) }
    }

    @Test("An IPv6 wildcard leaves IPv4 alone only where another entry has its port")
    func sharedPort() throws {
        func v6Only(_ texts: String...) throws -> [[Bool]] {
            try TCPListening(texts.map { try ListenAddress($0) }).entries.map { $0.targets.map(\.isIPv6Only) }
        }
        #expect(try v6Only("[::]:80") == [[false]])
        #expect(try v6Only(":80") == [[false]])
        #expect(try v6Only("[::]:80", "0.0.0.0:81") == [[false], [true]])
        #expect(try v6Only("0.0.0.0:80", "[::]:80") == [[true], [true]])
        #expect(try v6Only("[::]:80", "127.0.0.1:80")[0] == [true])
        // Ports that the system chooses differ.
        #expect(try v6Only("[::]:0", "127.0.0.1:0")[0] == [false])
    }

    @Test(
        "Entries of which only one can be bound are told from others",
        arguments: [
            (":80", "127.0.0.1:80", true), ("127.0.0.1:80", ":80", true), ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true), (":80", "0.0.0.0:80", true), (":80", "[::1]:80", true),
            ("0.0.0.0:80", "[::]:80", false), ("127.0.0.1:80", "127.0.0.2:80", false),
            ("[::1]:80", "127.0.0.1:80", false),
            (":80", ":81", false), (":0", ":0", false),
        ])
    func overlaps(first: String, second: String, expected: Bool) throws {
        let entries = try TCPListening([ListenAddress(first), ListenAddress(second)]).entries
        let (one, other) = (try #require(entries[0].targets.first), try #require(entries[1].targets.first))
        #expect(one.overlaps(other) == expected && other.overlaps(one) == expected)
    }

    @Test("Every address is the IPv6 wildcard, and the IPv4 one where there is no IPv6")
    func anyAddress() throws {
        let entry = try #require(try TCPListening([.anyAddress(port: 80)]).entries.first)
        #expect(entry.targets.map(\.address.ipAddress) == ["::"])
        #expect(entry.fallback?.address.ipAddress == "0.0.0.0" && entry.fallback?.address.port == 80)
    }

    @Test("A name stands for all its addresses; one that nobody knows is an error")
    func names() throws {
        let found = try TCPListening([.tcp(host: "localhost", port: 80)]).entries[0].targets.map(\.address.ipAddress)
        #expect(found.contains("127.0.0.1"))
        let problem = #expect(throws: ListenError.self) { _ = try TCPListening([.tcp(host: "x.invalid", port: 80)]) }
        #expect(problem?.description.hasPrefix("listening on x.invalid:80: the name can't be resolved: ") == true)
    }
}
