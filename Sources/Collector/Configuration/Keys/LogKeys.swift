import Logging

/// `log.*`
struct LogKeys: KeySection {
    static let title = "Log"

    static let levels: KeyValuePairs<String, Logger.Level> = [
        "trace": .trace, "debug": .debug, "info": .info, "notice": .notice, "warning": .warning, "error": .error,
    ]

    let level = Key(
        "log.level", .logLevel, default: "info", example: "debug", help: "least severity that is logged",
        isReloadable: true)
    let format = Key<LogFormat>(
        "log.format", .choice(["auto": .auto, "json": .json, "text": .text]), default: "auto", example: "json",
        help: "auto = text on a terminal, else json")
}

extension ValueForm where Value == Logger.Level {
    /// Capitals do not matter, and `warn` is `warning`.
    fileprivate static var logLevel: Self {
        Self(.choice(LogKeys.levels.map(\.key))) { text in
            let word = text.lowercased()
            return LogKeys.levels.first { $0.key == (word == "warn" ? "warning" : word) }?.value
        }
    }
}
