import Model
import ProtobufWire
import Redis

@testable import AsynqRedis

/// Asynq's servers as their heartbeats show them.
struct ModelledServers {
    struct Server {
        var snapshot: ServerSnapshot
        let key: [UInt8]
        /// Score in the index, whole seconds; nil once it was removed.
        var listedUntil: Int64?
        /// When Redis drops the key; nil once it is gone.
        var keyUntil: WallTime?
        /// Killed: it never beats again.
        var isDead = false
    }

    var all: [Server] = []

    /// Live: in the index up to now, and the key is there.
    func live(at now: WallTime) -> [ServerSnapshot] {
        all.filter { ($0.listedUntil ?? .min) >= now.wholeSeconds && $0.keyUntil != nil }.map(\.snapshot)
    }
}

extension ModelledAsynq {
    private static let maxServers = 5

    mutating func serverStep() {
        switch number(0...9) {
        case 0...2: if servers.all.count(where: { !$0.isDead }) < Self.maxServers { startServer() }
        case 3...7: beat()
        case 8: stopServer()
        default: listServers()
        }
    }

    private mutating func startServer() {
        let (host, pid, id) = ("host \"é\" \(number(1...3))", Int64(number(1...99_999)), "\(newID())")
        let served = Self.names.shuffled(using: &random).prefix(number(0...4))
        var snapshot = ServerSnapshot(
            host: ForeignText(host), pid: pid, id: ForeignText(id), concurrency: Int64(number(1...200)),
            queues: Array(served),
            status: ForeignText("active"), busyWorkers: 0)
        for queue in served { snapshot.priorities[queue] = Int64(number(1...9)) }
        snapshot.startedAt = WallTime(nanoseconds: now.nanoseconds - Int64(number(0...9)))
        note("start of a server")
        servers.all.append(
            ModelledServers.Server(snapshot: snapshot, key: Array("asynq:servers:{\(host):\(pid):\(id)}".utf8)))
        beat(servers.all.count - 1)
    }

    private mutating func beat() {
        let beating = servers.all.indices.filter { !servers.all[$0].isDead }
        for index in beating {
            servers.all[index].snapshot.busyWorkers = Int64(number(0...9))
            servers.all[index].snapshot.status = ForeignText(oneIn(8) ? "stopped" : "active")
            beat(index)
        }
    }

    private mutating func beat(_ index: Int) {
        let (until, key) = (someClock().wholeSeconds + 10, servers.all[index].key)
        note("heartbeat")
        let isNew = servers.all[index].listedUntil == nil
        servers.all[index].listedUntil = until
        servers.all[index].keyUntil = WallTime(nanoseconds: now.nanoseconds + 10 * Self.nanoseconds)
        commands.add("ZADD", AsynqKeys.servers, Self.text(until), key, gives: .integer(isNew ? 1 : 0))
        commands.add("SET", key, Self.serverInfo(servers.all[index].snapshot))
    }

    /// Gracefully, or killed.
    private mutating func stopServer() {
        guard let index = any(servers.all.indices.filter({ !servers.all[$0].isDead })) else { return }
        servers.all[index].isDead = true
        if oneIn(2) { return note("kill of a server") }
        note("stop of a server")
        removeFromIndex(index)
        if servers.all[index].keyUntil != nil { commands.add("DEL", servers.all[index].key, gives: .integer(1)) }
        servers.all[index].keyUntil = nil
    }

    private mutating func removeFromIndex(_ index: Int) {
        let wasListed = servers.all[index].listedUntil != nil
        servers.all[index].listedUntil = nil
        commands.add("ZREM", AsynqKeys.servers, servers.all[index].key, gives: .integer(wasListed ? 1 : 0))
    }

    /// The Inspector's listing removes what is stale.
    private mutating func listServers() {
        note("listing of the servers")
        for index in servers.all.indices where (servers.all[index].listedUntil ?? .max) < now.wholeSeconds {
            removeFromIndex(index)
        }
        servers.all.removeAll { $0.isDead && $0.listedUntil == nil && $0.keyUntil == nil }
    }

    mutating func expireServers() {
        for index in servers.all.indices {
            guard let until = servers.all[index].keyUntil, until <= now else { continue }
            servers.all[index].keyUntil = nil
            commands.add("DEL", servers.all[index].key, gives: .integer(1))
        }
    }

    private static func serverInfo(_ server: ServerSnapshot) -> [UInt8] {
        var writer = WireWriter()
        writer.data(ServerInfoField.host.rawValue, server.host.bytes)
        writer.int(ServerInfoField.pid.rawValue, server.pid)
        writer.data(ServerInfoField.serverID.rawValue, server.id.bytes)
        writer.int(ServerInfoField.concurrency.rawValue, server.concurrency)
        for queue in server.queues {
            writer.message(ServerInfoField.queues.rawValue) {
                $0.data(MapEntryField.key.rawValue, queue.bytes)
                $0.int(MapEntryField.value.rawValue, server.priorities[queue] ?? 0)
            }
        }
        writer.int(ServerInfoField.strictPriority.rawValue, 1)
        writer.data(ServerInfoField.status.rawValue, server.status.bytes)
        writer.message(ServerInfoField.startTime.rawValue) {
            let started = server.startedAt ?? WallTime(nanoseconds: 0)
            $0.int(TimestampField.seconds.rawValue, started.wholeSeconds)
            $0.int(TimestampField.nanoseconds.rawValue, started.nanoseconds % Self.nanoseconds)
        }
        writer.int(ServerInfoField.activeWorkers.rawValue, server.busyWorkers)
        return writer.bytes
    }
}
