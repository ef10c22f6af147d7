import Text

/// The configuration in force, as a YAML file that would give it again; secrets are redacted.
enum EffectiveConfiguration {
    static let redacted = "<redacted>"

    static func yaml(_ settings: Settings) -> String {
        var lines: [String] = []
        var open: [Substring] = []
        for key in KeyTable.all {
            let path = key.name.split(separator: ".")
            let parents = Array(path.dropLast())
            var shared = 0
            while shared < min(parents.count, open.count) && parents[shared] == open[shared] { shared += 1 }
            for depth in shared..<parents.count {
                lines.append(indentation(depth) + parents[depth] + ":")
            }
            open = parents
            let value = shown(settings.text(of: key), key.kind)
            lines.append("\(indentation(parents.count))\(path[path.count - 1]): \(value)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func indentation(_ depth: Int) -> String {
        String(repeating: "  ", count: depth)
    }

    private static func shown(_ text: String, _ kind: ValueKind) -> String {
        switch kind {
        case .secret: return scalar(text.isEmpty ? "" : redacted)
        case .url: return scalar(redactedURL(text))
        case .secretPairs:
            return scalar(
                ValueParsing.list(text).map { "\($0.prefix { $0 != "=" })=\(redacted)" }.joined(separator: ","))
        case .flag, .integer, .number: return text
        default: return scalar(text)
        }
    }

    /// Whatever stands before an `@` of the authority may be a secret, the user's name excepted; and so may the values of
    /// a query by their names.
    static func redactedURL(_ text: String) -> String {
        redactedQuery(redactedAuthority(text))
    }

    private static func redactedQuery(_ text: String) -> String {
        let secretNames = ["token", "key", "secret", "pass", "auth", "sig", "cred"]
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
        guard start < text.endIndex else { return text }
        let authorityStart = text.index(start, offsetBy: 3)
        let rest = text[authorityStart...]
        var authority = rest.prefix { $0 != "/" && $0 != "?" }
        // A password with a / that should have been written as %2F ends the authority too early.
        if !authority.contains("@") && !authority.isEmpty { authority = rest }
        guard let at = authority.lastIndex(of: "@") else { return text }
        let userInfo = authority[..<at]
        let shown = userInfo.contains(":") ? userInfo.prefix { $0 != ":" } + ":" + redacted : Substring(redacted)
        return String(text[..<authorityStart]) + String(shown) + String(text[at...])
    }

    /// Quoted, unless it is a plain word or number that no YAML reader takes for something else.
    private static func scalar(_ text: String) -> String {
        let words = ["none", "gzip", "refuse", "always", "never", "auto", "json", "text"] + LogKeys.levels.map(\.key)
        if words.contains(text) { return text }
        if ValueParsing.duration(text) != nil && text != "0"
            || (ValueParsing.size(text) != nil && text.last?.isLetter == true)
        {
            return text
        }
        let escaped = text.unicodeScalars.map { scalar -> String in
            switch scalar {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            case "\t": "\\t"
            // YAML allows no control characters, and folds the line ends that Unicode adds.
            case _ where !isPlain(scalar): "\\U" + Hex.text(UInt64(scalar.value), digits: 8)
            default: String(scalar)
            }
        }
        return "\"" + escaped.joined() + "\""
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E, 0xA0...0x2027, 0x202A...0xFEFE, 0xFF00...0xFFFD, 0x1_0000...: true
        default: false
        }
    }
}
