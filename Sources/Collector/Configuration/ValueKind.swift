/// The kind of a value's text: for messages, documentation, and the way in which a value is printed.
enum ValueKind: Sendable {
    case text(allowed: String)
    case path(allowed: String)
    case secret
    /// A url that may hold a user and password.
    case url(allowed: String)
    /// Pairs `K=V,…`, each V a secret.
    case secretPairs
    /// Pairs `K=V,…`.
    case pairs
    /// A duration, or the word.
    case duration(ClosedRange<Duration>, orWord: String?)
    /// A number of bytes, or the word.
    case size(ClosedRange<Int>, orWord: String?)
    case integer(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    case flag
    case choice([String])
    case list(allowed: String)
    /// Hosts with or without ports.
    case addresses(allowed: String)
    case regularExpression

    var allowed: String {
        switch self {
        case .text(let allowed), .path(let allowed), .url(let allowed), .list(let allowed),
            .addresses(let allowed):
            allowed
        case .secret: "text"
        case .secretPairs, .pairs: "NAME=VALUE,…"
        case .duration(let range, let word): Self.allowed(range, word)
        case .size(let range, let word):
            (word.map { "\($0), or " } ?? "")
                + "a size from \(SizeText.text(range.lowerBound)) to \(SizeText.text(range.upperBound)), such as 512KiB, 64MiB, 1GiB"
        case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .flag: "true or false"
        case .choice(let words): words.joined(separator: ", ")
        case .regularExpression: "a regular expression as in grep -E"
        }
    }

    private static func allowed(_ range: ClosedRange<Duration>, _ word: String?) -> String {
        let start = word.map { "\($0), or a duration" } ?? "a duration"
        let least = range.lowerBound <= .shortest ? "" : " of \(DurationText.text(range.lowerBound)) or more,"
        return "\(start)\(least) such as 250ms, 5s, 2m, 1h"
    }

    /// True if a value is a list of pairs, which a YAML file may write as a mapping.
    var isPairs: Bool {
        switch self {
        case .secretPairs, .pairs: true
        default: false
        }
    }

    /// True if a YAML file may write a value as a list. Regular expressions then match what any of them matches.
    var takesList: Bool {
        switch self {
        case .list, .addresses, .regularExpression: true
        default: isPairs
        }
    }

    var isURL: Bool {
        if case .url = self { true } else { false }
    }

    /// True for secrets, which may also come from a file, whose path is the value of the key with `-file` behind it.
    var isSecret: Bool {
        switch self {
        case .secret, .url, .secretPairs: true
        default: false
        }
    }
}
