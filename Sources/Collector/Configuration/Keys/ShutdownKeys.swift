/// `shutdown.*`: how the program ends.
struct ShutdownKeys: KeySection {
    static let title = "Shutdown"

    let linger = Key(
        "shutdown.linger", .duration(atLeast: .zero), default: "0s", example: "20s",
        help: "how long listeners stay open after SIGTERM, for a sidecar that is stopped before its workers")
}
