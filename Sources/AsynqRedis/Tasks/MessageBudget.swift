/// How many messages of tasks may be asked for at once, so that neither Redis nor we hold more than a few megabytes of them:
/// they may be as large as the largest ones of late. Nobody knows the first ones' size.
struct MessageBudget {
    static let bytes = 4 << 20
    private static let least = 4 << 10

    private(set) var assumedBytes = 256 << 10

    /// At least one, or none would ever be read.
    var count: Int { max(1, Self.bytes / assumedBytes) }

    /// Of the worst messages seen lately one eighth is forgotten with each new one.
    mutating func note(_ bytes: Int) {
        assumedBytes = max(Self.least, bytes, assumedBytes * 7 / 8)
    }

    /// Perhaps for their size: from now on one by one, until some were small.
    mutating func noteFailure() { assumedBytes = Self.bytes }
}
