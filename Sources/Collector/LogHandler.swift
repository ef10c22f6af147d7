import Glibc
package import Logging
import Model
package import Platform
import Synchronization
import Text

/// Writes lines on standard error: JSON for machines, plain text for people. Payloads and credentials are never in
/// them: the callers see to that.
package struct CollectorLogHandler: LogHandler {
    /// The level, which all loggers share so that SIGHUP can change it.
    package final class Level: Sendable {
        private let level: Mutex<Logger.Level>

        package init(_ level: Logger.Level) {
            self.level = Mutex(level)
        }

        package var current: Logger.Level {
            get { level.withLock { $0 } }
            set { level.withLock { $0 = newValue } }
        }
    }

    private let label: String
    private let level: Level
    private let isJSON: Bool
    private let clock: Clock
    /// Takes the lines in the place of standard error.
    private let sink: (@Sendable (String) -> Void)?

    package var metadata: Logger.Metadata = [:]

    package init(
        label: String, level: Level, format: LogFormat, clock: Clock, sink: (@Sendable (String) -> Void)? = nil
    ) {
        self.label = label
        self.level = level
        self.clock = clock
        self.sink = sink
        switch format {
        case .json: isJSON = true
        case .text: isJSON = false
        case .auto: isJSON = isatty(STDERR_FILENO) == 0
        }
    }

    package var logLevel: Logger.Level {
        get { level.current }
        set { level.current = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = metadata
        if let more = event.metadata { fields.merge(more) { $1 } }
        if let sink { return sink("\(label): \(event.message)\(pairs(fields))") }
        let bytes = Array((line(event.level, message: "\(event.message)", fields: fields) + "\n").utf8)
        // A line is one write, so that lines of several threads don't mix. A closed standard error is ignored.
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    func line(_ level: Logger.Level, message: String, fields: Logger.Metadata) -> String {
        isJSON ? json(level, message: message, fields: fields) : text(level, message: message, fields: fields)
    }

    private func json(_ level: Logger.Level, message: String, fields: Logger.Metadata) -> String {
        var line = JSONObject()
        line.add("time", clock.wall().rfc3339)
        line.add("level", "\(level)")
        line.add("component", label)
        line.add("message", message)
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) { line.add(key, "\(value)") }
        return line.text
    }

    private func text(_ level: Logger.Level, message: String, fields: Logger.Metadata) -> String {
        "\(clock.wall().rfc3339) \(level) \(label): \(message)\(pairs(fields))"
    }

    private func pairs(_ fields: Logger.Metadata) -> String {
        fields.sorted { $0.key < $1.key }.map { " \($0.key)=\(JSONString.quoted("\($0.value)"))" }.joined()
    }
}
