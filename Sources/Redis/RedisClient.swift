package import Model
import Platform

/// A lasting way to the Redis that is meant: one server, the master behind sentinels, or a Cluster. Used by one thread.
package protocol RedisClient: AnyObject {
    /// Before each scrape: connects where there is no connection, and makes sure that the right ones are asked.
    func prepare(deadline: MonotonicTime) throws(RedisError)

    /// Sends all commands, each to the node that holds its key, and reads all replies. Throws when nothing can be asked;
    /// where only some of a Cluster's nodes fail, their replies are `.unanswered`.
    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply]

    /// Why nodes could not be asked since the last call: one error for each.
    func takeNodeErrors() -> [RedisError]

    /// Whether `roundTrip` has a chance without `prepare`.
    var isConnected: Bool { get }
}

extension RedisClient {
    package func prepare(deadline: MonotonicTime) throws(RedisError) {}
    package func takeNodeErrors() -> [RedisError] { [] }
    package var isConnected: Bool { true }
}

/// One Redis, named by the configuration or by sentinels. A connection that failed is dropped: half a reply may be left in
/// it.
final class SingleRedis: RedisClient {
    private let target: RedisTarget
    private let clock: Clock
    private let interrupt: Waker?
    private var connection: RedisConnection?

    init(_ target: RedisTarget, clock: Clock, interrupt: Waker?) {
        self.target = target
        self.clock = clock
        self.interrupt = interrupt
    }

    var isConnected: Bool { connection != nil }

    func prepare(deadline: MonotonicTime) throws(RedisError) {
        if let connection {
            do throws(RedisError) {
                return try target.confirmMaster(connection, deadline: deadline)
            } catch {
                self.connection = nil
                if error.disconnect != .stale { throw error }
            }
        }
        connection = try target.connect(clock: clock, deadline: deadline, interrupt: interrupt)
    }

    /// A connection that was closed while it lay idle is made anew, once. Nothing that is asked changes anything, so that it
    /// may be asked twice.
    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        guard let known = connection else { throw RedisError(.connection, "\(target.description): not connected") }
        let replies: [RedisReply]
        connection = nil
        do throws(RedisError) {
            replies = try known.roundTrip(pipeline, deadline: deadline)
            connection = known
        } catch {
            if error.disconnect != .stale { throw error }
            let fresh = try target.connect(clock: clock, deadline: deadline, interrupt: interrupt)
            replies = try fresh.roundTrip(pipeline, deadline: deadline)
            connection = fresh
        }
        // One node of a Cluster: what it holds would look like all there is.
        for text in replies.lazy.compactMap(\.errorText) where text.hasPrefix("MOVED ") || text.hasPrefix("ASK ") {
            throw RedisError(reply: text)
        }
        return replies
    }
}
