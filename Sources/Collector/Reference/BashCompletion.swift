/// The completion of bash 4 and newer; bash-completion need not be installed.
enum BashCompletion {
    static var script: String {
        """
        # bash completion for asynq-collector; made by: asynq-collector completion bash

        _asynq_collector() {
            local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=run flag=""
            local settings='\(words(CompletedFlag.settings.map(\.name)))'
            local common='\(words(CompletedFlag.common.map(\.name)))'
            COMPREPLY=()

            # bash splits --flag=value into three words.
            if [[ $current == = && $previous == --* ]]; then
                flag=$previous current=""
            elif [[ $previous == = ]]; then
                flag=${COMP_WORDS[COMP_CWORD - 2]}
            elif [[ $previous == --* ]]; then
                flag=$previous
            fi
            if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} != -* ]]; then command=${COMP_WORDS[1]}; fi

            case $flag in
        \(values)
            esac

            if ((COMP_CWORD == 1)) && [[ $current != -* ]]; then
                COMPREPLY=($(compgen -W '\(words(Command.listed.map(\.rawValue)))' -- "$current"))
                return
            fi
            case $command in
        \(commands)
            esac
        }

        complete -F _asynq_collector asynq-collector

        """
    }

    private static func words(_ words: [String]) -> String { words.joined(separator: " ") }

    private static func reply(_ list: String) -> String { "COMPREPLY=($(compgen -W \(list) -- \"$current\"))" }

    /// The values behind a flag. A flag without a list offers none: its value is free.
    private static var values: String {
        var files: [String] = []
        var free: [String] = []
        var lines: [String] = []
        for flag in Command.listed.flatMap(\.completedFlags).uniqued() {
            switch flag.value {
            case .none: continue
            case .file: files.append(flag.name)
            case .free: free.append(flag.name)
            case .words(let list): lines.append("        \(flag.name)) \(reply("'\(words(list))'")); return ;;")
            }
        }
        lines.append("        \(files.joined(separator: " | ")))")
        lines.append("            compopt -o filenames")
        lines.append("            mapfile -t COMPREPLY < <(compgen -f -- \"$current\")")
        lines.append("            return ;;")
        lines.append("        \(free.joined(separator: " | "))) return ;;")
        return lines.joined(separator: "\n")
    }

    private static var commands: String {
        Command.listed.map { command in
            let own = words(command.completedWords + CompletedFlag.own(of: command).map(\.name))
            let settings = command.declaration.takesKeys ? "$settings" : ""
            // An argument is offered by itself.
            let common = command.completedWords.isEmpty ? "$common" : ""
            let list = [own, settings, common].filter { !$0.isEmpty }.joined(separator: " ")
            return "        \(command.rawValue)) \(reply("\"\(list)\"")) ;;"
        }.joined(separator: "\n")
    }
}

extension [CompletedFlag] {
    /// Returns the first flag of each name.
    func uniqued() -> [CompletedFlag] {
        var seen: Set<String> = []
        return filter { seen.insert($0.name).inserted }
    }
}
