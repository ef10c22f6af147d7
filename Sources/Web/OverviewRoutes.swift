import HTTPService
import NIOCore
import NIOHTTP1

/// The state behind the status page, `top` and their documents.
package protocol OverviewState: Sendable {
    /// The content of the page at `/`, as it is now.
    var overviewContent: OverviewContent { get }
    /// Returns `/api/v1/overview`, with history from a moment on, in Unix seconds.
    func overview(since: Int64?) -> CachedDocument
    /// Returns `/api/v1/queues/{queue}`; nil for an unknown queue.
    func queue(named name: [UInt8]) -> CachedDocument?
}

extension WebRoute {
    /// | path                     | answer                                                                  |
    /// |--------------------------|-------------------------------------------------------------------------|
    /// | `/api/v1/overview`       | all that the page shows as one JSON document; `since`: only newer history |
    /// | `/api/v1/queues/{queue}` | one queue with an hour of history; 404 for an unknown one               |
    static let overview = [
        WebRoute(path: "/api/v1/overview") { question, state in
            .plain(state.overview(since: question.parameter("since").flatMap { Int64($0) }).answer(to: question))
        },
        WebRoute(path: "/api/v1/queues/{queue}") { question, state in
            queue(named: question.rest, question, state)
        },
    ]

    /// Answers with the document of a queue.
    static func queue(named name: [UInt8], _ question: WebQuestion, _ state: any WebState) -> WebAnswer {
        let retries = question.eventLoop.makePromise(of: Void.self)
        state.readRetries(ofQueue: name) { retries.succeed() }
        return .later(
            retries.futureResult.map {
                state.queue(named: name)?.answer(to: question) ?? .text(.notFound, "no such queue")
            })
    }
}
