import Testing

@testable import HTTPService

@Suite("Where a listener listens")
struct ListenAddressTests {
    @Test(
        "An address is host and port, or the path or name of a unix socket",
        arguments: [
            ("127.0.0.1:4318", .tcp(host: "127.0.0.1", port: 4318), "127.0.0.1:4318"),
            (":0", .tcp(host: "0.0.0.0", port: 0), "0.0.0.0:0"),
            ("localhost:65535", .tcp(host: "localhost", port: 65535), "localhost:65535"),
            ("[::1]:80", .tcp(host: "::1", port: 80), "[::1]:80"),
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

    @Test("The path of a unix socket has its limit of bytes")
    func pathLimit() {
        let longest = "@" + String(repeating: "a", count: UnixSocketFile.maxPathBytes)
        #expect(UnixSocketFile.maxPathBytes == 107)
        #expect(throws: ListenError.self) { _ = try UnixSocketFile.bind(longest, mode: 0o660, group: nil) }
    }
}
