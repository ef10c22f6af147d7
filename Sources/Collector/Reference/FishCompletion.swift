/// The completion of fish.
enum FishCompletion {
    static var script: String {
        var lines = [
            "# fish completion for asynq-collector; made by: asynq-collector completion fish", "",
            "complete -c asynq-collector -f",
        ]
        for command in Command.listed {
            lines.append(
                "complete -c asynq-collector -n __fish_use_subcommand -a \(command.rawValue) -d \(quoted(command.declaration.summary))"
            )
        }
        let taking = Command.listed.filter(\.declaration.takesKeys).map(\.rawValue)
        let others = Command.listed.map(\.rawValue).filter { !taking.contains($0) }
        let settings = quoted("not __fish_seen_subcommand_from \(others.joined(separator: " "))")
        lines += CompletedFlag.settings.map { line($0, condition: settings) }
        lines += CompletedFlag.common.map { line($0, condition: nil) }
        for command in Command.listed {
            let condition = quoted("__fish_seen_subcommand_from \(command.rawValue)")
            lines += CompletedFlag.own(of: command).map { line($0, condition: condition) }
            let words = command.completedWords
            if !words.isEmpty {
                lines.append(
                    "complete -c asynq-collector -n \(condition) -a \(quoted(words.joined(separator: " ")))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func line(_ flag: CompletedFlag, condition: String?) -> String {
        var line = "complete -c asynq-collector"
        if let condition { line += " -n \(condition)" }
        line += " -l \(flag.name.dropFirst(2))"
        switch flag.value {
        case .none: break
        case .words(let words): line += " -x -a \(quoted(words.joined(separator: " ")))"
        case .file: line += " -r -F"
        case .free: line += " -x"
        }
        return line + " -d \(quoted(flag.summary))"
    }

    private static func quoted(_ text: String) -> String {
        let escaped = text.map { $0 == "\\" || $0 == "'" ? "\\" + String($0) : String($0) }
        return "'" + escaped.joined() + "'"
    }
}
