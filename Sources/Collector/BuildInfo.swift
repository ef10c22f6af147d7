/// The version and its date, for `--version` and `asynq_collector_build_info`.
package enum BuildInfo {
    package static let version = "0.1.0"
    /// The day of that version, for the man page.
    static let date = "2026-11-28"
}
