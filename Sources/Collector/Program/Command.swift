/// A subcommand. Its declaration is the only place that knows its arguments and flags: the reading of the command line,
/// help, completions and man page follow from it.
///
///     asynq-collector [COMMAND] [ARGUMENT] [--FLAG [VALUE] …] [--KEY VALUE …]
enum Command: String, CaseIterable, Sendable {
    case run, scrape
    case checkConfig = "check-config"
    case top, healthcheck, demo, completion, reference, help, version

    /// The commands that help and completions show.
    static let listed = allCases.filter { !$0.declaration.isHidden }

    var declaration: CommandDeclaration {
        switch self {
        case .run:
            CommandDeclaration(
                "run the sidecar until SIGTERM or SIGINT; this is the default command",
                details: """
                    Scrapes Redis, receives spans, serves the metrics and the status page, and forwards the spans. SIGHUP reads the \
                    configuration again. It goes on while Redis, the trace backend or a client fails.
                    """,
                takesKeys: true)
        case .scrape:
            CommandDeclaration(
                "scrape Redis once and print the metrics page",
                details: "Starts nothing else. Exit code 1, and one line that says why, if Redis can't be scraped.",
                takesKeys: true)
        case .checkConfig:
            CommandDeclaration(
                "check the configuration and print the one in force as YAML",
                details: """
                    Prints every setting with its value; secrets are left out. With problems it prints each of them (key, value, what \
                    is allowed) and ends with exit code 2.
                    """,
                takesKeys: true)
        case .top: Self.topDeclaration
        case .healthcheck: Self.healthcheckDeclaration
        case .demo:
            CommandDeclaration(
                "show everything on this machine, with a Redis of its own",
                details: """
                    Starts a redis-server on a private socket, a producer and workers that send spans, and the collector with its \
                    status page. Leaves no process and no file behind.
                    """,
                flags: [
                    CommandFlag(
                        "--duration", "DURATION", help: "Ends the demo after this time; without it, Ctrl-C does."),
                    CommandFlag(
                        "--tasks-per-second", "N",
                        help: "The number of tasks that are enqueued each second; 25 unless set."),
                ],
                takesKeys: true)
        case .completion:
            CommandDeclaration(
                "print the completion script of a shell",
                details: """
                    bash: add this line to ~/.bashrc: source <(asynq-collector completion bash)

                    zsh: asynq-collector completion zsh > ~/.zfunc/_asynq-collector, with ~/.zfunc in fpath before compinit runs.

                    fish: asynq-collector completion fish > ~/.config/fish/completions/asynq-collector.fish
                    """,
                argument: CommandArgument("SHELL", words: Shell.allCases.map(\.rawValue)))
        case .reference:
            CommandDeclaration(
                "print a part of the reference, for scripts/generate-docs",
                argument: CommandArgument("PART", words: ReferencePart.allCases.map(\.rawValue)), isHidden: true)
        case .help:
            CommandDeclaration(
                "explain a command or a setting",
                details:
                    "A setting is named as in the file, as a flag or as an environment variable; redis.tls names all below it.",
                argument: CommandArgument("COMMAND|KEY", words: nil, isOptional: true))
        case .version: CommandDeclaration("print the version", isHidden: true)
        }
    }

    // MARK: Those that ask a running collector

    private static let url = CommandFlag(
        "--url", "URL", help: "The collector to ask: http://host:port, https://user:pass@host/prefix or unix:///path.")

    private static let topDeclaration = CommandDeclaration(
        "show what needs attention and the queues, live in the terminal",
        details: """
            Asks the collector at --url, or else where metrics.listen says that it is, with metrics.bearer-token, or metrics.username \
            and metrics.password, where they are set. With --redis-url it reads Redis itself and needs no collector. In the view, \
            ? lists the keys. Where standard output is not a terminal, it prints a frame as text every \
            five seconds. Exit code 1, and one line that says why, if nothing answers.
            """,
        flags: [
            url,
            CommandFlag("--once", nil, help: "Prints one frame as text and ends."),
            CommandFlag("--json", nil, help: "With --once: prints the document of /api/v1/overview."),
        ],
        takesKeys: true)

    private static let healthcheckDeclaration = CommandDeclaration(
        "ask a running collector whether it is ready",
        details: """
            For containers that have no curl: exit code 0 and one line if /-/ready answers so, else 1. It asks the collector at \
            --url, or else where metrics.listen says that it is.
            """,
        flags: [
            url, CommandFlag("--live", nil, help: "Asks /-/healthy: whether it lives."),
        ],
        takesKeys: true)
}

struct CommandDeclaration: Sendable {
    /// The summary: one line without a full stop, for lists.
    let summary: String
    /// The rest of the help, in paragraphs.
    let details: String
    let argument: CommandArgument?
    let flags: [CommandFlag]
    /// True if each key of the configuration is a flag of the command too.
    let takesKeys: Bool
    let isHidden: Bool

    init(
        _ summary: String, details: String = "", argument: CommandArgument? = nil, flags: [CommandFlag] = [],
        takesKeys: Bool = false, isHidden: Bool = false
    ) {
        self.summary = summary
        self.details = details
        self.argument = argument
        self.flags = flags
        self.takesKeys = takesKeys
        self.isHidden = isHidden
    }
}

/// The argument of a command, which stands behind it without dashes.
struct CommandArgument: Sendable {
    /// The placeholder in help.
    let name: String
    /// The texts that it may be; nil for a free text.
    let words: [String]?
    let isOptional: Bool

    init(_ name: String, words: [String]?, isOptional: Bool = false) {
        self.name = name
        self.words = words
        self.isOptional = isOptional
    }
}

/// A flag of one command, beside the keys of the configuration.
struct CommandFlag: Sendable {
    let name: String
    /// The placeholder of its value in help; nil for a switch, which has none.
    let value: String?
    let help: String

    init(_ name: String, _ value: String?, help: String) {
        self.name = name
        self.value = value
        self.help = help
    }
}
