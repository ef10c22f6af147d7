import NIOCore
import NIOHTTP1
import Synchronization

@testable import HTTPService

/// Answers every body with its length, and remembers what it was asked.
///
/// | path      | answer                                       |
/// |-----------|----------------------------------------------|
/// | `/no`     | 404, by the head alone                       |
/// | `/later`  | when the test says so                        |
/// | `/large`  | 16 KiB, the smallest of the large answers    |
/// | `/medium` | one byte less                                |
/// | `/stream` | five pieces `a` to `e`, each made when it is asked for |
/// | others    | the length of the body, and a trailer        |
final class LengthResponder: HTTPResponder {
    struct Asked {
        var heads = 0
        var refusals: [BodyRefusal] = []
        var bodies: [ByteBuffer] = []
        var limits = 0
        var later: [EventLoopPromise<HTTPResponse>] = []
    }

    let maxBodyBytes: Int
    fileprivate let state = Mutex(Asked())

    init(maxBodyBytes: Int = 1000) {
        self.maxBodyBytes = maxBodyBytes
    }

    var asked: Asked { state.withLock { $0 } }

    func judge(_ head: HTTPRequestHead, arrival: NIODeadline) -> HTTPVerdict {
        state.withLock { $0.heads += 1 }
        return head.path == "/no" ? .answer(.text(.notFound, "no")) : .receive(LengthExchange(self, head.path))
    }
}

private final class LengthExchange: HTTPExchange {
    private let responder: LengthResponder
    private let path: String

    init(_ responder: LengthResponder, _ path: String) {
        self.responder = responder
        self.path = path
    }

    var maxBodyBytes: Int {
        responder.state.withLock { $0.limits += 1 }
        return responder.maxBodyBytes
    }

    func refuse(_ reason: BodyRefusal) -> HTTPResponse {
        responder.state.withLock { $0.refusals.append(reason) }
        return .text(reason == .tooLarge ? .payloadTooLarge : .serviceUnavailable, "\(reason)")
    }

    func respond(to body: ByteBuffer, on eventLoop: any EventLoop) -> HTTPReply {
        responder.state.withLock { $0.bodies.append(body) }
        switch path {
        case "/later":
            let promise = eventLoop.makePromise(of: HTTPResponse.self)
            responder.state.withLock { $0.later.append(promise) }
            return .later(promise.futureResult)
        case "/large": return .now(HTTPResponse(.ok, body: [UInt8](repeating: 1, count: 16 << 10)))
        case "/medium": return .now(HTTPResponse(.ok, body: [UInt8](repeating: 1, count: (16 << 10) - 1)))
        case "/stream":
            var response = HTTPResponse(.ok)
            response.stream = Letters()
            return .now(response)
        default:
            var response = HTTPResponse(.ok, body: Array("\(body.readableBytes)".utf8))
            response.trailers = ["Grpc-Status": "0"]
            return .now(response)
        }
    }
}

/// A body of five letters.
final class Letters: BodyStream {
    private let rest = Mutex(Array("abcde"))
    let heldBytes: Int

    init(heldBytes: Int = 100 << 10) {
        self.heldBytes = heldBytes
    }

    var left: Int { rest.withLock { $0.count } }

    func next() -> ByteBuffer? {
        rest.withLock { $0.isEmpty ? nil : ByteBuffer(string: String($0.removeFirst())) }
    }
}

extension NIODeadline {
    static func seconds(_ seconds: Double) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds * 1e9)) }
}
