import NIOCore
import NIOEmbedded
import Testing

@testable import HTTPService

@Suite("Requests that take too long to come")
struct SlowRequestTests {
    private final class Stage {
        let limits = HTTPLimits()
        let handler: SlowRequestHandler
        let channel = EmbeddedChannel()

        init() throws {
            handler = SlowRequestHandler(limits, timeout: .seconds(60))
            try channel.pipeline.syncOperations.addHandler(handler)
            channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        }

        func drip() throws { try channel.writeInbound(ByteBuffer(string: "x")) }
        func wait(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

        deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }
    }

    @Test("One that drips is cut off after a minute, and counted")
    func drips() throws {
        let stage = try Stage()
        for _ in 0..<59 {
            try stage.drip()
            stage.wait(1)
        }
        #expect(stage.channel.isActive)
        stage.wait(1)
        #expect(!stage.channel.isActive && stage.limits.slowRequests == 1)
    }

    @Test("Many quick ones on one connection are not; each has its own minute")
    func quick() throws {
        let stage = try Stage()
        for _ in 0..<10 {
            try stage.drip()
            stage.wait(50)
            stage.handler.requestEnded()
            stage.handler.answerEnded(at: stage.channel.embeddedEventLoop.now)
        }
        #expect(stage.channel.isActive)
        try stage.drip()
        stage.wait(59)
        #expect(stage.channel.isActive)
        stage.wait(1)
        #expect(!stage.channel.isActive && stage.limits.slowRequests == 1)
    }

    @Test(
        "While an answer is not read the time of the next request stands still, and begins with the end of the answer")
    func held() throws {
        let stage = try Stage()
        try stage.drip()
        stage.handler.requestEnded()
        try stage.drip()
        stage.wait(150)
        #expect(stage.channel.isActive && stage.limits.slowRequests == 0)
        stage.handler.answerEnded(at: stage.channel.embeddedEventLoop.now)
        stage.wait(59)
        #expect(stage.channel.isActive)
        stage.wait(1)
        #expect(!stage.channel.isActive && stage.limits.slowRequests == 1)
    }

    @Test("A connection without a request is left to the idle timeout")
    func idle() throws {
        let stage = try Stage()
        stage.wait(1000)
        #expect(stage.channel.isActive && stage.limits.slowRequests == 0)
    }
}

@Suite("What connections hold together")
struct HTTPLimitsTests {
    @Test("Room that is given back can be taken again; what finds none takes none")
    func room() {
        let limits = HTTPLimits(maxConnections: 2, maxBodyBytes: 100)
        #expect(limits.hold(60) && limits.hold(40) && !limits.hold(1))
        limits.release(40)
        #expect(!limits.hold(41) && limits.hold(40))
        #expect(limits.openConnection() && limits.openConnection() && !limits.openConnection())
        #expect(limits.refusedConnections == 1)
        limits.closeConnection()
        #expect(limits.openConnection() && limits.refusedConnections == 1)
    }
}
