import JSON
import Model
package import Platform
import Synchronization
import Text

/// A document that the view shows.
package enum TopQuestion: Sendable {
    case overview
    /// The document of the queue that the overview names so.
    case queue(String)

    /// The path at which a collector serves it.
    package var path: String {
        switch self {
        case .overview: "/api/v1/overview"
        case .queue(let name): "/" + QueuePath.document(of: name)
        }
    }
}

extension TopQuestion {
    /// Members that the documents of this question have and those of other programs have not.
    fileprivate var members: [String] {
        switch self {
        case .overview: ["collector", "queues", "attention"]
        case .queue: ["queue"]
        }
    }
}

/// Gets a document. It is called on the feed's thread, where it may block.
package typealias TopSource = @Sendable (_ question: TopQuestion) throws(TopFailure) -> TopReply

package enum TopReply: Sendable {
    /// The document as JSON.
    case document([UInt8])
    /// The overview is as it was when it was asked for last.
    case unchanged
}

/// The reason why there is no document.
package struct TopFailure: Error, Sendable, Equatable {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }
}

/// Asks for the documents at an interval, on a thread of its own, so that keys are answered while a question waits.
package final class TopFeed: Sendable {
    package enum News: Sendable {
        /// The overview; nil where it is as it was.
        case overview(TopDocument?)
        case queue(name: String, TopQueueDocument)
        case failure(String)
        case queueFailure(name: String, String)
    }

    private struct State {
        var openQueue: String?
        var news: [News] = []
        var isStopping = false
    }

    private let source: TopSource
    private let interval: Duration
    private let clock: Clock
    private let state = Mutex(State())
    private let wake: Waker
    /// The waker that is readable while there are news.
    package let arrival: Waker

    /// - Throws: `SystemError` where the system can't make another waker.
    package init(_ source: @escaping TopSource, every interval: Duration, clock: Clock) throws(SystemError) {
        self.source = source
        self.interval = interval
        self.clock = clock
        wake = try Waker()
        arrival = try Waker()
    }

    /// - Throws: `SystemError` where the system can't start another thread.
    package func start() throws(SystemError) {
        _ = try OSThread(name: "top") { [self] in
            while !state.withLock({ $0.isStopping }) {
                round()
                wake.sleep(until: clock.monotonic().advanced(by: interval), clock: clock)
            }
        }
    }

    /// Ends the thread after the question that it waits for. No news follow from then on.
    package func stop() {
        state.withLock { state in
            state.isStopping = true
            state.news = []
        }
        wake.wake()
    }

    /// Asks for this queue as well, at once; nil asks for none.
    package func open(_ queue: String?) {
        state.withLock { $0.openQueue = queue }
        wake.wake()
    }

    package func takeNews() -> [News] {
        state.withLock { state in
            defer { state.news = [] }
            return state.news
        }
    }

    private func round() {
        do throws(TopFailure) {
            report(.overview(try Self.overview(source)))
        } catch {
            return report(.failure(error.reason))
        }
        guard let name = state.withLock({ $0.openQueue }) else { return }
        do throws(TopFailure) {
            if let document = try Self.document(source, .queue(name)) {
                report(.queue(name: name, TopQueueDocument(document)))
            }
        } catch {
            report(.queueFailure(name: name, error.reason))
        }
    }

    private func report(_ news: News) {
        state.withLock { state in
            if !state.isStopping { state.news.append(news) }
        }
        arrival.wake()
    }

    /// Returns the overview; nil where it is as it was.
    ///
    /// - Throws: `TopFailure` where no answer came, or none that can be read.
    package static func overview(_ source: TopSource) throws(TopFailure) -> TopDocument? {
        try document(source, .overview).map { TopDocument($0) }
    }

    private static func document(_ source: TopSource, _ question: TopQuestion) throws(TopFailure) -> JSONValue? {
        guard case .document(let bytes) = try source(question) else { return nil }
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw TopFailure("\(question.path) is not JSON: \(error.reason.rawValue) (byte \(error.offset))")
        }
        guard case .object(let members) = value else { throw TopFailure("\(question.path) is not a JSON object") }
        // What stands in front of the collector may answer in its place.
        if !members.isEmpty && question.members.allSatisfy({ value[$0] == .null }) {
            throw TopFailure("\(question.path) comes from another program, or from a collector of another version")
        }
        return value
    }
}
