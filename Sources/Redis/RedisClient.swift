package import Model
import Platform

/// A lasting way to the configured Redis: one server, the master behind sentinels, or a Cluster. One thread uses it.
package protocol RedisClient: AnyObject {
    /// Connects where there is no connection, and makes sure that the right servers are asked. It is called before each
    /// scrape.
    /// - Throws: `RedisError` where nothing can be asked.
    func prepare(deadline: MonotonicTime) throws(RedisError)

    /// Sends all commands, each to the node that holds its key, and reads all replies. If only some of a Cluster's
    /// nodes fail, their replies are `.unanswered`.
    /// - Throws: `RedisError` where nothing can be asked.
    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply]

    /// Returns the reasons why nodes could not be asked since the last call: one error for each.
    func takeNodeErrors() -> [RedisError]

    /// True if `roundTrip` has a chance without `prepare`.
    var isConnected: Bool { get }

    /// True if one command may name keys of several slots, which a Cluster forbids.
    var takesKeysOfSeveralSlots: Bool { get }
}

extension RedisClient {
    /// Does nothing, for a client that needs no preparation.
    ///
    /// - Throws: Nothing.
    package func prepare(deadline: MonotonicTime) throws(RedisError) {}
    package func takeNodeErrors() -> [RedisError] { [] }
    package var isConnected: Bool { true }
    package var takesKeysOfSeveralSlots: Bool { true }
}

/// One Redis, named by the configuration or by sentinels. A connection that failed is dropped, because half a reply may
/// be left in it. A connection that has reached its greatest age serves on while no other can be made. (A name server
/// or the sentinels may be down while Redis is not.)
final class SingleRedis: RedisClient {
    private let target: RedisTarget
    private let clock: Clock
    private let interrupt: Waker?
    private var connection: RedisConnection?
    private var renewal = Renewal()
    private var errors: [RedisError] = []
    private var search = MasterSearch()
    private let name = ClientName()
    /// The time until which commands are left out at which the far side has hung up.
    private var leavesOutUntil = MonotonicTime(nanoseconds: 0)

    init(_ target: RedisTarget, clock: Clock, interrupt: Waker?) {
        self.target = target
        self.clock = clock
        self.interrupt = interrupt
    }

    var isConnected: Bool { connection != nil }

    func takeNodeErrors() -> [RedisError] {
        defer { errors = [] }
        return errors
    }

    func prepare(deadline: MonotonicTime) throws(RedisError) {
        errors = []
        if let known = connection, try isConfirmed(renewed(known, deadline), deadline) { return }
        connection = try connect(deadline)
        renewal = Renewal()
    }

    /// Returns a new connection in place of one that has reached its greatest age. Returns the same one where no new
    /// one can be made, which is an error of each scrape until it succeeds.
    private func renewed(_ known: RedisConnection, _ deadline: MonotonicTime) -> RedisConnection {
        guard known.isAged else { return known }
        if renewal.isDue(at: clock.monotonic()) {
            do throws(RedisError) {
                let fresh = try connect(connector(deadline).withShareOfTime(of: 2).deadline)
                renewal = Renewal()
                return fresh
            } catch {
                renewal.recordFailure(error, at: clock.monotonic())
            }
        }
        errors = [renewal.failure].compactMap(\.self)
        return known
    }

    /// Checks that the connection still leads to a master. Returns false where it was closed while it lay idle.
    private func isConfirmed(_ known: RedisConnection, _ deadline: MonotonicTime) throws(RedisError) -> Bool {
        connection = known
        guard target.sentinels != nil else { return true }
        let current = target.current
        guard let sentinels = current.sentinels else { return true }
        do throws(RedisError) {
            connection = try search.confirm(
                known, endpoint: current.endpoint, sentinels: sentinels, connector: connector(deadline))
            return true
        } catch {
            connection = nil
            if error.disconnect != .stale { throw error }
            return false
        }
    }

    private func connector(_ deadline: MonotonicTime) -> RedisConnector {
        RedisConnector(clock: clock, deadline: deadline, interrupt: interrupt, name: name)
    }

    /// Connects to the one Redis that is configured now.
    private func connect(_ deadline: MonotonicTime) throws(RedisError) -> RedisConnection {
        let current = target.current
        guard let sentinels = current.sentinels else {
            return try RedisConnection(current.endpoint, connector(deadline))
        }
        return try search.connect(current.endpoint, sentinels: sentinels, connector: connector(deadline))
    }

    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        let replies = pipeline.repliesOfOneNode(try ask(pipeline, deadline))
        for text in replies.lazy.compactMap(\.errorText) {
            let error = RedisError(reply: text)
            // MOVED and ASK come from one node of a Cluster, whose keys would look like all there are. Errors that
            // concern all commands, such as LOADING, are one failure, and not one of each command.
            if text.hasPrefix("MOVED ") || text.hasPrefix("ASK ") || error.concernsAllCommands { throw error }
        }
        if let connection, let text = replies.first?.errorText, RedisError.isUnknownCommand(text),
            let sentinel = try connection.explainSentinel(deadline: deadline)
        {
            throw sentinel
        }
        return replies
    }

    private func ask(_ pipeline: RedisPipeline, _ deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        guard let known = connection else { throw RedisError(.connection, "\(target.description): not connected") }
        connection = nil
        if pipeline.hasOptional && clock.monotonic() < leavesOutUntil {
            return try askWithoutOptional(pipeline, over: known, deadline)
        }
        let (used, exchange) = try exchange(pipeline, over: known, deadline)
        if exchange.hungUpAtOptional {
            let replies = try askWithoutOptional(pipeline, over: try connect(deadline), deadline)
            leavesOutUntil = clock.monotonic().advanced(by: RedisConnection.maxAge)
            return replies
        }
        if let failure = exchange.failure { throw failure }
        connection = used
        return exchange.replies
    }

    private func askWithoutOptional(
        _ pipeline: RedisPipeline, over first: RedisConnection, _ deadline: MonotonicTime
    ) throws(RedisError) -> [RedisReply] {
        let (rest, indices) = pipeline.withoutOptional()
        let (used, exchange) = try exchange(rest, over: first, deadline)
        if let failure = exchange.failure { throw failure }
        connection = used
        var replies = [RedisReply](repeating: RedisPipeline.leftOut, count: pipeline.count)
        for (index, reply) in zip(indices, exchange.replies) { replies[index] = reply }
        return replies
    }

    /// Exchanges commands and replies. A connection that was closed while it lay idle is made anew, once: the commands
    /// change nothing, so they may be sent twice.
    private func exchange(
        _ pipeline: RedisPipeline, over known: RedisConnection, _ deadline: MonotonicTime
    ) throws(RedisError) -> (used: RedisConnection, exchange: RedisExchange) {
        let first = try known.exchange(pipeline, deadline: deadline)
        if first.failure?.disconnect != .stale { return (known, first) }
        let fresh = try connect(deadline)
        return (fresh, try fresh.exchange(pipeline, deadline: deadline))
    }
}
