/// The command line: the subcommand, with its argument and flags.
struct Invocation {
    typealias Flag = (name: String, value: String)

    private(set) var command = Command.run
    /// The argument behind the command. With `COMMAND --help` it is the name of the command.
    private(set) var argument: String?
    /// The keys of the configuration that are given as flags, `--config` included.
    private(set) var flags: [Flag] = []
    /// The command's own flags; the value of a switch is empty.
    private(set) var ownFlags: [Flag] = []
    var problems: [ConfigurationProblem] = []

    /// Reads `arguments`, which come without the program's name.
    init(_ arguments: [String]) {
        var rest = arguments[...]
        let isNamed = readCommand(&rest)
        let named = command
        while let argument = rest.popFirst() {
            switch argument {
            case "--help", "-h":
                command = .help
                if isNamed { self.argument = named.rawValue }
            case "--version", "-V": command = .version
            default: read(argument, &rest)
            }
        }
        if let missing = named.declaration.argument, argument == nil, !missing.isOptional, problems.isEmpty {
            problems.append(ConfigurationProblem("\(named.rawValue) needs an argument: \(missing.name)"))
        }
    }

    /// Returns the value of a flag of the command's own; an empty one for a switch.
    func value(of flag: String) -> String? { ownFlags.last { $0.name == flag }?.value }

    private mutating func readCommand(_ rest: inout ArraySlice<String>) -> Bool {
        guard let first = rest.first, !Self.beginsAsFlag(first) else { return false }
        rest = rest.dropFirst()
        guard let command = Command(rawValue: first) else {
            let nearest = nearestName(to: first, among: Command.listed.map(\.rawValue)) ?? "run"
            problems.append(ConfigurationProblem("unknown command \(Self.shown(first)); did you mean \(nearest)?"))
            Self.dropArguments(&rest)
            return false
        }
        self.command = command
        return true
    }

    private mutating func read(_ argument: String, _ rest: inout ArraySlice<String>) {
        let declaration = command.declaration
        let isFlag = argument.hasPrefix("--") && argument.utf8.count > 2
        // A flag may be the argument: `help --redis-url` asks about it.
        if let place = declaration.argument, self.argument == nil, !isFlag || place.words == nil {
            readArgument(argument, place)
        } else if isFlag {
            readFlag(argument, of: declaration, rest: &rest)
        } else {
            let afterSecret = flags.last.flatMap { Self.isSecret($0.name) ? $0.name : nil }
            let isOfSecret = UnknownName.isSecret(UnknownName.prefix(of: String(argument.drop(while: Self.isDash))))
            let isMeantAsFlag = Self.beginsAsFlag(argument) || isOfSecret
            problems.append(
                ConfigurationProblem(
                    afterSecret.map { "unexpected argument after \($0); quote a value that holds blanks" }
                        ?? "unexpected argument \(Self.shown(argument))"
                        + (isMeantAsFlag ? "; flags have two hyphens, as --help lists them" : "")))
            // The value of a secret may begin with any character.
            if isOfSecret && !argument.contains("=") { rest = rest.dropFirst() }
            Self.dropArguments(&rest)
        }
    }

    private static func beginsAsFlag(_ argument: String) -> Bool { argument.first.map(isDash) ?? false }

    /// Returns true for a hyphen, and for the dashes that it becomes in a text that was typeset.
    private static func isDash(_ character: Character) -> Bool {
        "-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}".contains(character)
    }

    /// Drops the arguments behind one that was not expected: any of them may be a secret.
    private static func dropArguments(_ rest: inout ArraySlice<String>) {
        rest = rest.drop { !beginsAsFlag($0) }
    }

    /// Returns an argument that nothing was expected of, without what may be a secret.
    private static func shown(_ argument: String) -> String {
        let name = UnknownName.prefix(of: argument)
        if UnknownName.isSecret(name) && !argument.contains("=") { return UnknownName.shown(argument) }
        guard let equals = argument.firstIndex(of: "=") else { return EffectiveConfiguration.redactedURL(argument) }
        return argument[..<equals] + "=…"
    }

    /// Returns true if a flag's value must not be shown, and may begin with any character.
    private static func isSecret(_ flag: String) -> Bool {
        KeyTable.all.first { $0.flag == flag }?.kind.isSecret ?? false
    }

    private static func isKey(_ flag: String) -> Bool {
        flag == "--config" || KeyTable.all.contains { $0.flag == flag || $0.kind.isSecret && $0.flag + "-file" == flag }
    }

    /// Returns what is wrong with a flag that is neither a key nor one of the command's own.
    private func unknown(_ flag: String, _ declaration: CommandDeclaration) -> ConfigurationProblem {
        let owners = Command.listed.filter { $0.declaration.flags.contains { $0.name == flag } }.map(\.rawValue)
        let own = declaration.flags.map(\.name)
        let candidates = declaration.takesKeys ? own + ["--config"] + KeyTable.all.map(\.flag) : own
        if !owners.isEmpty || candidates.isEmpty {
            let hint = owners.isEmpty ? "" : "; it belongs to \(owners.joined(separator: " and "))"
            return ConfigurationProblem("\(command.rawValue) takes no \(UnknownName.shown(flag))\(hint)")
        }
        return ConfigurationProblem(unknown: flag, origin: .flag(flag), candidates: candidates)
    }

    /// Drops what follows a flag that is unknown: its value, if it has any, which may be a secret.
    private static func dropValue(of argument: String, _ rest: inout ArraySlice<String>) {
        if !argument.contains("="), let next = rest.first, !next.hasPrefix("-") { rest = rest.dropFirst() }
    }

    private mutating func readArgument(_ text: String, _ place: CommandArgument) {
        argument = text
        guard let words = place.words, !words.contains(text) else { return }
        problems.append(ConfigurationProblem("\(Self.shown(text)): allowed is \(words.joined(separator: ", "))"))
    }

    private mutating func readFlag(
        _ argument: String, of declaration: CommandDeclaration, rest: inout ArraySlice<String>
    ) {
        let name = String(argument.prefix { $0 != "=" })
        let own = declaration.flags.first { $0.name == name }
        guard own != nil || Self.isKey(name) else {
            problems.append(unknown(name, declaration))
            Self.dropValue(of: argument, &rest)
            return
        }
        let value: String
        if let own, own.value == nil {
            value = ""
            if name != argument { problems.append(ConfigurationProblem("\(name) takes no value")) }
        } else if name != argument {
            value = String(argument.dropFirst(name.count + 1))
        } else if let next = rest.first, !next.hasPrefix("--") || Self.isSecret(name) {
            value = next
            rest = rest.dropFirst()
        } else {
            problems.append(ConfigurationProblem("\(name) has no value; write \(name) VALUE or \(name)=VALUE"))
            return
        }
        if own != nil {
            ownFlags.append((name, value))
        } else if declaration.takesKeys {
            flags.append((name, value))
        } else {
            problems.append(ConfigurationProblem("\(command.rawValue) takes no \(name)"))
        }
    }
}
