/// Reads and writes headers as the text of a key: `NAME=VALUE,…`.
///
/// A value that holds a comma, or begins or ends with a blank, stands in double quotes, in which `\"` and `\\` are a quote and a backslash:
/// `Authorization="Basic a,b==",X-Scope-OrgID=team-a`. A YAML map is written out so.
enum HeaderPairs {
    typealias Pair = (name: String, value: String)

    /// - Throws: `UnacceptableText` with the fault, without a part of any value.
    static func parse(_ text: String) throws(UnacceptableText) -> [Pair] {
        try parse(text, names: .headers)
    }

    /// - Throws: `UnacceptableText` with the fault, without a part of any value.
    static func parse(_ text: String, names: PairNames) throws(UnacceptableText) -> [Pair] {
        if text.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) {
            throw UnacceptableText("there are control characters; \(allowed)")
        }
        var pairs: [Pair] = []
        var rest = Substring(text)
        while true {
            rest = rest.drop { $0 == " " || $0 == "," }
            if rest.isEmpty { return pairs }
            guard let equals = rest.firstIndex(of: "=") else {
                throw UnacceptableText(pairs.isEmpty ? "a name and its value have = between them; \(allowed)" : noPair)
            }
            let name = ValueParsing.trimmed(rest[..<equals])
            // A comma in a value without quotes begins what looks like the next header, and may be a part of the
            // secret.
            guard names.contains(name) else { throw UnacceptableText(wrongName(names, isFirst: pairs.isEmpty)) }
            rest = rest[rest.index(after: equals)...].drop { $0 == " " }
            let isQuoted = rest.first == "\""
            let value = isQuoted ? try quoted(&rest) : unquoted(&rest)
            // So may the end of one in base64, where it is a secret.
            let isPadding = !isQuoted && !pairs.isEmpty && value.allSatisfy { $0 == "=" }
            if isPadding && names == .headers { throw UnacceptableText(noPair) }
            pairs.append((name, value))
        }
    }

    private static let allowed = "allowed is \(ValueKind.secretPairs.allowed)"
    private static let noPair = "a value that holds a comma stands in quotes (NAME=\"a,b\"); \(allowed)"

    /// Returns what is wrong where a name has other characters: that itself, or that it is the rest of the value before it.
    private static func wrongName(_ names: PairNames, isFirst: Bool) -> String {
        let rule = "a name has \(names.characters), no colon and no blank"
        if isFirst { return "\(rule); \(allowed)" }
        return names == .headers ? noPair : "\(rule); \(noPair)"
    }

    private static func unquoted(_ rest: inout Substring) -> String {
        let value = rest.prefix { $0 != "," }
        rest = rest[value.endIndex...]
        return ValueParsing.trimmed(value)
    }

    private static func quoted(_ rest: inout Substring) throws(UnacceptableText) -> String {
        var value = ""
        rest.removeFirst()
        while let character = rest.popFirst() {
            if character == "\\", let escaped = rest.popFirst() {
                value.append(escaped)
            } else if character == "\"" {
                rest = rest.drop { $0 == " " }
                guard rest.isEmpty || rest.first == "," else { break }
                return value
            } else {
                value.append(character)
            }
        }
        throw UnacceptableText("a quote is not closed, or something stands behind it; \(allowed)")
    }

    /// Writes a pair so that `parse` reads it back, whatever the value holds.
    static func text(_ name: String, _ value: String) -> String {
        var quoted = ""
        for character in value {
            if character == "\"" || character == "\\" { quoted.append("\\") }
            quoted.append(character)
        }
        return "\(name)=\"\(quoted)\""
    }

    /// Writes an item of a YAML list, `NAME=VALUE`, in which commas separate nothing.
    static func text(item: String) -> String {
        guard let equals = item.firstIndex(of: "=") else { return item }
        let value = ValueParsing.trimmed(item[item.index(after: equals)...])
        if value.hasPrefix("\"") { return item }
        return text(String(item[..<equals]), value)
    }
}

/// The names that pairs may have, by what the pairs are.
enum PairNames {
    /// Names of headers, whose values are secrets: tokens (RFC 9110, 5.6.2).
    case headers
    /// Names of attributes: tokens with slashes, as in labels of Kubernetes.
    case attributes

    /// - Parameter kind: The kind of the key that holds the pairs.
    init(_ kind: ValueKind?) {
        if case .pairs = kind { self = .attributes } else { self = .headers }
    }

    private var signs: String { "!#$%&'*+-.^_`|~" + (self == .attributes ? "/" : "") }

    /// The characters of names in words.
    var characters: String { "letters, digits and any of \(signs)" }

    func contains(_ name: String) -> Bool {
        let isMade = name.unicodeScalars.allSatisfy {
            $0.isASCII
                && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || signs.unicodeScalars.contains($0))
        }
        return isMade && !name.isEmpty
    }
}
