/// The words of documentation and help for the values of a key.
extension ValueKind {
    /// The placeholder of a value in `--redis-interval DURATION`.
    var placeholder: String {
        switch self {
        case .text: "TEXT"
        case .path: "PATH"
        case .secret: "SECRET"
        case .url: "URL"
        case .secretPairs, .pairs: "NAME=VALUE,…"
        case .duration: "DURATION"
        case .size: "SIZE"
        case .integer: "N"
        case .number: "NUMBER"
        case .flag: "true|false"
        case .choice(let words): words.count > 4 ? "WORD" : words.joined(separator: "|")
        case .list, .addresses: "LIST"
        case .regularExpression: "REGEX"
        }
    }

    var typeName: String {
        switch self {
        case .text: "text"
        case .path: "path"
        case .secret: "text, a secret"
        case .url: "URL, may hold a secret"
        case .secretPairs: "comma list of NAME=VALUE, each value a secret"
        case .pairs: "comma list of NAME=VALUE"
        case .duration: "duration"
        case .size: "size"
        case .integer: "whole number"
        case .number: "number"
        case .flag: "truth value"
        case .choice: "word"
        case .list, .addresses: "comma list"
        case .regularExpression: "regular expression as of grep -E"
        }
    }

    /// The values of the type that are allowed; nil where all of them are.
    var range: String? {
        switch self {
        case .text(let allowed), .path(let allowed), .url(let allowed), .list(let allowed),
            .addresses(let allowed):
            ["text", "a path"].contains(allowed) ? nil : allowed
        case .secret, .secretPairs, .pairs, .regularExpression: nil
        case .duration(let range, let word):
            (range.lowerBound == .shortest ? "more than 0" : "\(DurationText.text(range.lowerBound)) or more")
                + (word.map { ", or \($0)" } ?? "")
        case .size(let range, let word):
            "\(SizeText.text(range.lowerBound)) to \(SizeText.text(range.upperBound))"
                + (word.map { ", or \($0)" } ?? "")
        case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .flag: "true, false"
        case .choice(let words): words.joined(separator: ", ")
        }
    }

    /// The words that a value may be, beside others that have no list.
    var words: [String] {
        switch self {
        case .flag: ["true", "false"]
        case .choice(let words): words
        case .duration(_, let word), .size(_, let word): [word].compactMap(\.self)
        default: []
        }
    }
}

/// Writes a number of bytes as a user would.
enum SizeText {
    /// Returns a whole number of the largest unit that allows it: `64MiB`, `1500B`.
    static func text(_ bytes: Int) -> String {
        let units = ["TiB", "GiB", "MiB", "KiB"]
        for (index, unit) in units.enumerated() {
            let size = 1 << (10 * (units.count - index))
            if bytes > 0 && bytes % size == 0 { return "\(bytes / size)\(unit)" }
        }
        return "\(bytes)B"
    }
}

extension DeclaredKey {
    /// The first sentence of the help, without its full stop.
    var summary: String {
        for index in help.indices where help[index] == "." {
            if help.index(after: index) < help.endIndex, help[help.index(after: index)] == " " {
                return String(help[..<index])
            }
        }
        return help.hasSuffix(".") ? String(help.dropLast()) : help
    }

    /// The text that stands for the default.
    var shownDefault: String { defaultText.isEmpty ? "not set" : defaultText }

    /// The time when a new value takes effect.
    var reloadText: String {
        let file = kind.isSecret ? "; a -file is read again for each use" : ""
        return (isReloadable ? "SIGHUP applies a new value" : "a new value needs a restart") + file
    }
}
