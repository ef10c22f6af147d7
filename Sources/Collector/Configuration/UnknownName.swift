/// The part of an unknown key that is shown. A secret that is written as a mapping stands where a name belongs:
///
///     redis: {password: {s3cret}}        redis.password: holds a value, no keys
///     redis: {passwords: {s3cret: x}}    unknown key redis.passwords
///     headers: {s3cret: x}               unknown key headers
///     redis: {password:s3cret}           unknown key redis.password…
enum UnknownName {
    /// Returns the characters that a name may have, from the beginning on: letters, digits, and any of `-_.`
    static func prefix(of given: String) -> String {
        String(given.prefix(while: isPart))
    }

    /// Returns true for a character that names have.
    static func isPart(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "-_.".contains(character)
    }

    /// Returns true for the name of a secret, however it is spelled.
    static func isSecret(_ given: String) -> Bool {
        func words(_ name: String) -> String {
            String(name.drop { $0 == "-" }.lowercased().map { "._".contains($0) ? "-" : $0 })
        }
        let given = words(given)
        return KeyTable.all.contains { key in
            key.kind.isSecret && [words(key.name), words(key.environment)].contains(given)
        }
    }

    /// Returns `section.name:…` for the text of a section that is one of its keys, without the blank behind the colon.
    static func keyWithoutBlank(in text: String, ofSection section: String) -> String? {
        let name = prefix(of: text)
        let isKey = KeyTable.all.contains { [$0.name, $0.name + "-file"].contains(section + "." + name) }
        return isKey && text.dropFirst(name.count).first == ":" ? section + "." + text : nil
    }

    /// Returns the name of the key below which `given` names another; nil where there is none.
    static func keyWithNames(_ given: String, spelling: (any DeclaredKey) -> String) -> String? {
        KeyTable.all.flatMap { key in [spelling(key)] + (key.kind.isSecret ? [spelling(key) + "-file"] : []) }
            .first { given.hasPrefix($0 + ".") }
    }

    /// Returns the name up to its first part that no key has, where a section is known or the part is almost a secret's; else the whole
    /// name. What stands behind the first character that no name has is left out.
    static func shown(_ given: String) -> String {
        let name = prefix(of: given)
        let shown = firstParts(of: name)
        guard shown == name, let next = given.dropFirst(name.count).first else { return shown }
        return shown + (next == "=" ? "=…" : "…")
    }

    private static func firstParts(of name: String) -> String {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        var known = 0
        while known < parts.count, isSection(parts[...known]) { known += 1 }
        if known > 0 { return parts[...min(known, parts.count - 1)].joined(separator: ".") }
        let secret = parts.firstIndex(where: isAlmostSecret) ?? parts.count - 1
        return parts[...secret].joined(separator: ".")
    }

    private static func isSection(_ parts: ArraySlice<Substring>) -> Bool {
        let prefix = parts.joined(separator: ".") + "."
        return KeyTable.all.contains { $0.name.hasPrefix(prefix) }
    }

    /// Returns true for the last part of a secret's name, also with one letter of three another.
    private static func isAlmostSecret(_ part: Substring) -> Bool {
        KeyTable.all.contains { key in
            guard key.kind.isSecret, let name = key.name.split(separator: ".").last else { return false }
            return editDistance(Array(part.lowercased().utf8), Array(name.utf8)) <= name.utf8.count / 3
        }
    }
}
