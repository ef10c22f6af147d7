import Glibc
import Model
import Platform
import Redis
import TestSupport
import Testing

/// A redis-server of its own, on a unix socket.
final class RedisTestServer {
    private let directory: SocketDirectory
    private let process: ChildProcess
    let socket: String

    init(_ arguments: [String] = []) throws {
        directory = try SocketDirectory()
        socket = directory.path + "/redis.sock"
        process = try ChildProcess(
            "redis-server",
            ["--port", "0", "--unixsocket", socket, "--dir", directory.path, "--save", "", "--appendonly", "no"]
                + arguments)
        // The file is there before the server listens on it.
        try #require(eventually { UnixSocket.accepts(socket) })
    }

    deinit {
        process.terminate()
    }

    var endpoint: RedisEndpoint { RedisEndpoint(address: .unix(path: socket)) }

    func connect() throws -> RedisConnection {
        try RedisConnection(endpoint, clock: .system, deadline: .soon)
    }
}

/// Returns whether the condition came true in time: it is asked for every 10 ms, for half a minute at most.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = MonotonicTime.soon
    while try !condition() {
        if Clock.system.monotonic() > deadline { return false }
        usleep(10_000)
    }
    return true
}

extension RedisConnection {
    func send(_ command: StaticString, _ arguments: String...) throws -> RedisReply {
        var pipeline = RedisPipeline()
        pipeline.add(command, list: arguments.map { Array($0.utf8) })
        return try roundTrip(pipeline, deadline: .soon)[0]
    }
}
