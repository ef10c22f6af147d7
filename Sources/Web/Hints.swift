/// Lines of Go for users whose page is still empty: how to enqueue a first task, and how a worker sends its spans.
struct Hints {
    let firstTask: String
    /// The lines for a worker; nil where no spans are received.
    let worker: String?

    init(_ collector: CollectorIdentity) {
        firstTask = """
            client := asynq.NewClient(asynq.RedisClientOpt{\(Self.clientOptions(collector.redis))})
            client.Enqueue(asynq.NewTask("hello", nil))
            """
        worker = Self.target(collector.receivesAt).map {
            """
            exporter, err := exportgrpc.New(ctx, \(Self.quoted($0)))
            stop := tasktrace.Start(exporter)
            mux.Use(tasktrace.Middleware()) // docs/INSTRUMENTING.md
            """
        }
    }

    /// Returns the members of `asynq.RedisClientOpt`. Sentinels and Clusters have options of other types: the usual
    /// address stands for them.
    private static func clientOptions(_ redis: String?) -> String {
        let url = redis ?? ""
        for scheme in ["redis://", "rediss://"] where url.hasPrefix(scheme) {
            let parts = url.dropFirst(scheme.count).split(separator: "/", maxSplits: 1)
            let address =
                parts.first.map { $0[($0.lastIndex(of: "@").map($0.index(after:)) ?? $0.startIndex)...] } ?? ""
            if address.isEmpty { break }
            let hasPort = address.last != "]" && address.contains(":")
            return "Addr: \(quoted(address + (hasPort ? "" : ":6379")))" + database(parts.dropFirst().first)
        }
        if url.hasPrefix("unix://") {
            let parts = url.dropFirst("unix://".count).split(separator: "?", maxSplits: 1)
            let number = parts.dropFirst().first.flatMap { $0.hasPrefix("db=") ? $0.dropFirst(3) : nil }
            return "Network: \"unix\", Addr: \(quoted(parts.first ?? ""))" + database(number)
        }
        return "Addr: \"127.0.0.1:6379\""
    }

    private static func database(_ text: Substring?) -> String {
        text.flatMap { Int($0) }.map { $0 > 0 ? ", DB: \($0)" : "" } ?? ""
    }

    /// Returns the address that a worker on this machine connects to: the first TCP address, or else the unix socket.
    /// Each speaks gRPC.
    private static func target(_ addresses: [String]) -> String? {
        guard let address = addresses.first(where: { !$0.hasPrefix("unix:") }) ?? addresses.first else { return nil }
        if address.hasPrefix("unix:@") { return "unix-abstract:" + address.dropFirst("unix:@".count) }
        if address.hasPrefix("unix://") { return String(address.dropFirst("unix://".count)) }
        for (any, loopback) in [("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:"), (":", "127.0.0.1:")]
        where address.hasPrefix(any) {
            return loopback + address.dropFirst(any.count)
        }
        return address
    }

    /// Returns a string of Go. Addresses have no other characters to escape than these.
    private static func quoted(_ text: some StringProtocol) -> String {
        "\"" + String(text).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
