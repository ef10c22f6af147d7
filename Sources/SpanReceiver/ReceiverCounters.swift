import Synchronization

/// The reason why spans were not accepted: the `reason` of `asynq_collector_refused_spans_total`.
package enum RefusalReason: String, CaseIterable, Sendable {
    /// A trace, span, parent or link id is such that Tempo would refuse the whole batch for it.
    case badID = "bad_id"
    /// A value is out of the range of its field, as in JSON a negative count.
    case badValue = "bad_value"
    case spoolFull = "spool_full"
    /// The request is larger than the spool could ever hold.
    case tooLarge = "too_large"
    /// The disk fails, or the program is ending.
    case unavailable
}

/// The reason why requests were refused before their spans could be counted.
package enum BadRequestReason: String, CaseIterable, Sendable {
    case malformed
    case tooLarge = "too_large"
    case encoding
    case mediaType = "media_type"
    case path, method, unauthenticated
    /// The request comes from a browser's page of an origin that is not allowed.
    case origin
    /// The connection sends more bodies at a time than it may.
    case overloaded
    /// The sender stopped before its request was complete.
    case deadline
}

/// The transport and encoding of spans.
package struct SpanSource: Hashable, Sendable {
    package enum Transport: String, Sendable {
        case http, grpc
        /// The collector has made the spans itself.
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

    /// The sources outside the program.
    package static let all = [httpProtobuf, httpJSON, grpcProtobuf]
}

/// The receiver's books. received = accepted + refused, at every moment that they are read.
package final class ReceiverCounters: Sendable {
    package struct Values: Sendable {
        package var received: [SpanSource: UInt64] = [:]
        package var accepted: UInt64 = 0
        package var refused: [RefusalReason: UInt64] = [:]
        package var badRequests: [BadRequestReason: UInt64] = [:]
        /// The number of requests with bytes, of which no span could be read.
        package var emptyRequests: UInt64 = 0

        fileprivate mutating func recordReceived(_ source: SpanSource, spanCount: Int, partial: PartialSuccess) {
            received[source, default: 0] += UInt64(spanCount + partial.refusedSpans)
            if partial.badIDs > 0 { refused[.badID, default: 0] += UInt64(partial.badIDs) }
            if partial.badValues > 0 { refused[.badValue, default: 0] += UInt64(partial.badValues) }
            if partial.warning != nil { emptyRequests += 1 }
        }
    }

    private let values = Mutex(Values())

    package init() {}

    /// The counters now. If accepted spans go to a spool, they are read while that is held (`SpanSink.append`).
    package var current: Values { values.withLock { $0 } }

    /// Hands spans that the collector has made to the sink. They are in the books like those that came. If they do not
    /// fit they are counted as refused: there is no sender that would send them again.
    package func keep(_ request: MadeRequest, in sink: any SpanSink) {
        do throws(SinkRefusal) {
            try request.payload.withUnsafeBufferPointer { payload throws(SinkRefusal) in
                try sink.append(
                    UnsafeRawBufferPointer(payload), spanCount: request.spanCount,
                    confirm: {
                        recordAccepted(.made, spanCount: request.spanCount)
                        return true
                    }, whenDurable: nil)
            }
        } catch {
            recordRefused(.made, spanCount: request.spanCount, reason: error.reason)
        }
    }

    /// Counts the spans of a request that was kept, but for those that `refused` names.
    package func recordAccepted(_ source: SpanSource, spanCount: Int, refused: PartialSuccess = PartialSuccess()) {
        values.withLock { values in
            values.recordReceived(source, spanCount: spanCount, partial: refused)
            values.accepted += UInt64(spanCount)
        }
    }

    /// Counts the spans of a request that was not kept.
    package func recordRefused(
        _ source: SpanSource, spanCount: Int, refused: PartialSuccess = PartialSuccess(), reason: RefusalReason
    ) {
        values.withLock { values in
            values.recordReceived(source, spanCount: spanCount, partial: refused)
            values.refused[reason, default: 0] += UInt64(spanCount)
        }
    }

    func recordRefusedRequest(_ reason: BadRequestReason) {
        values.withLock { $0.badRequests[reason, default: 0] += 1 }
    }
}
