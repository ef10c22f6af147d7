/// The shells that `completion` has a script for. Each script is made from the tables of commands and keys, needs nothing but its
/// shell, and does not start the collector.
enum Shell: String, CaseIterable, Sendable {
    case bash, zsh, fish

    var completionScript: String {
        switch self {
        case .bash: BashCompletion.script
        case .zsh: ZshCompletion.script
        case .fish: FishCompletion.script
        }
    }
}

/// A flag as completions know it.
struct CompletedFlag {
    enum Value {
        /// A switch, which has no value.
        case none
        /// The texts of which the user's may be one.
        case words([String])
        case file
        case free
    }

    let name: String
    let value: Value
    /// The placeholder of the value.
    let placeholder: String
    let summary: String

    /// The flags of the configuration.
    static let settings: [CompletedFlag] =
        [CompletedFlag(name: "--config", value: .file, placeholder: "FILE", summary: "read settings from a YAML file")]
        + KeyTable.all.flatMap { key -> [CompletedFlag] in
            let flag = CompletedFlag(
                name: key.flag, value: value(key.kind), placeholder: key.kind.placeholder, summary: key.summary)
            let file = CompletedFlag(
                name: key.flag + "-file", value: .file, placeholder: "PATH", summary: "A file that holds \(key.name)")
            return key.kind.isSecret ? [flag, file] : [flag]
        }

    /// The flags that each command has.
    static let common = [
        CompletedFlag(name: "--help", value: .none, placeholder: "", summary: "print help"),
        CompletedFlag(name: "--version", value: .none, placeholder: "", summary: "print the version"),
    ]

    static func own(of command: Command) -> [CompletedFlag] {
        command.declaration.flags.map { flag in
            CompletedFlag(
                name: flag.name, value: flag.value == nil ? .none : .free, placeholder: flag.value ?? "",
                summary: flag.help)
        }
    }

    private static func value(_ kind: ValueKind) -> Value {
        if case .path = kind { return .file }
        return kind.words.isEmpty ? .free : .words(kind.words)
    }
}

extension Command {
    /// The words that its argument may be.
    var completedWords: [String] {
        guard let argument = declaration.argument else { return [] }
        return argument.words ?? Help.topics
    }

    /// The flags in the order of help.
    var completedFlags: [CompletedFlag] {
        CompletedFlag.own(of: self) + (declaration.takesKeys ? CompletedFlag.settings : []) + CompletedFlag.common
    }
}
