import Glibc

/// A regular expression that takes time in proportion to the text that it is tried on, whatever the pattern. It is the
/// C library's matcher without captures, which runs a deterministic automaton and never tries twice.
///
/// The syntax is that of POSIX extended expressions (`grep -E`), with what people are used to from elsewhere: `\d`,
/// `\w`, `\s` and escapes in brackets as well, `(?:…)`, a leading `(?i)`, `*?`. A pattern is found anywhere in the
/// text; `^` and `$` are its ends. Patterns that would need backtracking (back-references, look-around) are refused.
/// Bytes are compared, so text need not be UTF-8.
package final class LinearPattern {
    package struct Invalid: Error, Equatable, Sendable {
        /// The fault, such as "unmatched (".
        package let reason: String

        package init(reason: String) {
            self.reason = reason
        }
    }

    /// The number of bytes after which the automaton is made anew. It grows with each new situation that it meets, so
    /// this bounds its memory: up to about 7 KiB for each byte here.
    private static let bytesBetweenRenewals = 2 << 10

    private let translated: String
    private let ignoresCase: Bool
    private var compiled: UnsafeMutablePointer<regex_t>
    private var bytesUntilRenewal = bytesBetweenRenewals

    /// - Throws: `Invalid` where the text is not a pattern, or is one that could backtrack.
    package init(_ pattern: String) throws(Invalid) {
        var rest = Array(pattern.unicodeScalars)[...]
        let ignoresCase = rest.starts(with: "(?i)".unicodeScalars)
        if ignoresCase { rest = rest.dropFirst(4) }
        // One run from the beginning finds it anywhere, instead of one run from each byte.
        let translated = "\\`\(PatternTranslation.anyByte)*(\(try PatternTranslation.translate(rest)))"
        compiled = try Self.compile(translated, ignoresCase: ignoresCase)
        self.translated = translated
        self.ignoresCase = ignoresCase
    }

    deinit { Self.free(compiled) }

    private static func compile(
        _ text: String, ignoresCase: Bool
    ) throws(Invalid) -> UnsafeMutablePointer<regex_t> {
        let compiled = UnsafeMutablePointer<regex_t>.allocate(capacity: 1)
        compiled.initialize(to: regex_t())
        let code = regcomp(compiled, text, REG_EXTENDED | REG_NOSUB | (ignoresCase ? REG_ICASE : 0))
        guard code != 0 else { return compiled }
        var message = [CChar](repeating: 0, count: 256)
        _ = regerror(code, compiled, &message, message.count)
        compiled.deallocate()
        let words = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        throw Invalid(reason: words)
    }

    private static func free(_ compiled: UnsafeMutablePointer<regex_t>) {
        regfree(compiled)
        compiled.deallocate()
    }

    /// Returns true if the pattern is found in the text.
    package func isFound(in text: UnsafeRawBufferPointer) -> Bool {
        if bytesUntilRenewal <= text.count {
            // It compiled before, so only memory can be missing: the old one serves on.
            if let new = try? Self.compile(translated, ignoresCase: ignoresCase) {
                Self.free(compiled)
                compiled = new
            }
            bytesUntilRenewal = Self.bytesBetweenRenewals
        }
        bytesUntilRenewal -= text.count
        var range = regmatch_t(rm_so: 0, rm_eo: regoff_t(text.count))
        let empty: StaticString = ""
        let start = text.baseAddress ?? UnsafeRawPointer(empty.utf8Start)
        return regexec(compiled, start.assumingMemoryBound(to: CChar.self), 1, &range, REG_STARTEND) == 0
    }
}

/// Rewrites a pattern as the C library reads it.
enum PatternTranslation {
    typealias Invalid = LinearPattern.Invalid

    /// The pattern of any byte. The C library's own point leaves out the zero byte.
    static let anyByte = "([^a]|a)"
    /// The bound of all counts in braces, multiplied. The automaton has that many copies of what they repeat, and a
    /// situation for each set of them.
    private static let maxRepetitions = 32

    /// - Throws: `Invalid` for what a deterministic automaton can't do, and for what the C library would read otherwise
    ///   than it was meant.
    static func translate(_ pattern: ArraySlice<Unicode.Scalar>) throws(Invalid) -> String {
        var rest = pattern
        var text = ""
        var isAfterQuantifier = false
        var repetitions = 1
        var openGroups = 0
        while let scalar = rest.popFirst() {
            var isQuantifier = false
            switch scalar {
            case "\\": text += try escape(&rest)
            case "[": text += try bracket(&rest)
            case ".": text += anyByte
            case "^": text += "\\`"
            case "$": text += "\\'"
            case "(" where rest.first == "?":
                guard rest.dropFirst().first == ":" else {
                    throw Invalid(
                        reason: "look-around, named groups and options other than a leading (?i) are not supported")
                }
                rest = rest.dropFirst(2)
                openGroups += 1
                text += "("
            // A lazy quantifier finds the same as a greedy one.
            case "?" where isAfterQuantifier: isQuantifier = false
            case "+" where isAfterQuantifier: throw Invalid(reason: "possessive quantifiers are not supported")
            case "*", "+", "?":
                text.unicodeScalars.append(scalar)
                isQuantifier = true
            case "{":
                let count = try repetition(&rest, &text)
                let (product, overflow) = repetitions.multipliedReportingOverflow(by: max(1, count))
                guard !overflow && product <= maxRepetitions else {
                    throw Invalid(reason: "the counts in braces multiply to more than \(maxRepetitions)")
                }
                repetitions = product
                isQuantifier = true
            case "(":
                openGroups += 1
                text += "("
            case ")":
                // It would end the group that the whole pattern stands in.
                guard openGroups > 0 else { throw Invalid(reason: "Unmatched ) or \\)") }
                openGroups -= 1
                text += ")"
            case "\0": throw Invalid(reason: "a pattern can't hold a zero byte")
            // The group makes a quantifier behind it repeat all bytes of the character.
            case _ where !scalar.isASCII: text += "(\(scalar))"
            default: text.unicodeScalars.append(scalar)
            }
            isAfterQuantifier = isQuantifier
        }
        return text
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`, whose brace has been read. Returns the larger count.
    /// - Throws: `Invalid` where a number is missing, or the counts are too high.
    private static func repetition(_ rest: inout ArraySlice<Unicode.Scalar>, _ text: inout String) throws(Invalid)
        -> Int
    {
        guard let end = rest.firstIndex(of: "}") else { throw Invalid(reason: "{ without }; a brace by itself is \\{") }
        let inside = String(String.UnicodeScalarView(rest[..<end]))
        rest = rest[rest.index(after: end)...]
        let counts = inside.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
        guard let least = counts[0], counts.count == 1 || inside.hasSuffix(",") || counts[1] != nil else {
            throw Invalid(reason: "{\(inside)} is not a count; a brace by itself is \\{")
        }
        text += "{\(inside)}"
        return max(least, counts.last.flatMap(\.self) ?? 0)
    }

    private static let classes: [Unicode.Scalar: String] = [
        "d": "0-9", "w": "[:alnum:]_", "s": "[:space:]",
    ]
    private static let controls: [Unicode.Scalar: Unicode.Scalar] = ["n": "\n", "t": "\t", "r": "\r", "f": "\u{C}"]

    private static func escape(_ rest: inout ArraySlice<Unicode.Scalar>) throws(Invalid) -> String {
        guard let scalar = rest.popFirst() else { throw Invalid(reason: "a backslash at the end") }
        if let members = classes[scalar] { return "[\(members)]" }
        if let members = classes[lowercased(scalar)] { return "[^\(members)]" }
        if let control = controls[scalar] { return String(Character(control)) }
        switch scalar {
        case "b", "B": return "\\\(scalar)"
        case "A": return "\\`"
        case "z", "Z": return "\\'"
        case "1"..."9": throw Invalid(reason: "back-references are not supported")
        case "0"..."9", "a"..."z", "A"..."Z": throw Invalid(reason: "\\\(scalar) is not supported")
        case _ where !scalar.isASCII: return "(\(scalar))"
        // The C library gives these a meaning of its own behind a backslash.
        case "<", ">", "`", "'": return "[\(scalar)]"
        default: return "\\\(scalar)"
        }
    }

    private static func lowercased(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        ("A"..."Z").contains(scalar) ? Unicode.Scalar(UInt8(scalar.value) + 32) : scalar
    }

    /// Reads a set in brackets, whose first bracket has been read.
    /// - Throws: `Invalid` where the set has no end, or a class in it is unknown.
    private static func bracket(_ rest: inout ArraySlice<Unicode.Scalar>) throws(Invalid) -> String {
        let isNegated = rest.first == "^"
        if isNegated { rest = rest.dropFirst() }
        // Each member is a character, a range or a class; their order is free.
        var members: [String] = []
        var isFirst = true
        while let scalar = rest.popFirst() {
            defer { isFirst = false }
            if scalar == "]" && !isFirst { return set(members, isNegated: isNegated) }
            if scalar == "[", let kind = rest.first, ":.=".unicodeScalars.contains(kind) {
                members.append(try namedClass(&rest, kind))
                continue
            }
            let (low, characterClass) = try member(scalar, &rest)
            if let characterClass {
                members.append(characterClass)
                continue
            }
            guard rest.first == "-", let next = rest.dropFirst().first, next != "]" else {
                members.append(String(Character(low)))
                continue
            }
            rest = rest.dropFirst(2)
            let (high, classAsEnd) = try member(next, &rest)
            guard classAsEnd == nil, low <= high else { throw Invalid(reason: "[\(low)-\(next)] is not a range") }
            members += (low.value...high.value).compactMap { Unicode.Scalar($0) }.map { String(Character($0)) }
        }
        throw Invalid(reason: "[ without ]")
    }

    /// Reads a character or, behind a backslash, what it stands for: a character, or a class as text.
    /// - Throws: `Invalid` where the set ends early, or a class in it is unknown.
    private static func member(
        _ scalar: Unicode.Scalar, _ rest: inout ArraySlice<Unicode.Scalar>
    ) throws(Invalid) -> (Unicode.Scalar, String?) {
        var scalar = scalar
        if scalar == "\\" {
            guard let escaped = rest.popFirst() else { throw Invalid(reason: "[ without ]") }
            if let members = classes[escaped] { return (escaped, members) }
            let isLetter = escaped.properties.isAlphabetic || ("0"..."9").contains(escaped)
            guard let meant = controls[escaped] ?? (isLetter ? nil : escaped) else {
                throw Invalid(reason: "\\\(escaped) in brackets is not supported")
            }
            scalar = meant
        }
        guard scalar.isASCII && scalar != "\0" else {
            throw Invalid(reason: "\(scalar) in brackets is not supported; write (ä|ö) for [äö]")
        }
        return (scalar, nil)
    }

    private static func namedClass(
        _ rest: inout ArraySlice<Unicode.Scalar>, _ kind: Unicode.Scalar
    ) throws(Invalid) -> String {
        let pattern = [kind, "]"]
        for index in rest.indices.dropFirst().dropLast() where Array(rest[index...index + 1]) == pattern {
            let name = String(String.UnicodeScalarView(rest[...(index + 1)]))
            rest = rest[(index + 2)...]
            return "[" + name
        }
        throw Invalid(reason: "[[\(kind) without \(kind)]]")
    }

    /// Writes a set as POSIX has it: a bracket comes first, a hyphen last, a caret anywhere but first; a backslash is
    /// an ordinary character.
    private static func set(_ members: [String], isNegated: Bool) -> String {
        let special = ["]", "^", "-"].filter(members.contains)
        let others = members.filter { !special.contains($0) }.joined()
        let first = special.contains("]") ? "]" : ""
        let hyphen = special.contains("-") ? "-" : ""
        let caret = special.contains("^") ? "^" : ""
        if !isNegated && caret != "" && first + others == "" { return hyphen == "" ? "\\^" : "[-^]" }
        return "[\(isNegated ? "^" : "")\(first)\(others)\(caret)\(hyphen)]"
    }
}
