/// The names and addresses that browsers send as a host.
package enum HostName {
    private static let maxLabelBytes = 63

    /// Returns true for a text that a browser can send as a host, without a port: a name of labels with dots between them, or an IPv4
    /// address. A host whose last label is a number is an address to them, which they write in four decimal numbers. A dot at its end is
    /// allowed.
    package static func isSendable(_ text: some StringProtocol) -> Bool {
        isName(text, orAddress: true)
    }

    /// Returns true for a name that can have subdomains.
    package static func isDomain(_ text: some StringProtocol) -> Bool { isName(text, orAddress: false) }

    private static func isName(_ text: some StringProtocol, orAddress allowsAddress: Bool) -> Bool {
        let name = text.hasSuffix(".") ? String(text.dropLast()) : String(text)
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.allSatisfy(isLabel), let last = labels.last else { return false }
        let isNumber = last.utf8.allSatisfy(isDigit) || last.lowercased().hasPrefix("0x")
        return !isNumber || allowsAddress && IPAddress(name) != nil
    }

    private static func isLabel(_ label: Substring) -> Bool {
        (1...maxLabelBytes).contains(label.utf8.count)
            && label.utf8.allSatisfy { isDigit($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x2D || $0 == 0x5F }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
