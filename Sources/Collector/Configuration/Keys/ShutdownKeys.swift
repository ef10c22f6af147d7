/// `shutdown.*`: the end of the program.
struct ShutdownKeys: KeySection {
    static let title = "Shutdown"
    static let page = "deploy/README.md"

    let linger = Key(
        "shutdown.linger", .duration(atLeast: .zero), default: "0s", example: "20s",
        help: """
            How long the listeners stay open after SIGTERM. Set it in a sidecar that is stopped before its workers, so that their last \
            spans arrive.
            """)
}
