import Model
import Spool

/// `spool.*`: the queue on disk.
struct SpoolKeys: KeySection {
    static let title = "Spool"

    let directory = Key(
        "spool.directory", .absolutePath, default: "/var/lib/asynq-collector", example: "/data/spool",
        help: "the crash-safe queue; one process per directory")
    let maxBytes = Key(
        "spool.max-bytes", .size(1 << 20...1 << 50), default: "1GiB", example: "10GiB", help: "on disk",
        isReloadable: true)
    let maxAge = Key(
        "spool.max-age", .duration(or: "none"), default: "none", example: "6h",
        help: "older spans are dropped, counted", isReloadable: true)
    let whenFull = Key<SpoolWhenFull>(
        "spool.when-full", .choice(["refuse": .refuse, "drop-oldest": .dropOldest]), default: "refuse",
        example: "drop-oldest", help: "refuse (429, the sender retries) or drop-oldest", isReloadable: true)
    let sync = Key(
        "spool.sync", .spoolSync, default: "200ms", example: "always",
        help: "always (before the acknowledgement), an interval, or never")
}

extension SpoolOptions {
    init(_ settings: Settings) {
        self.init(
            maxBytes: settings[\.spool.maxBytes], maxAge: settings[\.spool.maxAge],
            whenFull: settings[\.spool.whenFull], sync: settings[\.spool.sync])
    }
}

extension ValueForm where Value == String {
    fileprivate static var absolutePath: Self {
        Self(.text(allowed: "an absolute path")) { text in text.hasPrefix("/") ? text : nil }
    }
}

extension ValueForm where Value == SpoolSync {
    fileprivate static var spoolSync: Self {
        Self(.text(allowed: "always, never, or an interval such as 200ms")) { text in
            switch text {
            case "always": return .always
            case "never": return .never
            default:
                guard let interval = ValueParsing.duration(text), interval > .zero else { return nil }
                return .interval(interval)
            }
        }
    }
}
