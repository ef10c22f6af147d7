/// A host and a port as people write them: `host:port`, `[::1]:port`, `:port`, or a host alone.
package struct HostAndPort: Equatable, Sendable {
    package enum Invalid: Error, Equatable, Sendable {
        /// A bracket has no end: `[::1`.
        case unclosedBracket
        /// Text without a colon follows the bracket: `[::1]6379`.
        case textAfterBracket
        /// An IPv6 address has no brackets, so its end can't be told: `::1:6379`.
        case addressWithoutBrackets
        /// Behind the colon stands something else than a number from 0 to 65535.
        case port
    }

    /// The host without brackets; empty where only a port is given.
    package let host: String
    /// The port, or nil where no colon follows the host.
    package let port: UInt16?

    /// - Throws: `Invalid`, which says which part can't be read.
    package init(_ text: some StringProtocol) throws(Invalid) {
        let rest: Substring
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { throw .unclosedBracket }
            host = String(text[text.index(after: text.startIndex)..<close])
            rest = Substring(text[text.index(after: close)...])
            if !rest.isEmpty && !rest.hasPrefix(":") { throw .textAfterBracket }
        } else {
            let colon = text.lastIndex(of: ":") ?? text.endIndex
            host = String(text[..<colon])
            rest = Substring(text[colon...])
            if host.contains(":") { throw .addressWithoutBrackets }
        }
        if rest.isEmpty {
            port = nil
        } else {
            let digits = rest.dropFirst()
            // `UInt16` would read a sign as well.
            guard digits.first != "+", let number = UInt16(digits) else { throw .port }
            port = number
        }
    }
}
