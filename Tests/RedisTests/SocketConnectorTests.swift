import Dispatch
import Glibc
import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Redis

@Suite("Connecting to a host with several addresses")
struct SocketConnectorTests {
    private static func address(_ host: String, _ port: UInt16) throws -> SocketAddress {
        try #require(
            try NameResolver.system.addresses(of: host, port, clock: .system, deadline: .soon, interrupt: nil).first)
    }

    @Test(
        "Those that are left share the time that is left, and the last one has it all",
        arguments: [
            (Int64(1000), 4, Int64(250)), (1000, 1, 1000), (0, 3, 0), (2, 3, 0), (.max, 2, .max / 2), (1000, 0, 1000),
        ])
    func shares(left: Int64, remaining: Int, share: Int64) {
        #expect(RedisConnector.share(of: .nanoseconds(left), remaining: remaining).wholeNanoseconds == share)
    }

    @Test("An address that is silent does not hide the good one behind it")
    func blackhole() throws {
        let good = try FakeRedis { _, _ in .ok }
        // A listener whose queue is full drops what asks for a connection.
        let silent = try TCPSocket.listen("127.0.0.2", backlog: 0)
        defer { close(silent.descriptor) }
        let silentAddress = try Self.address("127.0.0.2", silent.port)
        let goodAddress = try Self.address("127.0.0.1", good.port)
        var fillers: [Int32] = []
        defer { for filler in fillers { close(filler) } }
        while true {
            let deadline = Clock.system.monotonic().advanced(by: .milliseconds(200))
            let filling = SocketConnector(clock: .system, deadline: deadline, interrupt: nil)
            do throws(RedisError) {
                fillers.append(try filling.open(silentAddress, "filler"))
            } catch {
                #expect(error.reason == .timeout, "\(error)")
                break
            }
        }
        // Half of the time is for the silent one. A busy machine may add to it, but not each time.
        var seconds: [Double] = []
        while seconds.count < 5 && (seconds.min() ?? .infinity) >= 0.55 {
            let start = Clock.system.monotonic()
            let connector = RedisConnector(
                clock: .system, deadline: start.advanced(by: .milliseconds(600)), interrupt: nil)
            _ = try connector.open(good.endpoint, atFirstOf: [silentAddress, goodAddress])
            seconds.append(Clock.system.monotonic().seconds(since: start))
        }
        #expect((0.25..<0.55).contains(seconds.min() ?? 0), "\(seconds)")
    }

    @Test(
        "An address where TCP is accepted and nothing answered, or another protocol spoken, leaves time for the next one"
    )
    func halfOpen() throws {
        let silent = try FakeRedis(greeting: .silence) { _, _ in .silence }
        let web = try FakeRedis(greeting: .send("HTTP/1.1 400 Bad Request\r\n\r\n")) { _, _ in .silence }
        let good = try FakeRedis { _, _ in .ok }
        let addresses = try [silent, web, good].map { try Self.address("127.0.0.1", $0.port) }
        let deadline = Clock.system.monotonic().advanced(by: .seconds(2))
        let connector = RedisConnector(clock: .system, deadline: deadline, interrupt: nil)
        _ = try connector.open(good.endpoint, atFirstOf: addresses)
        #expect(silent.connections == 1 && web.connections == 1 && good.connections == 1)
    }

    @Test("Where no address serves, the error is that of one that answered")
    func error() throws {
        let web = try FakeRedis(greeting: .send("HTTP/1.1 400 Bad Request\r\n\r\n")) { _, _ in .silence }
        let nobody = try Self.address("127.0.0.1", 1)
        let addresses = [nobody, try Self.address("127.0.0.1", web.port), nobody]
        let refused = failure {
            _ = try RedisConnector(clock: .system, deadline: .soon, interrupt: nil)
                .open(web.endpoint, atFirstOf: addresses)
        }
        #expect(
            refused?.reason == .protocolError && refused?.message.contains("web server") == true, "\(refused as Any)")
    }

    @Test("A unix socket whose queue is full is told so, and is no connection")
    func fullQueue() throws {
        let directory = try SocketDirectory()
        let path = directory.path + "/full.sock"
        let listener = try UnixSocket.listen(path)
        defer { close(listener) }
        var fillers: [Int32] = []
        defer { for filler in fillers { close(filler) } }
        let connector = SocketConnector(clock: .system, deadline: .soon, interrupt: nil)
        let refused = failure {
            let address = try #require(try connector.addresses(of: RedisEndpoint(address: .unix(path: path))).first)
            for _ in 0..<1000 { fillers.append(try connector.open(address, "full")) }
        }
        #expect(refused?.reason == .connection)
    }
}

@Suite("Looking up a host's addresses")
struct NameResolverTests {
    /// A name server that answers once it is told to.
    private final class SlowNames: Sendable {
        private let released = DispatchSemaphore(value: 0)
        let lookUps = Atomic<Int>(0)

        func release() { released.signal() }

        func lookUp(_ host: String) -> Result<[SocketAddress], RedisError> {
            lookUps.add(1, ordering: .relaxed)
            released.wait()
            released.signal()
            return .success([SocketAddress(family: AF_INET, bytes: Array(host.utf8))])
        }
    }

    private static func resolver(_ names: SlowNames) -> NameResolver {
        NameResolver { host, _, flags in
            flags == 0 ? names.lookUp(host) : .failure(RedisError(.connection, "no address"))
        }
    }

    @Test("A name server that is silent costs the deadline and one thread; its late answer is for the next who asks")
    func silent() throws {
        let names = SlowNames()
        let resolver = Self.resolver(names)
        for _ in 0..<3 {
            let late = failure {
                _ = try resolver.addresses(of: "name", 1, clock: .system, deadline: .shortly, interrupt: nil)
            }
            #expect(late?.reason == .timeout)
        }
        #expect(names.lookUps.load(ordering: .relaxed) == 1)
        names.release()
        for count in [1, 2] {
            let found = try resolver.addresses(of: "name", 1, clock: .system, deadline: .soon, interrupt: nil)
            #expect(found == [SocketAddress(family: AF_INET, bytes: Array("name".utf8))])
            #expect(names.lookUps.load(ordering: .relaxed) == count)
        }
    }

    @Test("Somebody who stops the collector ends the wait")
    func interrupted() throws {
        let names = SlowNames()
        let waker = try Waker()
        waker.wake()
        let resolver = Self.resolver(names)
        let ended = failure {
            _ = try resolver.addresses(of: "name", 1, clock: .system, deadline: .soon, interrupt: waker)
        }
        #expect(ended?.message == "interrupted")
        names.release()
        _ = try resolver.addresses(of: "name", 1, clock: .system, deadline: .soon, interrupt: nil)
    }

    @Test("An address is none to look up, and a name that does not exist is a connection error")
    func real() throws {
        let resolver = NameResolver.system
        let passed = MonotonicTime(nanoseconds: 1)
        for host in ["127.0.0.1", "::1"] {
            #expect(try resolver.addresses(of: host, 1, clock: .system, deadline: passed, interrupt: nil).count == 1)
        }
        #expect(!(try resolver.addresses(of: "localhost", 1, clock: .system, deadline: .soon, interrupt: nil)).isEmpty)
        let absent = failure {
            _ = try resolver.addresses(of: "no.such.host.invalid", 1, clock: .system, deadline: .soon, interrupt: nil)
        }
        #expect(absent?.reason == .connection, "\(absent as Any)")
    }
}
