import Glibc

/// The addresses of a name, as the C library finds them.
package enum NameResolution {
    package struct Failure: Error, Equatable, Sendable {
        /// The C library's words, such as "Name or service not known".
        package let reason: String
    }

    /// The flag for addresses that a server may bind, those of families that the machine lacks included.
    package static var forListening: Int32 { AI_PASSIVE }

    /// Looks a name up, as long as the name servers take.
    ///
    /// - Throws: `Failure` where the name has no address or can't be looked up.
    /// - Returns: The addresses as text, each once, in the C library's order.
    package static func addresses(of host: String, flags: Int32 = 0) throws(Failure) -> [String] {
        var found: [String] = []
        for entry in try socketAddresses(of: host, port: nil, flags: flags) {
            if let address = text(entry.bytes), !found.contains(address) { found.append(address) }
        }
        return found
    }

    /// Looks a name up, as long as the name servers take.
    ///
    /// - Throws: `Failure` where the name has no address or can't be looked up.
    /// - Returns: The addresses as system calls take them, in the C library's order.
    package static func socketAddresses(
        of host: String, port: UInt16?, flags: Int32 = 0
    ) throws(Failure) -> [(family: Int32, bytes: [UInt8])] {
        var hints = addrinfo()
        hints.ai_flags = flags
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, port.map { String($0) }, &hints, &list)
        guard code == 0 else {
            throw Failure(reason: code == EAI_SYSTEM ? SystemError("").reason : String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(list) }
        var found: [(family: Int32, bytes: [UInt8])] = []
        var entry = list
        while let current = entry?.pointee {
            entry = current.ai_next
            let bytes = UnsafeRawBufferPointer(start: current.ai_addr, count: Int(current.ai_addrlen))
            found.append((current.ai_family, Array(bytes)))
        }
        return found
    }

    private static func text(_ address: [UInt8]) -> String? {
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let code = address.withUnsafeBytes { bytes in
            getnameinfo(
                bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count), &text,
                socklen_t(text.count), nil, 0, NI_NUMERICHOST)
        }
        if code != 0 { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
