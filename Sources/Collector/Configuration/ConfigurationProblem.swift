/// One thing that is wrong with the configuration.
struct ConfigurationProblem: Error, Sendable, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }

    /// A value that its key, or a rule, does not allow. Secrets are not repeated, nor is the part of a URL that may be
    /// one.
    init(_ key: any DeclaredKey, _ text: String, _ origin: SettingOrigin, is problem: String) {
        let shown =
            switch key.kind {
            case .url: "\"\(EffectiveConfiguration.redactedURL(text))\""
            case _ where key.kind.isSecret: "(secret)"
            case .addresses: "\"\(EffectiveConfiguration.shownAddresses(text))\""
            // Patterns stand on a line each.
            case .regularExpression: "\"\(Self.oneLine(EffectiveConfiguration.shownText(text)))\""
            default: "\"\(EffectiveConfiguration.shownText(text))\""
            }
        self.init("\(key.name) = \(shown) (\(origin)): \(problem)")
    }

    private static func oneLine(_ text: String) -> String {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).joined(separator: "\\n")
    }

    init(unknown given: String, origin: SettingOrigin, candidates: [String]) {
        let name = UnknownName.prefix(of: given)
        let nearest = nearestName(to: name, among: candidates).map { "did you mean \($0)?" }
        // A flag and a variable are their own place.
        guard case .file = origin else {
            self.init(["unknown key \(UnknownName.shown(given))", nearest].compactMap(\.self).joined(separator: "; "))
            return
        }
        let key = name.hasSuffix("-file") ? String(name.dropLast(5)) : name
        let lacksBlank = given.dropFirst(name.count).first == ":" && !Set(candidates).isDisjoint(with: [name, key])
        let hint = lacksBlank ? "a blank is missing behind the colon" : nearest
        self.init(
            ["unknown key \(UnknownName.shown(given)) (\(origin))", hint].compactMap(\.self).joined(separator: "; "))
    }
}

/// All problems of the configuration.
struct ConfigurationProblems: Error, Sendable {
    let list: [ConfigurationProblem]

    init(_ list: [ConfigurationProblem]) {
        self.list = list
    }
}

/// Returns the known name with the fewest edits; nil for an empty list.
func nearestName(to name: String, among candidates: [String]) -> String? {
    let ranked = candidates.map { (name: $0, distance: editDistance(Array(name.utf8), Array($0.utf8))) }
    return ranked.min { $0.distance < $1.distance }?.name
}

/// Returns Levenshtein's distance.
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var previous = Array(0...right.count)
    for (row, byte) in left.enumerated() {
        var current = [row + 1]
        for (column, other) in right.enumerated() {
            let replaced = previous[column] + (byte == other ? 0 : 1)
            current.append(min(replaced, previous[column + 1] + 1, current[column] + 1))
        }
        previous = current
    }
    return previous[right.count]
}
