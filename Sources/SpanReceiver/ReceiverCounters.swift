import Platform
import Synchronization

/// Why spans were not accepted: the `reason` of `asynq_collector_refused_spans_total`.
package enum RefusalReason: String, CaseIterable, Sendable {
    /// A trace, span, parent or link id that Tempo would refuse the whole batch for.
    case badID = "bad_id"
    case spoolFull = "spool_full"
    case tooLarge = "too_large"
    case unavailable
}

/// Why requests were refused before their spans could be counted.
package enum BadRequestReason: String, CaseIterable, Sendable {
    case malformed
    case tooLarge = "too_large"
    case encoding
    case mediaType = "media_type"
    case path, method, unauthenticated
    /// A browser's page of an origin that is not allowed.
    case origin
    /// More bodies at a time than a connection may send.
    case overloaded
    /// The sender had given up before its request was complete.
    case deadline
}

/// How spans came.
package struct SpanSource: Hashable, Sendable {
    package enum Transport: String, Sendable {
        case http, grpc
        /// Made by the collector itself.
        case made = "internal"
    }

    package enum Encoding: String, CaseIterable, Sendable {
        case protobuf, json
    }

    package let transport: Transport
    package let encoding: Encoding

    static let httpProtobuf = SpanSource(transport: .http, encoding: .protobuf)
    static let httpJSON = SpanSource(transport: .http, encoding: .json)
    static let grpcProtobuf = SpanSource(transport: .grpc, encoding: .protobuf)

    package static let made = SpanSource(transport: .made, encoding: .protobuf)

    /// Those that come from outside.
    package static let all = [httpProtobuf, httpJSON, grpcProtobuf]
}

/// The receiver's books. received = accepted + refused, at every moment that they are read.
package final class ReceiverCounters: Sendable {
    package struct Values: Sendable {
        package var received: [SpanSource: UInt64] = [:]
        package var accepted: UInt64 = 0
        package var refused: [RefusalReason: UInt64] = [:]
        package var badRequests: [BadRequestReason: UInt64] = [:]
    }

    private let values = Mutex(Values())

    package init() {}

    /// What was counted, together with what `body` reads of the sink's own books: no request is counted in one and not
    /// in the other. nil if `body` returns it, or if the sink is in the middle of a request for longer than the patience:
    /// its disk hangs.
    package func read<Result: Sendable>(patienceNanoseconds: UInt64, _ body: (Values) -> Result?) -> Result? {
        Patience.attempt(nanoseconds: patienceNanoseconds) { values.withLockIfAvailable { body($0) } } ?? nil
    }

    /// Hands spans that nobody sent to the sink. They are in the books like those that came, and where they find no room
    /// they are refused: nobody sends them again.
    package func keep(_ spans: MadeSpans, in sink: any SpanSink) {
        do throws(SinkRefusal) {
            try take(.made, spanCount: spans.spanCount, badIDs: 0) { () throws(SinkRefusal) in try sink.keep(spans) }
        } catch {
            // Counted.
        }
    }

    /// Hands spans to the sink and counts them as one step.
    func take<Result>(
        _ source: SpanSource, spanCount: Int, badIDs: Int, _ take: () throws(SinkRefusal) -> Result
    ) throws(SinkRefusal) -> Result {
        try values.withLock { values throws(SinkRefusal) -> Result in
            values.received[source, default: 0] += UInt64(spanCount + badIDs)
            if badIDs > 0 { values.refused[.badID, default: 0] += UInt64(badIDs) }
            do throws(SinkRefusal) {
                let result = try take()
                values.accepted += UInt64(spanCount)
                return result
            } catch {
                values.refused[error.reason, default: 0] += UInt64(spanCount)
                throw error
            }
        }
    }

    func note(_ reason: BadRequestReason) {
        values.withLock { $0.badRequests[reason, default: 0] += 1 }
    }
}

extension SinkRefusal {
    fileprivate var reason: RefusalReason {
        switch self {
        case .tooLarge: .tooLarge
        case .full: .spoolFull
        case .unavailable: .unavailable
        }
    }
}
