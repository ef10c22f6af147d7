import Logging

/// `log.*`: the level and the format of log lines.
struct LogKeys: KeySection {
    static let title = "Log"
    static let page = "docs/RUNBOOK.md"

    static let levels: KeyValuePairs<String, Logger.Level> = [
        "trace": .trace, "debug": .debug, "info": .info, "notice": .notice, "warning": .warning, "error": .error,
    ]

    let level = Key(
        "log.level", .logLevel, default: "info", example: "debug",
        help: "The least severity that is logged. Capitals do not matter, and warn is warning.",
        isReloadable: true)
    let format = Key<LogFormat>(
        "log.format", .choice(["auto": .auto, "json": .json, "text": .text]), default: "auto", example: "json",
        help: "The form of a log line. auto is text on a terminal, and one JSON object a line elsewhere.")
}

extension ValueForm where Value == Logger.Level {
    /// Reads a level. Capitals do not matter, and `warn` is `warning`.
    fileprivate static var logLevel: Self {
        Self(.choice(LogKeys.levels.map(\.key))) { text in
            let word = text.lowercased()
            return LogKeys.levels.first { $0.key == (word == "warn" ? "warning" : word) }?.value
        }
    }
}
