import Glibc

/// The addresses of a name, as the C library finds them.
package enum NameResolution {
    package struct Failure: Error, Equatable, Sendable {
        /// The C library's words, such as "Name or service not known".
        package let reason: String
    }

    /// Addresses that a server may bind; those of families that the machine lacks included.
    package static var forListening: Int32 { AI_PASSIVE }

    /// Looks a name up, as long as the name servers take.
    ///
    /// - Throws: `Failure` where the name has no address or can't be looked up.
    /// - Returns: the addresses as text, each once, in the C library's order.
    package static func addresses(of host: String, flags: Int32 = 0) throws(Failure) -> [String] {
        var hints = addrinfo()
        hints.ai_flags = flags
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else {
            throw Failure(reason: code == EAI_SYSTEM ? SystemError("").reason : String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var entry = list
        while let current = entry?.pointee {
            entry = current.ai_next
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let failed = getnameinfo(
                current.ai_addr, current.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if failed == 0 && !found.contains(address) { found.append(address) }
        }
        return found
    }
}
