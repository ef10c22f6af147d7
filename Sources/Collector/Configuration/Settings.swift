import Platform

/// One value of the configuration and where it came from.
struct Setting: Sendable {
    let key: ConfigurationKey
    let text: String
    /// Such as `--redis-url`, `ASYNQ_COLLECTOR_REDIS_URL`, `collector.yaml line 3` or `default`.
    let origin: String

    var isDefault: Bool { origin == Setting.defaultOrigin }

    static let defaultOrigin = "default"
}

/// All values, from flag, environment, file or default, in that order; their forms are not checked yet.
struct Settings: Sendable {
    private(set) var values: [String: Setting] = [:]
    private(set) var problems: [ConfigurationProblem] = []

    /// `flags` are name and value pairs as given, `--` included; `environment` is the whole of it; `defaults` replace
    /// those of the keys.
    init(
        flags: [(name: String, value: String)], environment: [(name: String, value: String)],
        defaults: [String: String] = [:]
    ) {
        for key in ConfigurationKey.all {
            let text = defaults[key.name] ?? key.defaultText
            values[key.name] = Setting(key: key, text: text, origin: Setting.defaultOrigin)
        }
        var file = environment.first { $0.name == ConfigurationKey.environmentPrefix + "CONFIG" }?.value
        for flag in flags where flag.name == "--config" { file = flag.value }
        if let file { readFile(file) }
        readEnvironment(environment)
        readFlags(flags)
    }

    subscript(_ name: String) -> Setting {
        guard let setting = values[name] else { preconditionFailure("\(name) is no key of ConfigurationKey.all") }
        return setting
    }

    private mutating func readFile(_ path: String) {
        let entries: [ConfigurationFile.Entry]
        do {
            entries = try ConfigurationFile.parse(try Files.read(path))
        } catch let error as ConfigurationFile.Unreadable {
            problems.append(ConfigurationProblem("\(path): \(error.problem)"))
            return
        } catch {
            problems.append(ConfigurationProblem("--config: \(error)"))
            return
        }
        var seen: Set<String> = []
        for entry in entries {
            let origin = "\(path) line \(entry.line)"
            // A section whose keys are all commented out.
            if entry.text.isEmpty, ConfigurationKey.all.contains(where: { $0.name.hasPrefix(entry.key + ".") }) {
                continue
            }
            if !seen.insert(entry.key).inserted {
                problems.append(ConfigurationProblem("\(entry.key) (\(origin)): given twice"))
            }
            set(entry.key, entry.text, origin: origin, shownAs: entry.key) { $0.name }
        }
    }

    private mutating func readEnvironment(_ environment: [(name: String, value: String)]) {
        for (name, value) in environment.sorted(by: { $0.name < $1.name }) {
            guard name.hasPrefix(ConfigurationKey.environmentPrefix),
                name != ConfigurationKey.environmentPrefix + "CONFIG",
                !Self.isServiceLink(name, value)
            else { continue }
            set(name, value, origin: name, shownAs: name) { $0.environment }
        }
    }

    /// Kubernetes gives every pod such variables for a service called asynq-collector, or asynq-collector-metrics and
    /// the like: `…_SERVICE_HOST`, `…_SERVICE_PORT`, `…_SERVICE_PORT_WEB`, `…_PORT` (a url), `…_PORT_9876_TCP`,
    /// `…_PORT_9876_TCP_ADDR`.
    private static func isServiceLink(_ name: String, _ value: String) -> Bool {
        let parts = name.dropFirst(ConfigurationKey.environmentPrefix.count).split(separator: "_")
        if parts.last == "PORT" && value.contains("://") { return true }
        for (part, next) in zip(parts, parts.dropFirst()) {
            if part == "SERVICE" && (next == "HOST" || next == "PORT") { return true }
            if part == "PORT" && UInt16(next) != nil { return true }
        }
        return false
    }

    private mutating func readFlags(_ flags: [(name: String, value: String)]) {
        for (name, value) in flags where name != "--config" {
            set(name, value, origin: name, shownAs: name) { $0.flag }
        }
    }

    /// Sets the key whose form (by `spelling`) is `given`; with `-file` or `_FILE` behind it, from that file.
    private mutating func set(
        _ given: String, _ text: String, origin: String, shownAs shown: String,
        spelling: (ConfigurationKey) -> String
    ) {
        if let key = ConfigurationKey.all.first(where: { spelling($0) == given }) {
            values[key.name] = Setting(key: key, text: text, origin: origin)
            return
        }
        let secret = ConfigurationKey.all.first { key in
            key.form.isSecret && (spelling(key) + "-file" == given || spelling(key) + "_FILE" == given)
        }
        guard let secret else {
            problems.append(
                ConfigurationProblem(unknown: shown, origin: origin, candidates: ConfigurationKey.all.map(spelling)))
            return
        }
        do {
            var content = String(decoding: try Files.read(text, limit: 64 << 10), as: UTF8.self)
            while let last = content.last, last == "\n" || last == "\r\n" || last == "\r" { content.removeLast() }
            // A secret that is not there yet must not switch the protection off.
            if content.isEmpty {
                problems.append(ConfigurationProblem("\(secret.name) (\(origin)): \(text) is empty"))
            }
            values[secret.name] = Setting(key: secret, text: content, origin: origin)
        } catch {
            problems.append(ConfigurationProblem("\(secret.name) (\(origin)): \(error.description)"))
        }
    }
}
