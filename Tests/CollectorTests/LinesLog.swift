import Logging
import Synchronization

/// Keeps what is logged: each line is its message and what it is about.
final class LinesLog: LogHandler, Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        let words = ["alert", "queue", "lines"].compactMap { event.metadata?[$0].map { "\($0)" } }
        lines.withLock { $0.append((["\(event.message)"] + words).joined(separator: " ")) }
    }
}

/// Keeps lines as they come.
final class LinesOfText: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
}
