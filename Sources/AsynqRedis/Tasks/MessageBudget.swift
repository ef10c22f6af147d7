/// How many messages of tasks may be asked for at once, so that neither Redis nor we hold more than a few megabytes of them.
/// A message is taken to be as large as the largest ones that came lately.
///
/// The size of the first ones is unknown, so a budget begins small: 16 messages, or as few as its owner says. The first
/// scrape of a process, which is the only one of `asynq-collector scrape`, therefore gets next to no messages.
struct MessageBudget {
    static let bytes = 4 << 20

    private(set) var assumedBytes: Int
    private let leastBytes: Int
    /// The most messages at once while no size is known; nil: as many as the assumption allows.
    private var firstCount: Int?

    init() {
        assumedBytes = 256 << 10
        leastBytes = 4 << 10
    }

    /// One of many budgets that share a limit of bytes.
    init(firstCount: Int) {
        assumedBytes = 16 << 10
        leastBytes = 1
        self.firstCount = firstCount
    }

    /// No message has been read yet.
    var isSizeUnknown: Bool { firstCount != nil }

    /// At least one, or none would ever be read.
    var count: Int { max(1, Self.bytes / assumedBytes) }

    /// How many fit into what is left of a limit; may be none.
    func count(within bytes: Int) -> Int { min(firstCount ?? .max, max(0, bytes) / assumedBytes) }

    /// Each new message takes one eighth from what is assumed since the largest one.
    mutating func note(_ bytes: Int) {
        let assumed = isSizeUnknown ? 0 : assumedBytes * 7 / 8
        assumedBytes = max(leastBytes, bytes, assumed)
        firstCount = nil
    }

    /// The read failed, perhaps for the size of its messages: from now on one by one, until some were small.
    mutating func noteFailure() { assumedBytes = Self.bytes }
}
