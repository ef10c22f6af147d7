/// What `--version` and `asynq_collector_build_info` say.
package enum BuildInfo {
    package static let version = "0.1.0"
}
