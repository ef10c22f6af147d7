import Glibc

/// An IPv4 or IPv6 address, as its bytes.
package struct IPAddress: Equatable, Sendable {
    private let bytes: [UInt8]

    /// Reads an address; an IPv6 one stands without brackets. Returns nil for any other text.
    package init?(_ text: String) {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.bytes = Array(bytes.prefix(4))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            // An IPv4 address in IPv6 form is the same address.
            let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
            self.bytes = bytes.starts(with: mapped) ? Array(bytes.suffix(4)) : bytes
        } else {
            return nil
        }
    }

    /// - Parameter bytes: 4 or 16 bytes, in network order.
    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    package var isIPv4: Bool { bytes.count == 4 }

    /// The address in one form, however it was written.
    package var text: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// True for `0.0.0.0` and `::`.
    package var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

    package var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
    }

    package func isInNetwork(_ network: IPAddress, prefixLength: Int) -> Bool {
        guard network.bytes.count == bytes.count, (0...bytes.count * 8).contains(prefixLength) else { return false }
        for (index, pair) in zip(bytes, network.bytes).enumerated() {
            let bits = min(8, max(0, prefixLength - index * 8))
            let mask = UInt8(truncatingIfNeeded: 0xFF00 >> bits)
            if pair.0 & mask != pair.1 & mask { return false }
        }
        return true
    }
}
