import Glibc
import NIOCore
import NIOEmbedded
import Testing

@testable import HTTPService

@Suite("A listener when the system can't accept a connection")
struct AcceptRestTests {
    private struct Stage {
        let limits = HTTPLimits()
        let channel = EmbeddedChannel()

        init() throws {
            try channel.pipeline.syncOperations.addHandler(AcceptRest(ListenerLimits(limits)))
        }

        func fail(_ error: any Error) { channel.pipeline.fireErrorCaught(error) }

        func pass(_ time: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: time) }

        /// True if the listener reads; nil while nothing has changed that.
        var reads: Bool? {
            for (option, value) in channel.options where option is ChannelOptions.Types.AutoReadOption {
                return value as? Bool
            }
            return nil
        }
    }

    @Test(
        "Without descriptors or memory it rests for 200 ms, and counts the failure once",
        arguments: [EMFILE, ENFILE, ENOBUFS, ENOMEM])
    func rests(code: CInt) throws {
        let stage = try Stage()
        stage.fail(IOError(errnoCode: code, reason: "accept"))
        #expect(stage.reads == false && stage.limits.refusedConnections == 1)
        // What comes while it rests is of the same cause.
        stage.fail(IOError(errnoCode: code, reason: "accept"))
        stage.pass(.milliseconds(199))
        #expect(stage.reads == false && stage.limits.refusedConnections == 1)
        stage.pass(.milliseconds(1))
        #expect(stage.reads == true)
        stage.fail(IOError(errnoCode: code, reason: "accept"))
        #expect(stage.reads == false && stage.limits.refusedConnections == 2)
    }

    @Test("A connection that ended before it was accepted is nothing to rest for", arguments: [ECONNABORTED, EINVAL])
    func others(code: CInt) throws {
        let stage = try Stage()
        stage.fail(IOError(errnoCode: code, reason: "accept"))
        #expect(stage.reads == nil && stage.limits.refusedConnections == 0)
    }
}
