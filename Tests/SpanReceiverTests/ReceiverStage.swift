import HTTPService
import Model
import NIOCore
import NIOEmbedded
import NIOHTTP1
import OTLP
import ProtobufWire
import Synchronization

@testable import SpanReceiver

/// Takes spans, refuses them, or keeps them waiting for its disk, as a test wants it.
final class MoodySink: SpanSink {
    struct State {
        var refusal: SinkRefusal?
        var spanCount = 0
        var waiting: [@Sendable (Bool) -> Void] = []
    }

    let acknowledgesAfterSync: Bool
    private let state = Mutex(State())

    init(acknowledgesAfterSync: Bool = false) {
        self.acknowledgesAfterSync = acknowledgesAfterSync
    }

    var spanCount: Int { state.withLock { $0.spanCount } }

    func refuse(_ refusal: SinkRefusal?) {
        state.withLock { $0.refusal = refusal }
    }

    func sync(succeeds: Bool) {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for whenDurable in waiting { whenDurable(succeeds) }
    }

    func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, confirm: () -> Bool,
        whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) {
        try state.withLock { state throws(SinkRefusal) in
            if let refusal = state.refusal { throw refusal }
            guard confirm() else { throw SinkRefusal(.unavailable, "late") }
            state.spanCount += spanCount
            if let whenDurable { state.waiting.append(whenDurable) }
        }
    }

    func observe(_ taskSpans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [MadeRequest] { [] }
}

private final class Answered: Sendable {
    let response = Mutex<HTTPResponse?>(nil)
}

/// The receiver between heads and bodies on one side and a sink on the other, without a connection.
final class ReceiverStage {
    let sink: MoodySink
    let counters = ReceiverCounters()
    let options: ReceiverOptions
    private let responder: OTLPResponder
    private let loop = EmbeddedEventLoop()

    init(maxBodyBytes: Int = 1000, token: String? = nil, cors: CORSPolicy = CORSPolicy(), sink: MoodySink = MoodySink())
    {
        self.sink = sink
        options = ReceiverOptions(maxBodyBytes: maxBodyBytes, bearerToken: token, cors: cors)
        responder = OTLPResponder(options, attributes: TaskAttributeTable(), sink: sink, counters: counters)
    }

    /// The request of a client that does everything right, but for what a test changes.
    static func head(
        _ path: String = "/v1/traces", method: HTTPMethod = .POST, version: HTTPVersion = .http1_1,
        type: String? = "application/x-protobuf", with fields: HTTPHeaders = [:]
    ) -> HTTPRequestHead {
        var headers = fields
        if let type { headers.add(name: "Content-Type", value: type) }
        return HTTPRequestHead(version: version, method: method, uri: path, headers: headers)
    }

    static let export = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

    static func call(
        _ path: String = export, method: HTTPMethod = .POST, type: String? = "application/grpc",
        with fields: HTTPHeaders = [:]
    ) -> HTTPRequestHead {
        head(path, method: method, version: .http2, type: type, with: fields)
    }

    func judge(_ head: HTTPRequestHead) -> HTTPVerdict { responder.judge(head, arrival: .now()) }

    /// What the head alone is answered with.
    func refusal(_ head: HTTPRequestHead) -> HTTPResponse? {
        if case .answer(let response) = judge(head) { response } else { nil }
    }

    func exchange(_ head: HTTPRequestHead) -> (any HTTPExchange)? {
        if case .receive(let exchange) = judge(head) { exchange } else { nil }
    }

    /// The answer to a whole request. The disk of the sink succeeds or fails before.
    func answer(_ head: HTTPRequestHead, _ body: [UInt8] = [], diskSucceeds: Bool = true) -> HTTPResponse? {
        switch judge(head) {
        case .answer(let response): response
        case .receive(let exchange): answer(exchange, body, diskSucceeds: diskSucceeds)
        }
    }

    func answer(_ exchange: any HTTPExchange, _ body: [UInt8], diskSucceeds: Bool = true) -> HTTPResponse? {
        switch exchange.respond(to: ByteBuffer(bytes: body), on: loop) {
        case .now(let response): return response
        case .later(let future):
            let answered = Answered()
            future.whenSuccess { response in answered.response.withLock { $0 = response } }
            loop.run()
            // Not before the disk has the spans.
            guard answered.response.withLock({ $0 == nil }) else { return nil }
            sink.sync(succeeds: diskSucceeds)
            loop.run()
            return answered.response.withLock { $0 }
        }
    }

    var badRequests: [BadRequestReason: UInt64] { books.badRequests }

    var books: ReceiverCounters.Values { counters.current }
}

/// An ExportTraceServiceRequest of spans with these span ids.
func request(spanIDs: [[UInt8]]) -> [UInt8] {
    var writer = WireWriter()
    writer.message(1) { resource in
        resource.message(2) { scope in
            for id in spanIDs {
                scope.message(2) { span in
                    span.data(1, [UInt8](repeating: 1, count: 16))
                    span.data(2, id)
                }
            }
        }
    }
    return writer.bytes
}

let goodSpan = [UInt8](repeating: 2, count: 8)

extension HTTPResponse {
    var bytes: [UInt8] { Array(body.readableBytesView) }
    var text: String { String(buffer: body) }
}
