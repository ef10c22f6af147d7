import Platform

/// The configuration in force, as a YAML file that would give it again; secrets are redacted.
enum EffectiveConfiguration {
    static let redacted = "<redacted>"

    static func yaml(_ settings: Settings) -> String {
        YAMLTree.text { key, name in ["\(name): \(shown(settings.text(of: key), key.kind))"] }
    }

    private static func shown(_ text: String, _ kind: ValueKind) -> String {
        switch kind {
        case .secret: return YAMLTree.scalar(text.isEmpty ? "" : redacted)
        case .url: return YAMLTree.scalar(redactedURL(text))
        case .secretPairs:
            // A text that can't be read is a problem of its own.
            let pairs = (try? HeaderPairs.parse(text)) ?? []
            return YAMLTree.scalar(pairs.map { "\($0.name)=\(redacted)" }.joined(separator: ","))
        default: return YAMLTree.value(text, kind)
        }
    }

    /// Returns the text of a key that does not hold a URL, as a problem shows it. A URL that was put there by mistake loses what may be a secret.
    static func shownText(_ text: String) -> String {
        guard text.contains("@") else { return text.contains("://") ? redactedURL(text) : text }
        return text.split(separator: ",", omittingEmptySubsequences: false).map { redactedURL(String($0)) }
            .joined(separator: ",")
    }

    /// Returns the text of a key for hosts with ports, as a problem shows it. Behind a name may stand a password; behind an address it is a
    /// port, however wrong.
    static func shownAddresses(_ text: String) -> String {
        if text.contains("@") || text.contains("://") { return shownText(text) }
        let isKnown = text.split(separator: ",").allSatisfy { part in
            let host = part.drop { $0 == " " || $0 == "[" }.prefix { part.contains("[") ? $0 != "]" : $0 != ":" }
            return ["localhost", "*"].contains(host) || IPAddress(String(host)) != nil
        }
        return isKnown ? text : RedactedPorts.text(text[...])
    }

    /// Returns a URL without what may be a secret: all that stands before an `@` of the authority, the user's name
    /// excepted; without an `@`, what stands in the place of a port and is none; the values of a query by their names.
    static func redactedURL(_ text: String) -> String {
        redactedQuery(redactedFragment(redactedAuthority(text)))
    }

    /// Removes the part behind a `#`, which goes nowhere, and may be a token.
    private static func redactedFragment(_ text: String) -> String {
        text.firstIndex(of: "#").map { text[...$0] + redacted } ?? text
    }

    private static func redactedQuery(_ text: String) -> String {
        let secretNames = [
            "token", "key", "secret", "pass", "auth", "sig", "cred", "sas", "pwd", "jwt", "code", "session",
        ]
        guard let query = text.firstIndex(of: "?") else { return text }
        let pairs = text[text.index(after: query)...].split(separator: "&", omittingEmptySubsequences: false)
        let shown = pairs.map { pair -> Substring in
            let name = pair.prefix { $0 != "=" }
            let isSecret = name.endIndex < pair.endIndex && secretNames.contains { name.lowercased().contains($0) }
            return isSecret ? name + "=" + redacted : pair
        }
        return text[...query] + shown.joined(separator: "&")
    }

    private static func redactedAuthority(_ text: String) -> String {
        var start = text.startIndex
        while start < text.endIndex, !text[start...].hasPrefix("://") { start = text.index(after: start) }
        guard start < text.endIndex else {
            return text.lastIndex(of: "@").map { redacted + text[$0...] } ?? RedactedPorts.text(text[...])
        }
        let authorityStart = text.index(start, offsetBy: 3)
        let rest = text[authorityStart...]
        var authority = rest.prefix { $0 != "/" && $0 != "?" }
        // A password with a / that should have been written as %2F ends the authority too early.
        if !authority.contains("@") && !authority.isEmpty { authority = rest }
        guard let at = authority.lastIndex(of: "@") else {
            return RedactedPorts.text(text[...])
        }
        let userInfo = authority[..<at]
        let shown = userInfo.contains(":") ? userInfo.prefix { $0 != ":" } + ":" + redacted : Substring(redacted)
        return String(text[..<authorityStart]) + String(shown) + String(text[at...])
    }
}
