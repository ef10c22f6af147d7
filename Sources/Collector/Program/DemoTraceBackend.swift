import HTTPService
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// The trace backend of a demo that was given none: it accepts every request, keeps nothing, and can be down for a
/// while. It listens on the loopback address only.
final class DemoTraceBackend: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let server: HTTPServer
    private let responder: DemoTraceResponder

    /// - Throws: `ListenError` where no port is free.
    init() throws(ListenError) {
        responder = DemoTraceResponder()
        server = try HTTPServer([.tcp(host: "127.0.0.1", port: 0)], group: group, responder: responder)
    }

    var endpoint: String { server.addresses.first.map { "http://\($0)" } ?? "" }

    /// Sets the backend up or down. While it is down, it answers as a proxy before it does.
    func setUp(_ isUp: Bool) {
        responder.isUp.store(isUp, ordering: .relaxed)
    }

    func stop() {
        server.quiesce()
        server.close()
    }
}

private final class DemoTraceResponder: HTTPResponder {
    let isUp = Atomic<Bool>(true)

    func judge(_ head: HTTPRequestHead, arrival: NIODeadline) -> HTTPVerdict { .receive(DemoTraceRequest(self)) }
}

private final class DemoTraceRequest: HTTPExchange {
    let maxBodyBytes = 16 << 20
    private let responder: DemoTraceResponder

    init(_ responder: DemoTraceResponder) {
        self.responder = responder
    }

    func refuse(_ reason: BodyRefusal) -> HTTPResponse { .text(.payloadTooLarge, "too large") }

    /// Answers with an empty ExportTraceServiceResponse: all spans are accepted.
    func respond(to body: ByteBuffer, on eventLoop: any EventLoop) -> HTTPReply {
        responder.isUp.load(ordering: .relaxed)
            ? .now(HTTPResponse(.ok, contentType: "application/x-protobuf"))
            : .now(.text(.serviceUnavailable, "the demo's trace backend is down"))
    }
}
