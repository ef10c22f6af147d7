import Model
import Platform

/// A Redis Cluster: finds the node of each key, asks all nodes at the same time, one pipeline each, and follows MOVED and
/// ASK. A node that is down costs what it holds and nothing else.
///
/// The topology (`CLUSTER SLOTS`) is read at the start, and again before the next scrape once a node has failed or has
/// redirected a command.
final class RedisCluster: RedisClient {
    /// A command that is sent on more often than this goes in circles.
    private static let maxRedirects = 5
    private static let maxNodeBackoff = Duration.seconds(5)

    private struct Node {
        var connection: RedisConnection?
        var backoff = ReconnectBackoff(max: maxNodeBackoff)
        var lastError: RedisError?
    }

    /// A command on its way to a node; `asking` after an ASK.
    private struct Order {
        let command: Int
        var asking = false
    }

    private let target: RedisTarget
    private let seeds: [RedisEndpoint.Address]
    private let clock: Clock
    private let interrupt: Waker?
    private var topology: ClusterTopology?
    private var isStale = true
    private var nodes: [RedisEndpoint.Address: Node] = [:]
    /// Since they were taken last: one for each node, and those that no node is to blame for.
    private var nodeErrors: [RedisEndpoint.Address: RedisError] = [:]
    private var otherErrors: [RedisError] = []

    init(_ target: RedisTarget, seeds: [RedisEndpoint.Address], clock: Clock, interrupt: Waker?) {
        self.target = target
        self.seeds = seeds
        self.clock = clock
        self.interrupt = interrupt
    }

    var isConnected: Bool { topology != nil }

    func takeNodeErrors() -> [RedisError] {
        defer {
            nodeErrors = [:]
            otherErrors = []
        }
        // Always in the same order, because the first may end the scrape and is logged once as long as it stays the same.
        // What a node answers tells more than that another one is silent.
        let sorted = nodeErrors.sorted { "\($0.key)" < "\($1.key)" }.map(\.value)
        return sorted.filter(\.concernsAllCommands) + sorted.filter { !$0.concernsAllCommands } + otherErrors
    }

    // MARK: Topology

    func prepare(deadline: MonotonicTime) throws(RedisError) {
        _ = takeNodeErrors()
        if !isStale { return }
        var last = RedisError(.connection, "no node of the Cluster is configured")
        let candidates = candidates()
        for (index, address) in candidates.enumerated() {
            // One that hangs must leave time for the others, and for the scrape itself.
            let left = deadline.duration(since: clock.monotonic())
            if left == .zero {
                last = timeoutError()
                break
            }
            let patience = clock.monotonic().advanced(by: left / (min(4, candidates.count - index) + 1))
            do throws(RedisError) {
                topology = try readTopology(address, deadline: patience)
                isStale = false
                let masters = Set(topology?.masters ?? [])
                nodes = nodes.filter { masters.contains($0.key) }
                return
            } catch {
                last = error
                fail(address, error)
            }
        }
        // The old one is better than none: a node that has gone costs its own slots only.
        if topology == nil { throw last }
    }

    /// Whom to ask for the topology: nodes that are connected, then the others, then those of the configuration.
    private func candidates() -> [RedisEndpoint.Address] {
        let known = topology?.masters ?? []
        let now = clock.monotonic()
        let ordered =
            known.filter { nodes[$0]?.connection != nil }
            + known.filter { nodes[$0].map { $0.backoff.nextAttempt <= now } ?? true } + seeds
        return ordered.reduce(into: []) { unique, address in
            if !unique.contains(address) { unique.append(address) }
        }
    }

    private func readTopology(
        _ address: RedisEndpoint.Address, deadline: MonotonicTime
    ) throws(RedisError) -> ClusterTopology {
        var pipeline = RedisPipeline()
        pipeline.add("CLUSTER", Array("SLOTS".utf8))
        let reply: RedisReply
        do throws(RedisError) {
            reply = try connect(address, deadline: deadline).roundTrip(pipeline, deadline: deadline)[0]
        } catch {
            if error.disconnect != .stale { throw error }
            nodes[address]?.connection = nil
            reply = try connect(address, deadline: deadline).roundTrip(pipeline, deadline: deadline)[0]
        }
        var host = "127.0.0.1"
        if case .tcp(let name, _) = address { host = name }
        let read = try ClusterTopology(reply, askedHost: host)
        if read.masters.isEmpty { throw RedisError(.clusterDown, "the node at \(address) knows no slots") }
        return read
    }

    private func connect(_ address: RedisEndpoint.Address, deadline: MonotonicTime) throws(RedisError)
        -> RedisConnection
    {
        if let open = nodes[address]?.connection { return open }
        var endpoint = target.endpoint
        endpoint.address = address
        let opened = try RedisConnection(endpoint, clock: clock, deadline: deadline, interrupt: interrupt)
        nodes[address, default: Node()].connection = opened
        return opened
    }

    private func timeoutError() -> RedisError { RedisError(.timeout, "\(target.description): no time is left") }

    private func fail(_ address: RedisEndpoint.Address, _ error: RedisError) {
        isStale = true
        nodeErrors[address] = error
        nodes[address, default: Node()].connection = nil
        nodes[address]?.backoff.noteFailure(at: clock.monotonic())
        nodes[address]?.lastError = error
    }

    // MARK: Commands

    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        guard let known = topology else { throw RedisError(.connection, "\(target.description): not connected") }
        var replies = [RedisReply](repeating: .unanswered, count: pipeline.count)
        for (index, command) in pipeline.commands.enumerated() where command.route == .everyNode {
            replies[index] = .array([])
        }
        var orders = route(pipeline, by: known)
        for pass in 0...Self.maxRedirects {
            // One that hangs must leave time for what follows, unless there is nothing else.
            let isAll = pass == 0 && known.masters.count == 1
            orders = try exchange(pipeline, orders, &replies, deadline: deadline, isAll: isAll)
            if orders.isEmpty { return replies }
        }
        otherErrors.append(RedisError(.clusterDown, "\(target.description): a command was redirected in circles"))
        return replies
    }

    private func route(_ pipeline: RedisPipeline, by topology: ClusterTopology) -> [RedisEndpoint.Address: [Order]] {
        var orders: [RedisEndpoint.Address: [Order]] = [:]
        var uncovered = 0
        for (index, command) in pipeline.commands.enumerated() {
            switch command.route {
            case .key(let range):
                if let owner = topology.owner(of: ClusterTopology.slot(of: pipeline.bytes[range])) {
                    orders[owner, default: []].append(Order(command: index))
                } else {
                    uncovered += 1
                }
            case .everyNode, .connection:
                for master in topology.masters { orders[master, default: []].append(Order(command: index)) }
            }
        }
        if uncovered > 0 {
            isStale = true
            otherErrors.append(RedisError(.clusterDown, "\(target.description): no node holds some of the slots"))
        }
        return orders
    }

    /// Asks each node what is ordered from it; what comes back redirected is the result. A connection that was closed while
    /// it lay idle is made anew, once: what is asked changes nothing, so that it may be asked twice.
    private func exchange(
        _ pipeline: RedisPipeline, _ orders: [RedisEndpoint.Address: [Order]], _ replies: inout [RedisReply],
        deadline: MonotonicTime, isAll: Bool
    ) throws(RedisError) -> [RedisEndpoint.Address: [Order]] {
        var redirected: [RedisEndpoint.Address: [Order]] = [:]
        var open = orders
        while !open.isEmpty {
            let parts = try ask(pipeline, open, &replies, deadline: deadline, isAll: isAll)
            open = [:]
            for part in parts {
                guard let failure = part.exchange.failure else {
                    nodes[part.address]?.backoff.noteSuccess()
                    collect(pipeline, part, &replies, &redirected)
                    continue
                }
                if failure.disconnect == .stale {
                    // The next one is fresh: this happens once.
                    nodes[part.address]?.connection = nil
                    open[part.address] = part.orders
                    continue
                }
                if part.exchange.wasSent || failure.reason != .timeout {
                    fail(part.address, failure)
                } else {
                    // There was no time to ask it: that says nothing of the node.
                    nodeErrors[part.address] = failure
                }
                noteUnanswered(pipeline, part.orders, &replies)
            }
        }
        return redirected
    }

    /// What a node was asked, and how that went.
    private struct Part {
        let address: RedisEndpoint.Address
        let orders: [Order]
        var exchange: RedisExchange
    }

    /// All nodes that can be reached, at the same time.
    private func ask(
        _ pipeline: RedisPipeline, _ orders: [RedisEndpoint.Address: [Order]], _ replies: inout [RedisReply],
        deadline: MonotonicTime, isAll: Bool
    ) throws(RedisError) -> [Part] {
        func patience(_ part: Int) -> MonotonicTime {
            let now = clock.monotonic()
            return isAll ? deadline : now.advanced(by: deadline.duration(since: now) / part)
        }
        var asked: [(address: RedisEndpoint.Address, orders: [Order])] = []
        var exchanges: [RedisExchange] = []
        for (address, list) in orders.sorted(by: { "\($0.key)" < "\($1.key)" }) {
            guard let connection = try reach(address, deadline: patience(4)) else {
                noteUnanswered(pipeline, list, &replies)
                continue
            }
            asked.append((address, list))
            exchanges.append(RedisExchange(connection, Self.part(of: pipeline, list)))
        }
        do throws(RedisError) {
            try RedisExchange.run(&exchanges, clock: clock, deadline: patience(2), interrupt: interrupt)
        } catch {
            for part in asked { nodes[part.address]?.connection = nil }
            throw error
        }
        return zip(asked, exchanges).map { Part(address: $0.address, orders: $0.orders, exchange: $1) }
    }

    /// An open connection to the node; nil while it can't be reached, which is noted.
    private func reach(_ address: RedisEndpoint.Address, deadline: MonotonicTime) throws(RedisError) -> RedisConnection?
    {
        if let node = nodes[address], node.connection == nil, clock.monotonic() < node.backoff.nextAttempt {
            isStale = true
            nodeErrors[address] = node.lastError
            return nil
        }
        if nodes[address]?.connection == nil, clock.monotonic() >= deadline {
            nodeErrors[address] = timeoutError()
            return nil
        }
        do throws(RedisError) {
            return try connect(address, deadline: deadline)
        } catch {
            fail(address, error)
            return nil
        }
    }

    private static func part(of pipeline: RedisPipeline, _ orders: [Order]) -> RedisPipeline {
        var part = RedisPipeline()
        for order in orders {
            if order.asking { part.add("ASKING") }
            part.add(order.command, of: pipeline)
        }
        return part
    }

    private func collect(
        _ pipeline: RedisPipeline, _ part: Part, _ replies: inout [RedisReply],
        _ redirected: inout [RedisEndpoint.Address: [Order]]
    ) {
        var next = part.exchange.replies.makeIterator()
        for order in part.orders {
            let refusal = order.asking ? next.next()?.errorText : nil
            guard let answer = next.next() else { return }
            if let refusal {
                // Without it the node sends the command back to where it came from, and that one here again.
                nodeErrors[part.address] = RedisError(reply: refusal)
                Self.store(.unanswered, order, pipeline, &replies)
                continue
            }
            if let redirect = ClusterRedirect(answer, from: part.address) {
                if redirect.isMove {
                    topology?.move(redirect.slot, to: redirect.address)
                    isStale = true
                }
                redirected[redirect.address, default: []].append(
                    Order(command: order.command, asking: !redirect.isMove))
                continue
            }
            if let text = answer.errorText, case let error = RedisError(reply: text), error.concernsAllCommands {
                isStale = true
                nodeErrors[part.address] = RedisError(error.reason, "\(part.address): \(error.message)")
                Self.store(.unanswered, order, pipeline, &replies)
                continue
            }
            Self.store(answer, order, pipeline, &replies)
        }
    }

    private func noteUnanswered(_ pipeline: RedisPipeline, _ orders: [Order], _ replies: inout [RedisReply]) {
        for order in orders { Self.store(.unanswered, order, pipeline, &replies) }
    }

    private static func store(
        _ answer: RedisReply, _ order: Order, _ pipeline: RedisPipeline, _ replies: inout [RedisReply]
    ) {
        if pipeline.commands[order.command].route == .everyNode, let others = replies[order.command].elements {
            replies[order.command] = .array(others + [answer])
        } else {
            replies[order.command] = answer
        }
    }
}
