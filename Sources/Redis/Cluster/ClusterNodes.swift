import Model
import Platform

/// The nodes of a Cluster that are asked: their connections, the time of the next try after failures, and the reason of
/// failures.
struct ClusterNodes {
    private static let maxBackoff = Duration.seconds(5)

    private struct Node {
        var connection: RedisConnection?
        var renewal = Renewal()
        var backoff = ReconnectBackoff(max: maxBackoff)
        var lastError: RedisError?
        /// The time until which commands are left out at which the node has hung up.
        var leavesOutUntil = MonotonicTime(nanoseconds: 0)
    }

    private let clock: Clock
    private var nodes: [RedisEndpoint.Address: Node] = [:]
    /// The errors since they were taken last: one for each node, and those that concern no single node.
    private var errors: [RedisEndpoint.Address: RedisError] = [:]
    private var otherErrors: [RedisError] = []

    init(clock: Clock) {
        self.clock = clock
    }

    // MARK: Connections

    func isConnected(_ address: RedisEndpoint.Address) -> Bool { nodes[address]?.connection != nil }

    /// Returns true if the node still pauses after a failure.
    func isPaused(_ address: RedisEndpoint.Address) -> Bool {
        guard let node = nodes[address], node.connection == nil else { return false }
        return clock.monotonic() < node.backoff.nextAttempt
    }

    func connection(_ address: RedisEndpoint.Address) -> RedisConnection? { nodes[address]?.connection }

    /// Returns true if the connection has reached its greatest age, and has to be made anew now.
    func isRenewalDue(_ address: RedisEndpoint.Address) -> Bool {
        guard let node = nodes[address], node.connection?.isAged == true else { return false }
        return node.renewal.isDue(at: clock.monotonic())
    }

    mutating func keep(_ connection: RedisConnection, _ address: RedisEndpoint.Address) {
        nodes[address, default: Node()].connection = connection
        nodes[address]?.renewal = Renewal()
    }

    mutating func disconnect(_ address: RedisEndpoint.Address) {
        nodes[address]?.connection = nil
    }

    /// Removes all nodes but these.
    mutating func retain(_ addresses: [RedisEndpoint.Address]) {
        let kept = Set(addresses)
        nodes = nodes.filter { kept.contains($0.key) }
    }

    // MARK: Failures

    mutating func recordSuccess(_ address: RedisEndpoint.Address) {
        nodes[address]?.backoff.recordSuccess()
    }

    /// Drops the connection; the node is left alone for a while.
    mutating func recordFailure(_ address: RedisEndpoint.Address, _ error: RedisError) {
        errors[address] = error
        var node = nodes[address] ?? Node()
        node.connection = nil
        node.backoff.recordFailure(at: clock.monotonic())
        node.lastError = error
        nodes[address] = node
    }

    /// Records why no new connection could be made. The old one serves on.
    mutating func recordRenewalFailure(_ address: RedisEndpoint.Address, _ error: RedisError) {
        nodes[address]?.renewal.recordFailure(error, at: clock.monotonic())
    }

    /// Counts again the reason why the connection could not be made anew.
    mutating func repeatRenewalFailure(_ address: RedisEndpoint.Address) {
        guard let node = nodes[address], node.connection?.isAged == true else { return }
        if let failure = node.renewal.failure { errors[address] = failure }
    }

    /// Counts again the failure for which the node is being left alone.
    mutating func repeatFailure(_ address: RedisEndpoint.Address) {
        errors[address] = nodes[address]?.lastError
    }

    /// Records an error of a node that says nothing of its connection.
    mutating func recordError(_ address: RedisEndpoint.Address, _ error: RedisError) {
        errors[address] = error
    }

    /// Records an error that concerns no single node.
    mutating func recordError(_ error: RedisError) {
        otherErrors.append(error)
    }

    mutating func takeErrors() -> [RedisError] {
        defer {
            errors = [:]
            otherErrors = []
        }
        // The order is always the same, because the first error may end the scrape and is logged once as long as it
        // stays the same. The answer of one node tells more than the silence of another.
        let sorted = errors.sorted { "\($0.key)" < "\($1.key)" }.map(\.value)
        return sorted.filter(\.concernsAllCommands) + sorted.filter { !$0.concernsAllCommands } + otherErrors
    }

    // MARK: Optional commands

    func leavesOutOptional(_ address: RedisEndpoint.Address) -> Bool {
        nodes[address].map { clock.monotonic() < $0.leavesOutUntil } ?? false
    }

    mutating func recordHangUpAtOptional(_ address: RedisEndpoint.Address) {
        disconnect(address)
        nodes[address]?.leavesOutUntil = clock.monotonic().advanced(by: RedisConnection.maxAge)
    }
}
