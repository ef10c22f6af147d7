/// The completion of zsh, for a directory of `fpath`.
enum ZshCompletion {
    static var script: String {
        """
        #compdef asynq-collector
        # zsh completion for asynq-collector; made by: asynq-collector completion zsh

        _asynq_collector_settings=(
        \(lines(CompletedFlag.settings + CompletedFlag.common))
        )

        _asynq-collector() {
            local -a commands
            commands=(
        \(commands)
            )
            if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
                _describe -t commands command commands
                return
            fi
            case $words[2] in
        \(cases)
                *) _arguments $_asynq_collector_settings ;;
            esac
        }

        # As a file of fpath, the first call loads it and has to complete too.
        if [[ $funcstack[1] == _asynq-collector ]]; then
            _asynq-collector "$@"
        else
            compdef _asynq-collector asynq-collector
        fi

        """
    }

    private static var commands: String {
        Command.listed.map { "        '\($0.rawValue):\(quoted($0.declaration.summary))'" }.joined(separator: "\n")
    }

    private static var cases: String {
        Command.listed.map { command in
            var specifications: [String] = []
            // The command itself is the first argument.
            specifications.append("'1: :'")
            if let argument = command.declaration.argument {
                let words = command.completedWords.joined(separator: " ")
                specifications.append("'2:\(quoted(argument.name)):(\(words))'")
            }
            specifications += CompletedFlag.own(of: command).map(specification)
            if command.declaration.takesKeys {
                specifications.append("$_asynq_collector_settings")
            } else {
                specifications += CompletedFlag.common.map(specification)
            }
            return "        \(command.rawValue)) _arguments \(specifications.joined(separator: " ")) ;;"
        }.joined(separator: "\n")
    }

    private static func lines(_ flags: [CompletedFlag]) -> String {
        flags.map { "    " + specification($0) }.joined(separator: "\n")
    }

    /// Returns one specification of `_arguments`: `'--flag=[summary]:PLACEHOLDER:action'`.
    private static func specification(_ flag: CompletedFlag) -> String {
        let action: String
        switch flag.value {
        case .none: return "'\(flag.name)[\(quoted(flag.summary))]'"
        case .words(let words): action = "(\(words.joined(separator: " ")))"
        case .file: action = "_files"
        case .free: action = " "
        }
        return "'\(flag.name)=[\(quoted(flag.summary))]:\(quoted(flag.placeholder)):\(action)'"
    }

    /// Returns the text within single quotes, where `_arguments` and `_describe` read `:`, `[` and `]`.
    private static func quoted(_ text: String) -> String {
        text.map { character -> String in
            switch character {
            case "'": "'\\''"
            case "\\", ":", "[", "]": "\\" + String(character)
            default: String(character)
            }
        }.joined()
    }
}
