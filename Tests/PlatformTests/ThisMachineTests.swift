import Glibc
import Testing

@testable import Platform

@Suite("This machine")
struct ThisMachineTests {
    private static func texts(_ host: String) -> [String] {
        ThisMachine.addresses(of: host).map(\.text)
    }

    @Test(
        "Loopback, in each of its forms, and what a connection takes for it, is this machine",
        arguments: [
            ("127.0.0.1", ["127.0.0.1"]), ("127.8.0.9", ["127.8.0.9"]), ("[::1]", ["::1"]), ("::1", ["::1"]),
            ("[::ffff:127.0.0.1]", ["127.0.0.1"]), ("0.0.0.0", ["127.0.0.1"]), ("[::]", ["::1"]),
            ("localhost", ["127.0.0.1", "::1"]), ("LocalHost.", ["127.0.0.1", "::1"]),
            ("tempo.localhost", ["127.0.0.1", "::1"]),
        ])
    func loopback(host: String, addresses: [String]) {
        #expect(Self.texts(host) == addresses)
    }

    @Test(
        "Other machines, and names that only a name server knows, are not",
        arguments: ["192.0.2.1", "[2001:db8::1]", "tempo", "notlocalhost", "localhost.example", "", "[]", "."])
    func elsewhere(host: String) {
        #expect(Self.texts(host) == [])
    }

    @Test("The machine's own name is, and each address of its interfaces")
    func interfaces() throws {
        var name = [CChar](repeating: 0, count: 256)
        try #require(gethostname(&name, name.count) == 0)
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #expect(ThisMachine.hostName == host)
        let known = (try? NameResolution.addresses(of: host)) ?? []
        #expect(Self.texts(host.uppercased()) == known.compactMap { IPAddress($0)?.text })
        // The kernel chooses one of this machine's addresses for packets to another one; no packet is sent.
        guard let own = Self.sourceAddress(towards: "192.0.2.1") else { return }
        #expect(Self.texts(own) == [own])
    }

    /// Returns nil where the machine has no way out.
    private static func sourceAddress(towards host: String) -> String? {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(9).bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { socket in
                guard connect(descriptor, socket, length) == 0, getsockname(descriptor, socket, &length) == 0 else {
                    return nil
                }
                var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
                getnameinfo(socket, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
                return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }
    }
}
