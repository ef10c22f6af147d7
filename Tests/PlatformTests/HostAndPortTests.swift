import Platform
import Testing

@Suite("Hosts and ports")
struct HostAndPortTests {
    @Test(
        "are read apart",
        arguments: [
            ("localhost:6379", "localhost", 6379), ("10.0.0.1:0", "10.0.0.1", 0), ("[::1]:65535", "::1", 65_535),
            (":4317", "", 4317), ("redis", "redis", nil), ("[fe80::1%eth0]", "fe80::1%eth0", nil), ("", "", nil),
        ] as [(String, String, UInt16?)])
    func parts(text: String, host: String, port: UInt16?) throws {
        let found = try HostAndPort(text)
        #expect(found.host == host && found.port == port)
    }

    @Test(
        "that can't be read say why",
        arguments: [
            ("[::1", .unclosedBracket), ("[::1:6379", .unclosedBracket), ("[::1]6379", .textAfterBracket),
            ("::1:6379", .addressWithoutBrackets), ("a:b:1", .addressWithoutBrackets), ("host:", .port),
            ("host:65536", .port), ("host:-1", .port), ("host:+1", .port), ("host:6379/0", .port), ("[::1]:", .port),
            ("host: 1", .port),
        ] as [(String, HostAndPort.Invalid)])
    func invalid(text: String, reason: HostAndPort.Invalid) {
        #expect(throws: reason) { try HostAndPort(text) }
    }
}
