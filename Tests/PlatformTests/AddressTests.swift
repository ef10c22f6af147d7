import Glibc
import Testing

@testable import Platform

@Suite("Addresses")
struct AddressTests {
    @Test(
        "An address is told from a name, and the loopback of either family from the others",
        arguments: [
            ("127.0.0.1", true), ("127.255.0.9", true), ("126.0.0.1", false), ("128.0.0.1", false), ("::1", true),
            ("::2", false), ("::101", false), ("1::1", false), ("::ffff:127.0.0.1", true), ("::ffff:10.0.0.1", false),
        ])
    func loopback(text: String, isLoopback: Bool) throws {
        #expect(try #require(IPAddress(text)).isLoopback == isLoopback)
    }

    @Test(
        "What is no address is none", arguments: ["", "localhost", "[::1]", "1.2.3", "1.2.3.4:5", "256.0.0.1", ":::"])
    func noAddress(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("An IPv4 address in IPv6 form is the same address")
    func mapped() {
        #expect(IPAddress("::ffff:10.1.2.3") == IPAddress("10.1.2.3"))
        #expect(IPAddress("::fffe:10.1.2.3") != IPAddress("10.1.2.3"))
    }

    @Test(
        "A network has the bits of its prefix, and nothing of the other family",
        arguments: [
            ("10.1.2.3", "10.1.2.3", 32, true), ("10.1.2.2", "10.1.2.3", 32, false), ("10.1.2.2", "10.1.2.3", 31, true),
            ("11.0.0.0", "10.0.0.0", 8, false), ("11.0.0.0", "10.0.0.0", 7, true),
            ("10.0.128.1", "10.0.0.0", 17, false),
            ("10.0.127.1", "10.0.0.0", 17, true), ("200.1.1.1", "10.0.0.0", 0, true),
            ("10.0.0.1", "10.0.0.1", 33, false),
            ("10.0.0.1", "10.0.0.1", -1, false), ("fd00::1", "fd00::", 128, false), ("fd00::1", "fd00::", 127, true),
            ("fd00::1", "fd00::1", 129, false), ("10.0.0.1", "::", 0, false),
        ] as [(String, String, Int, Bool)])
    func networks(text: String, network: String, length: Int, isInside: Bool) throws {
        let known = try #require(IPAddress(network))
        #expect(try #require(IPAddress(text)).isInNetwork(known, prefixLength: length) == isInside)
    }

    @Test("An address needs no look-up, and stands once in the list; a name that is none says why it has no address")
    func resolution() throws {
        #expect(try NameResolution.addresses(of: "192.0.2.7", flags: AI_NUMERICHOST) == ["192.0.2.7"])
        #expect(try NameResolution.addresses(of: "2001:db8:0::1", flags: AI_NUMERICHOST) == ["2001:db8::1"])
        #expect(throws: NameResolution.Failure(reason: "Name or service not known")) {
            try NameResolution.addresses(of: "no.address", flags: AI_NUMERICHOST)
        }
    }

    @Test("Without flags an address is itself as well, and localhost is the machine")
    func withoutFlags() throws {
        #expect(try NameResolution.addresses(of: "192.0.2.7") == ["192.0.2.7"])
        #expect(try NameResolution.addresses(of: "::1") == ["::1"])
        let own = try NameResolution.addresses(of: "localhost")
        #expect(!own.isEmpty && own.allSatisfy { ["127.0.0.1", "::1"].contains($0) })
        #expect(try NameResolution.socketAddresses(of: "192.0.2.7", port: 4318).map(\.family) == [AF_INET])
    }

    @Test("The port stands in the address as the network has it")
    func socketAddress() throws {
        let found = try NameResolution.socketAddresses(of: "192.0.2.7", port: 4318, flags: AI_NUMERICHOST)
        #expect(found.map(\.family) == [AF_INET])
        #expect(found.first?.bytes.prefix(8).suffix(6) == [0x10, 0xDE, 192, 0, 2, 7])
        #expect(found.first?.bytes.count == MemoryLayout<sockaddr_in>.size)
    }

    /// The family and the path as `bind` gets them.
    private static func unix(_ path: String) -> [UInt8] {
        UnixAddress.with(path) { address, size in
            Array(UnsafeRawBufferPointer(start: address, count: Int(size)).dropFirst(2))
        }
    }

    @Test("The path of a unix socket ends in a zero; an abstract name begins with one, and has nothing behind it")
    func unixSockets() {
        #expect(Self.unix("/run/x").count == 108)
        #expect(Array(Self.unix("/run/x").prefix(7)) == Array("/run/x".utf8) + [0])
        #expect(Self.unix("@name") == [0] + Array("name".utf8))
        #expect(UnixAddress.isAbstract("@a") && !UnixAddress.isAbstract("/a@") && !UnixAddress.isAbstract(""))
        let longest = "/" + String(repeating: "x", count: UnixAddress.maxPathBytes - 1)
        #expect(Self.unix(longest) == Array(longest.utf8) + [0])
    }
}
