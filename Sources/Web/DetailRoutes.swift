import HTTPService
package import Model
import NIOCore
import NIOHTTP1
import Text

/// The state of single errors, traces and tasks for the web endpoints; the collector fills it in.
package protocol DetailState: Sendable {
    /// Returns the errors of the last hour, grouped.
    func errorGroups() -> [ErrorGroup]
    /// Returns the spans of a trace that are still in memory.
    func trace(_ id: TraceID) -> TraceReply
    /// Asks Redis for the place of a task. `whenDone` is called once, from any thread.
    func findTask(_ task: TaskName, whenDone: @escaping @Sendable (TaskReply) -> Void)
    /// Asks Redis which queues have a task of this id; likewise.
    func searchTask(id: [UInt8], whenDone: @escaping @Sendable (TaskReply) -> Void)
    /// Reads the retries of a queue that are due next, for the document that `OverviewState.queue` makes of it; likewise.
    func readRetries(ofQueue name: [UInt8], whenDone: @escaping @Sendable () -> Void)
}

package enum TraceReply: Sendable {
    /// The answer in OTLP/JSON.
    case document([UInt8])
    /// The reason why there is none.
    case absent(String)
}

package enum TaskReply: Sendable {
    case found(TaskDetails)
    case searched(TaskSearch)
    /// The task does not exist in Redis, or its queue is left out by the filter.
    case absent
    /// Redis can't be asked, for this reason.
    case unavailable(String)
    /// There are too many questions at a time.
    case busy
}

extension WebRoute {
    /// The answers to questions about one thing. Their refusals are JSON, `{"error": …}`.
    ///
    /// | path                         | answer                                                                      |
    /// |------------------------------|-----------------------------------------------------------------------------|
    /// | `/api/v1/errors`             | failed attempts and dead letters of the last hour, grouped                    |
    /// | `/api/v1/traces/{trace_id}`  | the spans in memory as OTLP/JSON; 400 for any other id, 404 for no spans     |
    /// | `/api/v1/tasks?id={id}`      | the queues that have a task of this id; 400 without an id                     |
    /// |                              | `&queue={queue}`: as the path below, for names and ids `.`, `..`, and no name |
    /// | `/api/v1/tasks/{queue}/{id}` | where a task is; 404 for none, 503 where Redis can't be asked, 429 too often  |
    static let details = [
        WebRoute(path: "/api/v1/errors") { question, state in
            .plain(
                CachedDocument(ErrorDocument.json(state.errorGroups()), changing: 0).answer(to: question))
        },
        WebRoute(path: "/api/v1/traces/{trace_id}") { question, state in .plain(trace(question, state)) },
        WebRoute(path: "/api/v1/tasks") { question, state in
            guard let id = question.decoded("id"), !id.isEmpty else {
                return .plain(.error(.badRequest, "which task: /api/v1/tasks?id={id}"))
            }
            if let queue = question.decoded("queue") {
                return task(TaskName(queue: QueueName(queue), id: id), question, state)
            }
            let answer = question.eventLoop.makePromise(of: HTTPResponse.self)
            state.searchTask(id: id) { answer.succeed(HTTPResponse($0)) }
            return .later(answer.futureResult)
        },
        WebRoute(path: "/api/v1/tasks/{queue}/{id}") { question, state in
            guard let name = TaskName(encoded: question.encodedRest) else {
                return .plain(.error(.notFound, "a task has a queue and an id: /api/v1/tasks/{queue}/{id}"))
            }
            return task(name, question, state)
        },
    ]

    private static func task(_ name: TaskName, _ question: WebQuestion, _ state: any DetailState) -> WebAnswer {
        let answer = question.eventLoop.makePromise(of: HTTPResponse.self)
        state.findTask(name) { answer.succeed(HTTPResponse($0)) }
        return .later(answer.futureResult)
    }

    private static func trace(_ question: WebQuestion, _ state: any DetailState) -> HTTPResponse {
        guard let id = TraceID(hex: question.encodedRest) else {
            return .error(.badRequest, "a trace id is 32 hex digits, not all of them 0")
        }
        switch state.trace(id) {
        case .document(let document): return CachedDocument(document, changing: 0).answer(to: question)
        case .absent(let reason): return .error(.notFound, reason)
        }
    }
}

extension TraceID {
    /// Reads 32 hex digits of either case; fewer are those of an id that begins with zeros.
    init?(hex digits: [UInt8]) {
        guard (1...32).contains(digits.count), let low = Hex.value(digits.suffix(16)),
            let high = Hex.value(digits.dropLast(16)), high | low != 0
        else { return nil }
        self.init(high: high, low: low)
    }
}

extension TaskName {
    /// Reads `{queue}/{id}`, both percent-coded. Of several slashes the last one separates: names of queues have some,
    /// ids hardly ever.
    fileprivate init?(encoded: [UInt8]) {
        guard let slash = encoded.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let queue = PercentCoding.decodeLeniently(encoded[..<slash])
        let id = PercentCoding.decodeLeniently(encoded[slash...].dropFirst())
        if queue.isEmpty || id.isEmpty { return nil }
        self.init(queue: QueueName(queue), id: id)
    }
}

extension HTTPResponse {
    fileprivate init(_ reply: TaskReply) {
        switch reply {
        case .found(let task): self = .json(.ok, TaskDocument.json(task))
        case .searched(let search): self = .json(.ok, TaskDocument.json(search))
        case .absent: self = .error(.notFound, "no such task")
        case .unavailable(let reason): self = .error(.serviceUnavailable, reason)
        case .busy:
            self = .error(.tooManyRequests, "too many questions at a time")
            headers.add(name: "Retry-After", value: "1")
        }
    }

    /// Returns a refusal: `{"error": …}`.
    static func error(_ status: HTTPResponseStatus, _ reason: String) -> HTTPResponse {
        var object = JSONObject()
        object.add("error", reason)
        return .json(status, Array((object.text + "\n").utf8))
    }
}
