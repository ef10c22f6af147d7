import Glibc

/// Addresses as text.
package enum IPLiteral {
    /// Whether the text is an IPv4 or IPv6 address, without brackets.
    package static func isAddress(_ text: String) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 16)
        return inet_pton(AF_INET, text, &bytes) == 1 || inet_pton(AF_INET6, text, &bytes) == 1
    }
}
