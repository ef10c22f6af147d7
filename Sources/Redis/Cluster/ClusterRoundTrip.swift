import Model
import Platform

/// Brings the commands of a pipeline to the nodes that hold their keys, and their replies back.
extension RedisCluster {
    /// The bound of redirections. A command that is sent on more often goes in circles.
    private static let maxRedirects = 5

    /// A command on its way to a node; `asking` is true after an ASK.
    private struct Order {
        let command: Int
        var asking = false
    }

    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        guard let known = topology else { throw RedisError(.connection, "\(target.description): not connected") }
        var replies = [RedisReply](repeating: .unanswered, count: pipeline.count)
        for (index, command) in pipeline.commands.enumerated() where command.route == .everyNode {
            replies[index] = .array([])
        }
        var orders = route(pipeline, by: known)
        for pass in 0...Self.maxRedirects {
            // A node that hangs must leave time for what follows, unless it is the only one.
            let isAll = pass == 0 && known.masters.count == 1
            orders = try exchange(pipeline, orders: orders, into: &replies, deadline: deadline, isAll: isAll)
            if orders.isEmpty { return replies }
        }
        nodes.recordError(RedisError(.clusterDown, "\(target.description): a command was redirected in circles"))
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
            nodes.recordError(RedisError(.clusterDown, "\(target.description): no node holds some of the slots"))
        }
        return orders
    }

    /// Asks each node its part of the commands, and returns those that come back redirected. A connection that was
    /// closed while it lay idle is made anew, once: the commands change nothing, so they may be sent twice.
    private func exchange(
        _ pipeline: RedisPipeline, orders: [RedisEndpoint.Address: [Order]], into replies: inout [RedisReply],
        deadline: MonotonicTime, isAll: Bool
    ) throws(RedisError) -> [RedisEndpoint.Address: [Order]] {
        var redirected: [RedisEndpoint.Address: [Order]] = [:]
        var open = orders
        while !open.isEmpty {
            let parts = try ask(pipeline, orders: open, into: &replies, deadline: deadline, isAll: isAll)
            open = [:]
            for part in parts {
                guard let failure = part.exchange.failure else {
                    nodes.recordSuccess(part.address)
                    provenAt = clock.monotonic()
                    collect(pipeline, part: part, into: &replies, redirected: &redirected)
                    continue
                }
                if failure.disconnect == .stale {
                    // The next connection is fresh, so this happens once.
                    nodes.disconnect(part.address)
                    open[part.address] = part.orders
                    continue
                }
                if part.exchange.hungUpAtOptional {
                    nodes.recordHangUpAtOptional(part.address)
                    open[part.address] = part.orders
                    continue
                }
                if part.exchange.wasSent || failure.reason != .timeout {
                    fail(part.address, failure)
                } else {
                    // No time was left to ask it, which says nothing of the node.
                    nodes.recordError(part.address, failure)
                }
                recordUnanswered(pipeline, orders: part.orders, into: &replies)
            }
        }
        return redirected
    }

    /// The commands for one node, and the result.
    private struct Part {
        let address: RedisEndpoint.Address
        let orders: [Order]
        var exchange: RedisExchange
    }

    /// Asks all nodes that can be reached, at the same time.
    private func ask(
        _ pipeline: RedisPipeline, orders: [RedisEndpoint.Address: [Order]], into replies: inout [RedisReply],
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
                recordUnanswered(pipeline, orders: list, into: &replies)
                continue
            }
            var list = list
            if nodes.leavesOutOptional(address) {
                for order in list where pipeline.commands[order.command].isOptional {
                    Self.store(RedisPipeline.leftOut, to: order, of: pipeline, into: &replies)
                }
                list.removeAll { pipeline.commands[$0.command].isOptional }
            }
            asked.append((address, list))
            exchanges.append(RedisExchange(connection.link, Self.part(of: pipeline, list)))
        }
        do throws(RedisError) {
            try RedisExchange.run(&exchanges, clock: clock, deadline: patience(2), interrupt: interrupt)
        } catch {
            for part in asked { nodes.disconnect(part.address) }
            throw error
        }
        return zip(asked, exchanges).map { Part(address: $0.address, orders: $0.orders, exchange: $1) }
    }

    /// Returns an open connection to the node; nil while it can't be reached, which is recorded.
    private func reach(_ address: RedisEndpoint.Address, deadline: MonotonicTime) throws(RedisError) -> RedisConnection?
    {
        if nodes.isPaused(address) {
            isStale = true
            nodes.repeatFailure(address)
            return nil
        }
        if !nodes.isConnected(address), clock.monotonic() >= deadline {
            nodes.recordError(address, timeoutError())
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
        _ pipeline: RedisPipeline, part: Part, into replies: inout [RedisReply],
        redirected: inout [RedisEndpoint.Address: [Order]]
    ) {
        var next = part.exchange.replies.makeIterator()
        for order in part.orders {
            let refusal = order.asking ? next.next()?.errorText : nil
            guard let answer = next.next() else { return }
            if let refusal {
                // Without ASKING the node would send the command back to its sender, and that one here again.
                nodes.recordError(part.address, RedisError(reply: refusal))
                Self.store(.unanswered, to: order, of: pipeline, into: &replies)
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
                nodes.recordError(part.address, RedisError(error.reason, "\(part.address): \(error.message)"))
                Self.store(.unanswered, to: order, of: pipeline, into: &replies)
                continue
            }
            Self.store(answer, to: order, of: pipeline, into: &replies)
        }
    }

    private func recordUnanswered(_ pipeline: RedisPipeline, orders: [Order], into replies: inout [RedisReply]) {
        for order in orders { Self.store(.unanswered, to: order, of: pipeline, into: &replies) }
    }

    private static func store(
        _ answer: RedisReply, to order: Order, of pipeline: RedisPipeline, into replies: inout [RedisReply]
    ) {
        if pipeline.commands[order.command].route == .everyNode, let others = replies[order.command].elements {
            replies[order.command] = .array(others + [answer])
        } else {
            replies[order.command] = answer
        }
    }
}
