import Model
import Platform

/// A Redis Cluster: finds the node of each key, asks all nodes at the same time, one pipeline each, and follows MOVED
/// and ASK. A node that is down, or at whose address something else answers, costs the keys that it holds and no
/// others.
///
/// The topology (`CLUSTER SLOTS`) is read at the start, and again before the next scrape once a node has failed or has
/// redirected a command. The table says which nodes are asked for it, and whose word counts:
///
///     at the start                    the nodes of the configuration: whatever they say
///     after a failure                 the nodes of the topology, each once it has proved itself; then those of the
///                                     configuration, if they tell of the same Cluster
///     names of the configuration      where no node proves itself, and every `RedisConnection.maxAge`: another Cluster, if none
///                                     of them tells of the one that is known: the name has moved
///     addresses of the configuration  another Cluster, once no node has proved itself for `RedisConnection.maxAge`
///
/// A node that a MOVED or ASK names, and the topology does not, proves itself as well before it is asked.
final class RedisCluster: RedisClient {
    let target: RedisTarget
    let clock: Clock
    let interrupt: Waker?
    private let name = ClientName()
    var topology: ClusterTopology?
    var isStale = true
    var nodes: ClusterNodes
    /// The time at which the names of the configuration were asked, and at which a node last answered that had proved
    /// itself.
    private var namesAskedAt: MonotonicTime
    var provenAt: MonotonicTime

    init(_ target: RedisTarget, clock: Clock, interrupt: Waker?) {
        self.target = target
        self.clock = clock
        self.interrupt = interrupt
        nodes = ClusterNodes(clock: clock)
        namesAskedAt = clock.monotonic()
        provenAt = namesAskedAt
    }

    var isConnected: Bool { topology != nil }
    var takesKeysOfSeveralSlots: Bool { false }

    func takeNodeErrors() -> [RedisError] { nodes.takeErrors() }

    // MARK: Topology

    func prepare(deadline: MonotonicTime) throws(RedisError) {
        _ = takeNodeErrors()
        let seeds = target.current.clusterSeeds
        let names = seeds.filter(\.isName)
        if topology != nil, !names.isEmpty, clock.monotonic().duration(since: namesAskedAt) >= RedisConnection.maxAge {
            namesAskedAt = clock.monotonic()
            // A name that can't be asked says nothing of the Cluster that is known.
            if askSeeds(names, mayReplace: { _ in true }, deadline: share(deadline, 2)) == nil { return }
        }
        if !isStale { return }
        if topology != nil, askKnownNodes(deadline: share(deadline, 2)) { return }
        let isForgotten = clock.monotonic().duration(since: provenAt) >= RedisConnection.maxAge
        let failure = askSeeds(seeds, mayReplace: { isForgotten || $0.isName }, deadline: deadline)
        // An old topology is better than none: a node that has left costs its own slots only.
        if topology == nil, let failure { throw failure }
    }

    /// Asks nodes of the topology that is known: those that are connected, then the others. Returns true if one has
    /// answered.
    private func askKnownNodes(deadline: MonotonicTime) -> Bool {
        let known = topology?.masters ?? []
        let candidates =
            known.filter { nodes.isConnected($0) } + known.filter { !nodes.isConnected($0) && !nodes.isPaused($0) }
        for (index, address) in candidates.enumerated() {
            // A node that hangs must leave time for the others.
            let patience = share(deadline, min(4, candidates.count - index))
            do throws(RedisError) {
                adopt(try readTopology(address, deadline: patience))
                return true
            } catch {
                fail(address, error)
            }
        }
        return false
    }

    /// Asks nodes of the configuration. Another Cluster than the known one takes its place only if none of them names
    /// the known one, and if the node may replace it. Returns nil where a topology was found, else the reason why not.
    private func askSeeds(
        _ seeds: [RedisEndpoint.Address], mayReplace: (RedisEndpoint.Address) -> Bool, deadline: MonotonicTime
    ) -> RedisError? {
        var last = RedisError(.connection, "no node of the Cluster is configured")
        var other: (topology: ClusterTopology, connection: RedisConnection)?
        for (index, address) in seeds.enumerated() {
            // A node that hangs must leave time for the others, and for the scrape itself.
            if deadline.duration(since: clock.monotonic()) == .zero {
                last = timeoutError()
                break
            }
            let patience = share(deadline, min(4, seeds.count - index) + 1)
            do throws(RedisError) {
                let connection = try open(address, deadline: patience)
                let read = try ClusterIdentity.readTopology(connection, deadline: patience)
                if topology?.isOfSameCluster(as: read) ?? true {
                    adopt(read, from: connection, deadline: patience)
                    return nil
                }
                if other == nil, mayReplace(address) { other = (read, connection) }
                last = RedisError(.connection, "the node at \(address) tells of another Cluster")
            } catch {
                last = error
            }
        }
        guard let other else { return last }
        nodes.retain([])
        adopt(other.topology, from: other.connection, deadline: deadline)
        return nil
    }

    func adopt(_ read: ClusterTopology) {
        topology = read
        isStale = false
        provenAt = clock.monotonic()
        nodes.retain(read.masters)
    }

    /// Adopts the topology of a configured node, and keeps its connection where it is one of the nodes to ask.
    private func adopt(_ read: ClusterTopology, from connection: RedisConnection, deadline: MonotonicTime) {
        adopt(read)
        let address = connection.address
        guard read.masters.contains(address), !nodes.isConnected(address) || nodes.isRenewalDue(address) else { return }
        do throws(RedisError) {
            try ClusterIdentity.prove(connection, in: read, deadline: deadline)
            nodes.keep(connection, address)
        } catch {
            fail(address, error)
        }
    }

    /// Reads the topology from a node. A connection that was closed while it lay idle is made anew, once.
    /// - Throws: `RedisError` where the node does not answer, refuses, or sends a malformed topology.
    func readTopology(
        _ address: RedisEndpoint.Address, deadline: MonotonicTime
    ) throws(RedisError) -> ClusterTopology {
        do throws(RedisError) {
            return try ClusterIdentity.readTopology(try connect(address, deadline: deadline), deadline: deadline)
        } catch {
            if error.disconnect != .stale { throw error }
            nodes.disconnect(address)
            return try ClusterIdentity.readTopology(try connect(address, deadline: deadline), deadline: deadline)
        }
    }

    /// Returns the connection to a node of the topology, which proved itself when the connection was made. A connection
    /// that has reached its greatest age serves on while no other can be made.
    ///
    /// - Throws: `RedisError` if there is no connection to the node and none can be made, or a new one does not prove itself.
    func connect(
        _ address: RedisEndpoint.Address, deadline: MonotonicTime
    ) throws(RedisError) -> RedisConnection {
        let known = nodes.connection(address)
        if let known, !nodes.isRenewalDue(address) {
            nodes.repeatRenewalFailure(address)
            return known
        }
        let connection: RedisConnection
        do throws(RedisError) {
            connection = try open(address, deadline: known == nil ? deadline : share(deadline, 2))
        } catch {
            guard let known else { throw error }
            nodes.recordRenewalFailure(address, error)
            nodes.repeatRenewalFailure(address)
            return known
        }
        if let topology { try ClusterIdentity.prove(connection, in: topology, deadline: deadline) }
        nodes.keep(connection, address)
        return connection
    }

    /// Opens a connection of its own, logged in.
    private func open(
        _ address: RedisEndpoint.Address, deadline: MonotonicTime
    ) throws(RedisError) -> RedisConnection {
        var endpoint = target.current.endpoint
        endpoint.address = address
        return try RedisConnection(
            endpoint, RedisConnector(clock: clock, deadline: deadline, interrupt: interrupt, name: name))
    }

    /// Returns the deadline of one of equal parts of the time that is left.
    func share(_ deadline: MonotonicTime, _ parts: Int) -> MonotonicTime {
        let now = clock.monotonic()
        return now.advanced(by: RedisConnector.share(of: deadline.duration(since: now), remaining: parts))
    }

    func timeoutError() -> RedisError { RedisError(.timeout, "\(target.description): no time is left") }

    func fail(_ address: RedisEndpoint.Address, _ error: RedisError) {
        isStale = true
        nodes.recordFailure(address, error)
    }
}
