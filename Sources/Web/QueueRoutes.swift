import HTTPService
import NIOHTTP1

/// The state behind the documents about queues.
package protocol QueueState: Sendable {
    /// Returns the newest dead letters as JSON.
    func deadLetters() -> [UInt8]
    /// Returns all queues as JSON.
    func queues() -> QueuesReply
    /// Returns the number of workers that a queue wants.
    func scale(ofQueue name: [UInt8]) -> ScaleReply
}

package enum QueuesReply {
    /// The queues as JSON.
    case list([UInt8])
    /// The reason why none can be named.
    case unread(String)
}

package enum ScaleReply {
    /// The advice as JSON.
    case advice([UInt8])
    case unknownQueue
    /// The reason why there is no number that an autoscaler could act on.
    case stale(String)
}

extension WebRoute {
    /// | path                    | answer                                                              |
    /// |-------------------------|---------------------------------------------------------------------|
    /// | `/api/v1/queues`        | the queues as JSON; 503 where none is known, Redis being unavailable |
    /// |                         | `?name={queue}`: as `/api/v1/queues/{queue}`, for names `.`, `..` and none |
    /// | `/api/v1/dead-letters`  | the newest dead letters as JSON                                     |
    /// | `/api/v1/scale/{queue}` | for autoscalers; 404 for an unknown queue, 503 without news         |
    /// | `/api/v1/scale`         | `?queue={queue}`: the same, for names `.`, `..` and none             |
    static let queues = [
        WebRoute(path: "/api/v1/queues") { question, state in
            if let name = question.decoded("name") { return queue(named: name, question, state) }
            return switch state.queues() {
            case .list(let document): .json(document)
            case .unread(let reason): .plain(.text(.serviceUnavailable, reason))
            }
        },
        WebRoute(path: "/api/v1/dead-letters") { _, state in .json(state.deadLetters()) },
        WebRoute(path: "/api/v1/scale/{queue}", orParameter: "queue") { question, state in
            switch state.scale(ofQueue: question.rest) {
            case .advice(let document): .plain(.json(.ok, document))
            case .unknownQueue: .plain(.text(.notFound, "no such queue"))
            case .stale(let reason): .plain(.text(.serviceUnavailable, reason))
            }
        },
    ]
}
