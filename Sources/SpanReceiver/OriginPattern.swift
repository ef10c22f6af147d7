import Platform

/// One entry of `otlp.cors.allowed-origins`, which stands for some pages.
///
/// | written                    | pages                                                                    |
/// |----------------------------|--------------------------------------------------------------------------|
/// | `https://shop.example`     | of this scheme, host and port; the scheme's default port may be written  |
/// | `https://*.shop.example`   | of every subdomain, at any depth; not of `shop.example` itself           |
/// | `*`                        | all                                                                      |
/// | `null`                     | those without an origin: sandboxed frames, `data:` and `file:` pages     |
package enum OriginPattern: Sendable, Equatable {
    case any
    case opaque
    case exact(Origin)
    /// Pages of hosts below the origin, which has the text behind `*.`.
    case subdomains(of: Origin)

    /// A scheme, a host and a port as browsers send them: lower case, without the scheme's default port.
    package struct Origin: Sendable, Hashable {
        let scheme: String
        /// The host, with the brackets of an IPv6 address.
        let host: String
        let port: UInt16?

        private static let defaultPorts: [String: UInt16] = ["http": 80, "https": 443]

        /// Returns nil for a text that no browser sends as an origin.
        init?(_ text: String) {
            let text = text.lowercased()
            guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
            let scheme = text[..<colon]
            let authority = text[colon...].dropFirst(3)
            let isScheme =
                scheme.first.map { $0.isASCII && $0.isLetter } == true
                && scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
            guard isScheme, let (host, port) = Self.split(authority), port != 0 else { return nil }
            if host.hasPrefix("[") && host.hasSuffix("]") {
                guard host.contains(":"), let address = IPAddress(String(host.dropFirst().dropLast())) else {
                    return nil
                }
                self.host = "[\(address.text)]"
            } else {
                guard HostName.isSendable(host) else { return nil }
                self.host = String(host)
            }
            self.scheme = String(scheme)
            self.port = port == Self.defaultPorts[self.scheme] ? nil : port
        }

        private static func split(_ authority: Substring) -> (host: Substring, port: UInt16?)? {
            let end = authority.lastIndex(of: "]").map { authority.index(after: $0) } ?? authority.startIndex
            guard let colon = authority[end...].firstIndex(of: ":") else { return (authority, nil) }
            let digits = authority[authority.index(after: colon)...]
            guard digits.allSatisfy(\.isNumber), let port = UInt16(digits) else { return nil }
            return (authority[..<colon], port)
        }
    }

    /// Returns nil for a text that can match no page.
    package init?(_ text: String) {
        switch text.lowercased() {
        case "*": self = .any
        case "null": self = .opaque
        case let text:
            let parts = text.split(separator: "://*.", maxSplits: 1, omittingEmptySubsequences: false)
            guard let origin = Origin(parts.joined(separator: "://")) else { return nil }
            if parts.count == 1 {
                self = .exact(origin)
            } else {
                guard HostName.isDomain(origin.host) else { return nil }
                self = .subdomains(of: origin)
            }
        }
    }

    /// Returns true if the entry stands for pages of an origin. `parsed` is nil for a text that is not an origin, such
    /// as `null`.
    func matches(_ text: String, _ parsed: Origin?) -> Bool {
        switch self {
        case .any: true
        case .opaque: text == "null"
        case .exact(let origin): parsed == origin
        case .subdomains(let domain):
            parsed.map { origin in
                let suffix = "." + domain.host
                return origin.scheme == domain.scheme && origin.port == domain.port && origin.host.hasSuffix(suffix)
                    && origin.host != suffix
            } ?? false
        }
    }
}
