/// What `--help` prints.
enum Help {
    static var text: String {
        var lines = [
            "asynq-collector: the observability sidecar for Asynq task queues.",
            "",
            "usage: asynq-collector [run] [--KEY VALUE …]        scrape, receive spans, expose, forward until SIGTERM",
            "       asynq-collector scrape [--KEY VALUE …]       one Redis scrape as a metrics page",
            "       asynq-collector check-config [--KEY VALUE …] check the configuration and print it as YAML",
            "       asynq-collector demo [--duration 30s] [--tasks-per-second N] [--KEY VALUE …]",
            "                                                    the whole thing on this machine, with its own Redis",
            "       asynq-collector --version | --help",
            "",
            "Each key is a flag (--redis-url), an environment variable (ASYNQ_COLLECTOR_REDIS_URL) and a key of the YAML",
            "file that --config names (redis: {url: …}); a flag wins over the environment, that over the file. Secrets may",
            "come from a file: --redis-password-file PATH.",
            "",
        ]
        for key in KeyTable.all {
            let fallback = key.defaultText.isEmpty ? "" : " [\(key.defaultText)]"
            lines.append("  \(key.flag)\n      \(key.help)\(fallback)")
        }
        lines.append("")
        lines.append("exit codes: 0 ok, 1 runtime failure, 2 usage or configuration error")
        return lines.joined(separator: "\n")
    }
}
