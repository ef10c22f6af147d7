import Text

/// Writes asynq-collector(1), in the man macros of roff.
enum ManPage {
    static var text: String {
        var lines = [
            #".\" Made from the code by scripts/generate-docs."#,
            ".TH ASYNQ-COLLECTOR 1 \(BuildInfo.date) \"asynq-collector \(BuildInfo.version)\" \"User Commands\"",
            // These switch off hyphens and blanks that a flag does not have.
            ".nh", ".ad l", ".SH NAME", #"asynq-collector \- observability sidecar for Asynq task queues"#,
            ".SH SYNOPSIS",
        ]
        for command in Command.listed {
            if command != Command.listed.first { lines.append(".br") }
            lines.append(plain(command.synopsis))
        }
        lines += [".SH DESCRIPTION"] + description + [".SH COMMANDS"] + Command.listed.flatMap(commandLines)
        lines += [".SH OPTIONS"]
        lines += entry("--config FILE", "Reads settings from a YAML file.")
        lines += entry("-h, --help", "Prints help, or with a command that of the command.")
        lines += entry("-V, --version", "Prints the version.")
        lines += [".SH SETTINGS", plain(Help.configuration)]
        for group in KeyTable.groups { lines += [".SS " + plain(group.title)] + group.keys.flatMap(keyLines) }
        return (lines + ending).joined(separator: "\n") + "\n"
    }

    private static var description: [String] {
        [
            plain(
                """
                It runs beside Asynq's workers, or once for all of them. It scrapes the queues in Redis with negligible load, receives the \
                spans of tasks by OTLP over a unix socket or TCP, keeps them in a crash-safe spool until Tempo has accepted them, \
                and serves metrics for Prometheus, a status page and numbers for autoscalers.
                """)
        ]
    }

    private static var ending: [String] {
        var lines = [".SH SIGNALS"]
        lines += entry(
            "SIGTERM, SIGINT", "End the collector in order: what was accepted is sent, or kept in the spool.")
        lines += entry(
            "SIGHUP", "Reads the configuration again. Settings that say so take effect; nothing counted is lost.")
        lines += [".SH FILES"]
        lines += entry("/etc/asynq-collector/config.yaml", "The configuration that the systemd unit names by --config.")
        lines += entry(
            KeyTable.shared.spool.directory.defaultText, "The spool, unless spool.directory names another directory.")
        lines += entry(
            KeyTable.shared.otlp.socket.defaultText, "The socket for spans, unless otlp.socket names another.")
        lines += [".SH EXIT STATUS", plain(Help.exitCodes) + "."]
        lines += [".SH SEE ALSO", #".BR redis\-server (1),"#, ".BR prometheus (1)"]
        return lines
    }

    private static func commandLines(_ command: Command) -> [String] {
        let declaration = command.declaration
        var lines = entry(command.usage, declaration.summary.capitalizedSentence)
        for part in declaration.paragraphs { lines += [".IP", plain(part)] }
        if !declaration.flags.isEmpty {
            lines.append(".RS")
            for flag in declaration.flags { lines += entry(flag.usage, flag.help) }
            lines.append(".RE")
        }
        return lines
    }

    private static func keyLines(_ key: any DeclaredKey) -> [String] {
        let type = key.kind.range.map { "\(key.kind.typeName): \($0)" } ?? key.kind.typeName
        let facts = [type, "default: \(key.shownDefault)", "example: \(key.example)", key.environment, key.reloadText]
        return entry("\(key.flag) \(key.kind.placeholder)", key.help) + [
            ".br", plain(facts.joined(separator: "; ") + "."),
        ]
    }

    private static func entry(_ term: String, _ text: String) -> [String] {
        [".TP", ".B " + plain(term), plain(text)]
    }

    /// Returns a text that roff prints as it is.
    private static func plain(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar -> String in
            switch scalar {
            case "\\": #"\e"#
            case "-": #"\-"#
            case "'": #"\(aq"#
            case "\"": #"\(dq"#
            case "`": #"\(ga"#
            case "^": #"\(ha"#
            case "~": #"\(ti"#
            case "\n": " "
            case _ where scalar.value > 0x7E: "\\[u" + Hex.text(UInt64(scalar.value), digits: 4).uppercased() + "]"
            default: String(scalar)
            }
        }.joined()
        // Long lists may be broken behind a comma. A full stop at the start of a line would be a request.
        let text = escaped.split(separator: ",", omittingEmptySubsequences: false).joined(separator: #",\:"#)
        return text.hasPrefix(".") ? #"\&"# + text : text
    }
}
