import Model

/// Proves that the server that answers at a node's address is that node: an address may have gone to another.
///
///     CLUSTER MYID    the id that CLUSTER SLOTS names for the address → the node
///                     another id, or no Cluster support → a stranger
///     refused         (an older ACL, a hoster), or no id is known for the address (a MOVED named it): CLUSTER SLOTS names a node
///                     of the Cluster that is known → one of its nodes, which redirects what it does not hold; none → a stranger
enum ClusterIdentity {
    /// - Throws: `.connection` where another node answers; else the reason why the proof could not be asked for.
    static func prove(
        _ connection: RedisConnection, in topology: ClusterTopology, deadline: MonotonicTime
    ) throws(RedisError) {
        let address = connection.address
        var pipeline = RedisPipeline()
        pipeline.add("CLUSTER", Array("MYID".utf8))
        let reply = try connection.roundTrip(pipeline, deadline: deadline)[0]
        if let text = reply.errorText {
            if text.hasSuffix("cluster support disabled") || RedisError.isUnknownCommand(text) {
                throw stranger(at: address, "a Redis without Cluster support")
            }
            if RedisLogin.concernsConnection(text) { throw RedisError(reply: text, at: address.description) }
        }
        if let expected = topology.id(of: address), let id = reply.bytes {
            if id != Array(expected.utf8) {
                throw stranger(at: address, "node \(String(decoding: id, as: UTF8.self)) in place of \(expected)")
            }
            return
        }
        let theirs = try readTopology(connection, deadline: deadline)
        if !topology.isOfSameCluster(as: theirs) { throw stranger(at: address, "a node of another Cluster") }
    }

    /// Reads the topology by `CLUSTER SLOTS`.
    /// - Throws: `RedisError` where the node does not answer, refuses, or sends a malformed topology.
    static func readTopology(
        _ connection: RedisConnection, deadline: MonotonicTime
    ) throws(RedisError) -> ClusterTopology {
        var pipeline = RedisPipeline()
        pipeline.add("CLUSTER", Array("SLOTS".utf8))
        let reply = try connection.roundTrip(pipeline, deadline: deadline)[0]
        if let text = reply.errorText, RedisError.isUnknownCommand(text),
            let sentinel = try connection.explainSentinel(deadline: deadline)
        {
            throw sentinel
        }
        var host = "127.0.0.1"
        if case .tcp(let name, _) = connection.address { host = name }
        let read = try ClusterTopology(reply, askedHost: host)
        if read.masters.isEmpty {
            throw RedisError(.clusterDown, "the node at \(connection.address) knows no slots")
        }
        return read
    }

    private static func stranger(at address: RedisEndpoint.Address, _ found: String) -> RedisError {
        RedisError(
            .connection, "what answers at \(address) is not the node of the Cluster that is expected there: \(found)")
    }
}
