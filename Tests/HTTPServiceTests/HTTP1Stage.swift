import NIOCore
import NIOHTTP1

@testable import HTTPService

/// The machine of a connection. What it returns is told in words.
final class HTTP1Stage {
    let responder: LengthResponder
    let limits: HTTPLimits
    private var machine: HTTP1Machine

    convenience init(_ responder: LengthResponder = LengthResponder(), _ limits: HTTPLimits = HTTPLimits()) {
        self.init(responder, ListenerLimits(limits))
    }

    init(_ responder: LengthResponder, _ listener: ListenerLimits) {
        self.responder = responder
        limits = listener.limits
        machine = HTTP1Machine(responder, ConnectionShare(listener))
    }

    static func head(
        _ method: HTTPMethod = .POST, _ path: String = "/", version: HTTPVersion = .http1_1, length: Int? = nil,
        _ fields: HTTPHeaders = [:]
    ) -> HTTPRequestHead {
        var headers = fields
        if version == .http1_1 && !headers.contains(name: "host") { headers.add(name: "Host", value: "a") }
        if let length { headers.add(name: "Content-Length", value: String(length)) }
        return HTTPRequestHead(version: version, method: method, uri: path, headers: headers)
    }

    func head(
        _ method: HTTPMethod = .POST, _ path: String = "/", version: HTTPVersion = .http1_1, length: Int? = nil,
        _ fields: HTTPHeaders = [:]
    ) -> String {
        words(machine.head(Self.head(method, path, version: version, length: length, fields), at: .seconds(0)))
    }

    func body(_ count: Int) -> String { words(machine.body(ByteBuffer(repeating: 7, count: count))) }
    func body(_ part: ByteBuffer) -> String { words(machine.body(part)) }
    func end() -> String { words(machine.end()) }
    func answered(_ response: HTTPResponse = HTTPResponse(.ok)) -> String { words(machine.answered(response)) }
    func inputClosed() -> String { words(machine.inputClosed()) }
    func parserFailed() -> String { words(machine.parserFailed()) }
    func closed() { machine.closed() }

    func quiesce() -> String { words(machine.quiesce()) }
    var acceptsInput: Bool { machine.acceptsInput }
    var wantsBytes: Bool { machine.wantsBytes }

    func nextStep(isWritable: Bool = true, at seconds: Double = 0) -> HTTP1Machine.NextStep {
        machine.nextStep(isWritable: isWritable, at: .seconds(seconds))
    }

    func read(_ count: Int) -> Bool { machine.bytesRead(count) }
    /// The bytes of the next piece as they are written, its end included.
    func nextPiece() -> String? {
        machine.nextPiece().map { piece in
            var text = ""
            piece.write { text += String(buffer: $0) }
            return text
        }
    }

    func bytes(at seconds: Double) { machine.bytesArrived(at: .seconds(seconds)) }
    func check(at seconds: Double) -> RequestClock.Check { machine.checkSlowness(at: .seconds(seconds)) }

    /// A whole request up to its answer, which is not read yet.
    func answeredRequest(_ method: HTTPMethod = .POST, _ path: String = "/", _ fields: HTTPHeaders = [:]) {
        _ = head(method, path, fields)
        _ = end()
        _ = answered()
    }

    /// What was answered last.
    private(set) var answer: HTTP1Answer?
    /// The last body that was to be responded to.
    private(set) var received: ByteBuffer?

    private func words(_ action: HTTP1Machine.Action) -> String {
        switch action {
        case .nothing: return "nothing"
        case .invite: return "invite"
        case .respond(_, let body):
            received = body
            return "respond to \(body.readableBytes)"
        case .answer(let answer): return "answer \(words(answer))"
        case .answerAndLinger(let answer): return "answer \(words(answer)) and linger"
        case .answerAndClose(let answer): return "answer \(words(answer)) and end"
        case .close: return "close"
        }
    }

    private func words(_ answer: HTTP1Answer) -> String {
        self.answer = answer
        let connection = answer.head.headers.first(name: "connection").map { " \($0)" } ?? ""
        return "\(answer.head.status.code)\(connection)"
    }
}
