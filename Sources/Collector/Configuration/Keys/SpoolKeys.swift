import Model
import Spool

/// `spool.*`: the queue on disk.
struct SpoolKeys: KeySection {
    static let title = "Spool"
    static let page = "docs/SPOOL.md"

    let directory = Key(
        "spool.directory", .absolutePath, default: "/var/lib/asynq-collector", example: "/data/spool",
        help: """
            The directory of the queue on disk that holds spans until the trace backend has accepted them. It has to outlive the \
            process, and belongs to one process at a time.
            """,
        page: "docs/SPOOL.md#starting")
    let maxBytes = Key(
        "spool.max-bytes", .size(1 << 20...1 << 50), default: "1GiB", example: "10GiB",
        help:
            "The largest size of the spool on disk. It has to hold the longest outage of the backend that shall lose nothing.",
        isReloadable: true, page: "docs/SPOOL.md#how-much-it-takes")
    let maxAge = Key(
        "spool.max-age", .duration(or: "none"), default: "none", example: "6h",
        help: "The age beyond which spans that still wait are dropped, and counted as expired.", isReloadable: true)
    let whenFull = Key<SpoolWhenFull>(
        "spool.when-full", .choice(["refuse": .refuse, "drop-oldest": .dropOldest]), default: "refuse",
        example: "drop-oldest",
        help: """
            What happens once the spool has its largest size. refuse answers 429, and the sender tries again; drop-oldest drops the \
            oldest spans, and counts them.
            """,
        isReloadable: true)
    let sync = Key(
        "spool.sync", .spoolSync, default: "200ms", example: "always",
        help: """
            When spans are synced to disk: always (before they are acknowledged), an interval, or never. A loss of power loses what \
            is not synced; a crash of the process loses nothing.
            """,
        page: "docs/SPOOL.md#syncing")
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
        Self(.path(allowed: "an absolute path")) { text in text.hasPrefix("/") ? text : nil }
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
