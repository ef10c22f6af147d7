import Redis

/// One queue's dead letters whose messages are still to be read: the newest ones, in the order in which they died.
struct UnreadDeadLetters {
    struct Unread {
        let member: ScoredMember
        let isArrival: Bool
    }

    /// The most letters that wait; of more, the newest stay.
    static let maxPerQueue = 20

    private(set) var unread: [Unread] = []
    /// The number of arrivals so far that were pushed out by newer ones before they were read, or could not be read.
    private(set) var skipped: UInt64 = 0
    /// The part of `skipped` that was taken.
    private var taken: UInt64 = 0

    mutating func add(_ members: [ScoredMember], areArrivals: Bool) {
        unread += members.sorted { $0.score < $1.score }.map { Unread(member: $0, isArrival: areArrivals) }
        skip(max(0, unread.count - Self.maxPerQueue))
    }

    /// Skips the oldest ones.
    mutating func skip(_ count: Int) {
        skipped += UInt64(unread.prefix(count).count(where: \.isArrival))
        unread.removeFirst(min(count, unread.count))
    }

    /// Removes the newest ones, and returns them.
    mutating func take(_ count: Int) -> [Unread] {
        let newest = Array(unread.suffix(count))
        unread.removeLast(newest.count)
        return newest
    }

    mutating func putBack(_ letters: [Unread]) { unread += letters }

    /// Returns the number that were skipped since the last call.
    mutating func takeSkipped() -> UInt64 {
        defer { taken = skipped }
        return skipped - taken
    }

    mutating func recordSkipped(_ letters: [Unread]) { skipped += UInt64(letters.count(where: \.isArrival)) }
}
