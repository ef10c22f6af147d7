import Glibc

/// The names and addresses under which this machine reaches itself.
package enum ThisMachine {
    package static let hostName: String = {
        var name = utsname()
        uname(&name)
        return withUnsafeBytes(of: &name.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }()

    /// Returns the addresses of this machine for which a host of a URL stands: a literal address, `localhost` or the machine's own name.
    /// Returns none for another machine, and for any other name: a name server is not asked.
    package static func addresses(of host: String) -> [IPAddress] {
        var name = host.lowercased()
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        if let address = IPAddress(name) {
            // A connection to 0.0.0.0 or [::] reaches the machine itself.
            if address.isUnspecified { return [address.isIPv4 ? .loopback4 : .loopback6] }
            return address.isLoopback || interfaces().contains(address) ? [address] : []
        }
        if name.hasSuffix(".") { name.removeLast() }
        if name == "localhost" || name.hasSuffix(".localhost") { return [.loopback4, .loopback6] }
        guard name == hostName.lowercased() else { return [] }
        do throws(NameResolution.Failure) {
            return try NameResolution.addresses(of: name).compactMap { IPAddress($0) }
        } catch {
            return []
        }
    }

    /// Returns the addresses of all interfaces; none where the system does not tell them.
    private static func interfaces() -> [IPAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [IPAddress] = []
        var entry = list
        while let current = entry?.pointee {
            entry = current.ifa_next
            if let address = current.ifa_addr.flatMap({ IPAddress($0) }) { found.append(address) }
        }
        return found
    }
}

extension IPAddress {
    fileprivate static let loopback4 = IPAddress(bytes: [127, 0, 0, 1])
    fileprivate static let loopback6 = IPAddress(bytes: [UInt8](repeating: 0, count: 15) + [1])

    /// Reads the address of a socket; nil where it is of neither family.
    fileprivate init?(_ socket: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(socket)
        switch Int32(socket.pointee.sa_family) {
        case AF_INET:
            let address = raw.loadUnaligned(as: sockaddr_in.self).sin_addr
            self.init(bytes: withUnsafeBytes(of: address) { Array($0) })
        case AF_INET6:
            let address = raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr
            self.init(bytes: withUnsafeBytes(of: address) { Array($0) })
        default: return nil
        }
    }
}
