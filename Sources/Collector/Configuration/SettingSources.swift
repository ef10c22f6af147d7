import Platform

/// The texts that the file, the environment and the flags give to keys; the later one of these wins.
struct SettingSources {
    struct SourceText {
        let text: String
        let origin: SettingOrigin
        /// The file from which the text of a secret was read.
        var file: String?
    }

    /// The texts by the name of the key.
    var texts: [String: SourceText] = [:]
    private(set) var problems: [ConfigurationProblem] = []

    private static let pairKeys = Set(KeyTable.all.filter(\.kind.isPairs).map(\.name))
    private static let fileVariable = KeyTable.environmentPrefix + "CONFIG"

    /// Reads flags and environment. An empty environment variable counts as one that is not set.
    mutating func read(flags: [(name: String, value: String)], environment: [(name: String, value: String)]) {
        let variables = environment.filter { !$0.value.isEmpty }
        let file =
            flags.last { $0.name == "--config" }?.value ?? variables.first { $0.name == Self.fileVariable }?.value
        if let file { readFile(file) }
        readEnvironment(variables)
        for (name, value) in flags where name != "--config" {
            set(name, to: value, from: .flag(name), spelling: \.flag)
        }
    }

    private mutating func readFile(_ path: String) {
        let entries: [ConfigurationFile.Entry]
        do {
            entries = try ConfigurationFile.parse(try Files.read(path), pairKeys: Self.pairKeys)
        } catch let error as ConfigurationFile.Unreadable {
            problems.append(ConfigurationProblem("\(path): \(error.problem)"))
            return
        } catch {
            problems.append(ConfigurationProblem("--config: \(error)"))
            return
        }
        var seen: Set<String> = []
        for entry in entries {
            let origin = SettingOrigin.file(path: path, line: entry.line)
            // This is a section whose keys are all commented out.
            if case .null = entry.form, KeyTable.all.contains(where: { $0.name.hasPrefix(entry.key + ".") }) {
                continue
            }
            guard let key = Self.key(entry.key, spelling: \.name) else {
                let name = UnknownName.keyWithoutBlank(in: entry.text, ofSection: entry.key) ?? entry.key
                set(name, to: entry.text, from: origin, spelling: \.name)
                continue
            }
            if !seen.insert(entry.key).inserted {
                problems.append(ConfigurationProblem("\(entry.key) (\(origin)): given twice"))
            }
            if case .sequence(let items, _) = entry.form, case .regularExpression = key.key.kind {
                if items.contains("") {
                    problems.append(ConfigurationProblem("\(entry.key) (\(origin)): an item of the list is empty"))
                } else {
                    set(entry.key, to: items.joined(separator: "\n"), from: origin, spelling: \.name)
                }
            } else if let problem = Self.problem(of: entry, takesList: !key.isFile && key.key.kind.takesList) {
                problems.append(ConfigurationProblem("\(entry.key) (\(origin)): \(problem)"))
            } else {
                set(entry.key, to: entry.text, from: origin, spelling: \.name)
            }
        }
    }

    /// Returns what YAML would take out of a value without a word; nil where it is whole.
    private static func problem(of entry: ConfigurationFile.Entry, takesList: Bool) -> String? {
        switch entry.form {
        case .scalar, .pairs: nil
        case .null(let problem): problem
        case .sequence(_, let isInBrackets):
            takesList
                ? nil : "holds one value, no list" + (isInBrackets ? "; one that begins with [ stands in quotes" : "")
        }
    }

    private mutating func readEnvironment(_ variables: [(name: String, value: String)]) {
        for (name, value) in variables.sorted(by: { $0.name < $1.name }) {
            guard name.hasPrefix(KeyTable.environmentPrefix), name != Self.fileVariable,
                !Self.isServiceLink(name, value)
            else { continue }
            set(name, to: value, from: .environment(name), spelling: \.environment)
        }
    }

    /// Returns true for the variables that Kubernetes gives every pod for a service called asynq-collector, or
    /// asynq-collector-metrics and the like: `…_SERVICE_HOST`, `…_SERVICE_PORT`, `…_SERVICE_PORT_WEB`, `…_PORT` (a
    /// url), `…_PORT_9876_TCP`, `…_PORT_9876_TCP_ADDR`.
    private static func isServiceLink(_ name: String, _ value: String) -> Bool {
        let parts = name.dropFirst(KeyTable.environmentPrefix.count).split(separator: "_")
        if parts.last == "PORT" && value.contains("://") { return true }
        for (part, next) in zip(parts, parts.dropFirst()) {
            if part == "SERVICE" && (next == "HOST" || next == "PORT") { return true }
            if part == "PORT" && UInt16(next) != nil { return true }
        }
        return false
    }

    /// Returns the key that `spelling` writes as `given`; also with `-file` or `_FILE` behind it, where it is a secret.
    private static func key(
        _ given: String, spelling: (any DeclaredKey) -> String
    ) -> (key: any DeclaredKey, isFile: Bool)? {
        if let key = KeyTable.all.first(where: { spelling($0) == given }) { return (key, false) }
        let secret = KeyTable.all.first { key in
            key.kind.isSecret && (spelling(key) + "-file" == given || spelling(key) + "_FILE" == given)
        }
        return secret.map { ($0, true) }
    }

    /// Sets the key that `spelling` writes as `given`; with `-file` or `_FILE` behind it, from that file.
    private mutating func set(
        _ given: String, to text: String, from origin: SettingOrigin, spelling: (any DeclaredKey) -> String
    ) {
        if let (key, isFile) = Self.key(given, spelling: spelling) {
            if isFile {
                readSecret(key, path: text, origin)
            } else {
                texts[key.name] = SourceText(text: text, origin: origin)
            }
        } else if let name = UnknownName.keyWithNames(given, spelling: spelling) {
            problems.append(ConfigurationProblem("\(name) (\(origin)): holds a value, no keys"))
        } else {
            problems.append(
                ConfigurationProblem(
                    unknown: given, origin: origin, candidates: KeyTable.all.map(spelling)))
        }
    }

    private mutating func readSecret(_ key: any DeclaredKey, path: String, _ origin: SettingOrigin) {
        do throws(ConfigurationProblem) {
            texts[key.name] = SourceText(text: try SecretFile.read(path, of: key), origin: origin, file: path)
        } catch {
            problems.append(ConfigurationProblem("\(error.description) (\(origin))"))
        }
    }
}
