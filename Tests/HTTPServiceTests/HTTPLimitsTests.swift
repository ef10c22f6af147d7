import NIOCore
import NIOEmbedded
import Testing

@testable import HTTPService

@Suite("What connections hold together")
struct HTTPLimitsTests {
    @Test("An answer that is alone is held whatever its size, and refused ones are counted")
    func answers() {
        let limits = HTTPLimits(maxAnswerBytes: 10)
        #expect(limits.holdAnswer(1000) && !limits.holdAnswer(1) && limits.unreadAnswers == 1)
        limits.releaseAnswer(1000)
        #expect(limits.holdAnswer(4) && limits.holdAnswer(6) && !limits.holdAnswer(1) && limits.unreadAnswers == 2)
    }

    @Test("Space that is given back can be taken again; what finds none takes none")
    func space() {
        let shared = SharedLimit(100)
        let listener = shared.addListener()
        #expect(shared.hold(60, for: listener) && shared.hold(40, for: listener) && !shared.hold(1, for: listener))
        #expect(shared.held == 100)
        shared.release(40, for: listener)
        #expect(!shared.hold(41, for: listener) && shared.hold(40, for: listener))
    }

    @Test("A listener that takes all it gets leaves each other one an eighth", arguments: [1, 2, 3, 4])
    func listeners(count: Int) {
        let shared = SharedLimit(800)
        let listeners = (0..<count).map { _ in shared.addListener() }
        #expect(shared.hold(800 - 100 * (count - 1), for: listeners[0]) && !shared.hold(1, for: listeners[0]))
        for other in listeners.dropFirst() {
            #expect(!shared.hold(101, for: other) && shared.hold(100, for: other) && !shared.hold(1, for: other))
        }
        #expect(shared.held == 800)
    }

    @Test("A connection that takes all it gets leaves a ninth of what it found")
    func connections() {
        let shared = SharedLimit(1 << 20)
        let listener = shared.addListener()
        var left = 1 << 20
        for _ in 0..<4 {
            var held = 0
            for step in [1 << 16, 1 << 12, 1 << 8, 1 << 4, 1] {
                while shared.hold(step, for: listener, connectionHolds: held) { held += step }
            }
            #expect(held > 0 && shared.held < 1 << 20)
            #expect(held > left * 8 / 9 - 16 && held <= left * 8 / 9)
            left -= held
        }
        #expect(left == (1 << 20) - shared.held)
        let one = SharedLimit(9000)
        let (first, _) = (one.addListener(), one.addListener())
        let most = SharedLimit.largest(within: 9000, listeners: 2)
        #expect(one.hold(most, for: first, connectionHolds: 0))
        #expect(!one.hold(9, for: first, connectionHolds: most))
    }
}

@Suite("Connections of a listener")
struct ListenerLimitsTests {
    private func channels(_ count: Int) throws -> [EmbeddedChannel] {
        try (0..<count).map { number in
            let channel = EmbeddedChannel()
            channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: number + 1), promise: nil)
            return channel
        }
    }

    @Test("Where there is no space the one that has idled longest is closed; a busy one never is")
    func oldestIdle() throws {
        let limits = HTTPLimits(maxConnections: 3)
        let listener = ListenerLimits(limits)
        let channels = try channels(6)
        let shares = channels.prefix(3).map { listener.open($0) }
        shares[0]?.becomeBusy()
        shares[1]?.becomeBusy()
        shares[1]?.becomeIdle(at: .now())
        #expect(listener.open(channels[3]) != nil)
        #expect(channels.map(\.isActive) == [true, true, false, true, true, true])
        let kept = [listener.open(channels[4])]
        #expect(kept[0] != nil && channels.map(\.isActive) == [true, false, false, true, true, true])
        #expect(limits.refusedConnections == 2 && listener.openConnections == 3)
    }

    @Test("Where all are busy, a new one is refused and counted")
    func allBusy() throws {
        let limits = HTTPLimits(maxConnections: 1)
        let listener = ListenerLimits(limits)
        let channels = try channels(2)
        let share = listener.open(channels[0])
        share?.becomeBusy()
        #expect(listener.open(channels[1]) == nil && limits.refusedConnections == 1)
        _ = try channels[0].finish()
        #expect(listener.openConnections == 0 && listener.open(channels[1]) != nil)
    }

    @Test("Descriptors and memory bound connections as well, and are given back")
    func shared() throws {
        for memory in [
            HTTPMemory(descriptors: 8), HTTPMemory(streamBytes: 8 * HTTPMemory.connectionBytes),
        ] {
            let limits = HTTPLimits(memory: memory)
            let (tcp, unix) = (ListenerLimits(limits), ListenerLimits(limits))
            let channels = try channels(12)
            let shares = channels.prefix(7).map { tcp.open($0) }
            for share in shares { share?.becomeBusy() }
            // One of eight is kept for the other listener.
            #expect(tcp.open(channels[7]) == nil)
            #expect(unix.open(channels[8]) != nil)
            #expect(memory.heldStreamBytes == 8 * HTTPMemory.connectionBytes && memory.descriptors.held == 8)
            for channel in channels { _ = try? channel.finish(acceptAlreadyClosed: true) }
            #expect(memory.heldStreamBytes == 0 && memory.descriptors.held == 0)
        }
    }

    @Test("What a connection holds is given back when it is closed, whatever still refers to it")
    func closed() throws {
        let limits = HTTPLimits()
        let listener = ListenerLimits(limits)
        let channel = try channels(1)[0]
        let share = try #require(listener.open(channel))
        #expect(share.holdBody(1000) && share.holdHead(500))
        #expect(limits.heldBodyBytes == 1000)
        _ = try channel.finish()
        #expect(limits.heldBodyBytes == 0 && limits.heldStreamBytes == 0)
        share.releaseBody(1000)
        #expect(!share.holdBody(1) && !share.holdHead(1) && limits.heldBodyBytes == 0)
    }
}
