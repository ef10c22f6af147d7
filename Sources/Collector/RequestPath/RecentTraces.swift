import Model
import OTLP
import Synchronization

/// The newest accepted requests, as they came, in memory: the content of `/api/v1/traces/{id}`.
/// `traces.recent-max-bytes` bounds it; the oldest requests go first.
///
/// An append copies the bytes and reads the trace id of each span. A search looks through the ids of all requests, 16 bytes a
/// trace: a fraction of a millisecond for 16 MiB.
final class RecentTraces: Sendable {
    /// The bytes that a request takes beside its own and its ids.
    private static let bytesPerRequest = 128

    private struct Request: Sendable {
        let payload: [UInt8]
        let traces: [TraceID]
        let spanCount: Int

        var bytes: Int { payload.count + traces.count * 16 + RecentTraces.bytesPerRequest }
    }

    private struct State {
        /// The requests. The oldest one stands at `first`; the places before it are empty.
        var requests: [Request?] = []
        var first = 0
        var bytes = 0
        var evictedSpans: UInt64 = 0
    }

    let maxBytes: Int
    private let state = Mutex(State())

    /// Makes the memory; returns nil where it would be too small for any request.
    convenience init?(within bytes: Int) {
        if bytes == 0 { return nil }
        self.init(maxBytes: bytes)
    }

    init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    var bytes: Int { state.withLock { $0.bytes } }
    /// The number of spans that gave their place to newer ones.
    var evictedSpans: UInt64 { state.withLock { $0.evictedSpans } }

    func append(_ payload: UnsafeRawBufferPointer, spanCount: Int) {
        let request = Request(
            payload: [UInt8](payload), traces: RequestTraces.ids(in: payload), spanCount: spanCount)
        state.withLock { state in
            state.bytes += request.bytes
            state.requests.append(request)
            while state.bytes > maxBytes, let oldest = state.requests[state.first] {
                state.bytes -= oldest.bytes
                state.evictedSpans += UInt64(oldest.spanCount)
                state.requests[state.first] = nil
                state.first += 1
                if state.first == state.requests.count { break }
            }
            if state.first * 2 > state.requests.count {
                state.requests.removeFirst(state.first)
                state.first = 0
            }
        }
    }

    /// Returns the trace as OTLP/JSON, as far as its spans are still there; nil where all are gone.
    func document(of trace: TraceID) -> [UInt8]? {
        let requests = state.withLock { state in
            state.requests[state.first...].compactMap { $0?.traces.contains(trace) == true ? $0 : nil }
        }
        var document = TraceDocument(of: trace)
        for request in requests { request.payload.withUnsafeBytes { document.add($0) } }
        return document.finish()
    }
}
