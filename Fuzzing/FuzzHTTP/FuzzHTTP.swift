import HTTPService
import NIOCore
import NIOEmbedded
import OTLP
import SpanReceiver

/// Any bytes as what a client sends over one connection, HTTP/1.1 or HTTP/2, to the whole of the receiver but its socket.
///
/// | bytes | what                                                                      |
/// |-------|---------------------------------------------------------------------------|
/// | 1     | what happens besides, see `Scene`                                         |
/// | 1     | n: how many sizes follow, modulo 8; 0: all bytes come at once              |
/// | n     | the sizes of the chunks that the bytes come in, by turns; 0 stands for 256 |
/// | rest  | what the client sends                                                     |
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = ByteBuffer(bytes: UnsafeRawBufferPointer(start: start, count: count))
    guard let scene = input.readInteger(as: UInt8.self), let sizeCount = input.readInteger(as: UInt8.self),
        let sizes = input.readBytes(length: Int(sizeCount % 8))
    else { return -1 }
    let connection = Connection(Scene(bits: scene))
    connection.play(input, inChunksOf: sizes)
    connection.checkBooks()
    AnswerReader.check(connection.sent, isHTTP2: input.readableBytesView.starts(with: preface))
    return 0
}

private let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

/// What happens besides the bytes that come, from the bits of one byte.
struct Scene {
    let bits: UInt8

    /// 0 the sink takes all spans, 1 it is full, 2 they are too large for it, 3 it takes and refuses by turns.
    var sinkMood: UInt8 { bits & 3 }
    /// Answers wait for the disk, which is ready after the chunk that follows.
    var acknowledgesAfterSync: Bool { bits & 4 != 0 }
    var diskFails: Bool { bits & 8 != 0 }
    var needsToken: Bool { bits & 16 != 0 }
    /// The client shuts its side after the last byte.
    var shutsInput: Bool { bits & 32 != 0 }
    /// The program is told to stop after the first chunk.
    var quiesces: Bool { bits & 64 != 0 }
    /// A minute passes between chunks.
    var isSlow: Bool { bits & 128 != 0 }
}

/// One connection of a listener, over an embedded channel.
final class Connection {
    private static let attributes = TaskAttributeTable()
    private let scene: Scene
    private let sink: CountingSink
    private let counters = ReceiverCounters()
    // Small limits, so that a small input may break them.
    private let memory = HTTPMemory(bodyBytes: 1000)
    private let channel = EmbeddedChannel()
    private(set) var sent = ByteBuffer()

    init(_ scene: Scene) {
        self.scene = scene
        sink = CountingSink(scene, Self.attributes)
        let options = ReceiverOptions(
            maxBodyBytes: 600, bearerToken: scene.needsToken ? "t" : nil,
            cors: CORSPolicy(origins: ["http://a"].compactMap(OriginPattern.init), headers: ["*"]))
        let responder = OTLPResponder(options, attributes: Self.attributes, sink: sink, counters: counters)
        do {
            try HTTPServer.addHandlers(
                to: channel.pipeline.syncOperations, http2: true, responder, HTTPLimits(memory: memory))
            channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        } catch {
            preconditionFailure("no connection: \(error)")
        }
    }

    func play(_ input: ByteBuffer, inChunksOf sizes: [UInt8]) {
        var rest = input
        var turn = 0
        while rest.readableBytes > 0 && channel.isActive {
            var length = rest.readableBytes
            if !sizes.isEmpty {
                let size = Int(sizes[turn % sizes.count])
                length = min(length, size == 0 ? 256 : size)
            }
            guard let chunk = rest.readSlice(length: length) else { break }
            channel.pipeline.fireChannelRead(chunk)
            channel.pipeline.fireChannelReadComplete()
            settle()
            if turn == 0 && scene.quiesces {
                channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            }
            turn += 1
        }
        if scene.shutsInput && channel.isActive {
            channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        settle()
        end()
    }

    private func settle() {
        sink.sync(succeeds: !scene.diskFails)
        // The tasks that lie in between run, each at its time.
        if scene.isSlow { channel.embeddedEventLoop.advanceTime(by: .seconds(60)) }
        channel.embeddedEventLoop.run()
        collect()
    }

    private func collect() {
        do {
            while case .byteBuffer(var bytes)? = try channel.readOutbound(as: IOData.self) { sent.writeBuffer(&bytes) }
        } catch {
            // When it is closed its handlers go one by one, and one that is still there may write what those that are gone
            // would have encoded. A socket that is closed takes nothing; an embedded channel does.
            precondition(!channel.isActive, "the connection writes something that is no bytes: \(error)")
        }
    }

    private func end() {
        // The client is gone, and the disk answers only now.
        if channel.isActive { channel.close(promise: nil) }
        sink.sync(succeeds: !scene.diskFails)
        channel.embeddedEventLoop.run()
        collect()
        do {
            // Lets go of the tasks that are still due, which hold on to the connection.
            try channel.embeddedEventLoop.syncShutdownGracefully()
        } catch {
            preconditionFailure("the event loop does not end: \(error)")
        }
    }

    func checkBooks() {
        precondition(memory.heldBodyBytes == 0, "bytes of bodies are held without a request")
        let values = counters.current
        let received = values.received.values.reduce(0, +)
        let refused = values.refused.values.reduce(0, +)
        precondition(received == values.accepted + refused, "received is not accepted and refused")
        precondition(values.accepted == UInt64(sink.spanCount), "the sink has not what was accepted")
    }
}
