/// The part of an unknown key that is shown. A secret that is written as a mapping stands where a name belongs:
///
///     redis: {password: {s3cret}}        redis.password: holds a value, no keys
///     redis: {passwords: {s3cret: x}}    unknown key redis.passwords
///     headers: {s3cret: x}               unknown key headers
enum UnknownName {
    /// Returns the name of the key below which `given` names another; nil where there is none.
    static func keyWithNames(_ given: String, spelling: (any DeclaredKey) -> String) -> String? {
        KeyTable.all.flatMap { key in [spelling(key)] + (key.kind.isSecret ? [spelling(key) + "-file"] : []) }
            .first { given.hasPrefix($0 + ".") }
    }

    /// Returns the name up to its first part that no key has, where a section is known or the part is almost a secret's; else the whole
    /// name.
    static func shown(_ given: String) -> String {
        let parts = given.split(separator: ".", omittingEmptySubsequences: false)
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
