import Model
import OTLP
import ProtobufWire
import Spool

/// One request to the backend, and its retries: the frames that it carries, and its history so far.
struct Delivery {
    private(set) var address: SpoolAddress
    /// True if no process has tried it before. It is false also for a part that was split off another.
    let isFresh: Bool
    /// The bytes of the request before compression; for a part an estimate, until it is sent.
    var bytes: Int
    /// The limit of further division, where it is half of a request.
    var division: Division?
    /// The number of failures so far, of whatever kind.
    var failures = 0
    /// The number of failures while the backend took others.
    var suspicions = 0
    /// The requests that the backend had taken when this one was sent first or failed last.
    var acceptedBefore: UInt64
    /// The first tries at the time when this one became suspect.
    var firstTriesBefore: FirstTries?
    /// The time before which it is not sent again: a suspect waits by itself and lets others pass.
    var notBefore = MonotonicTime(nanoseconds: 0)
    var startedAt = MonotonicTime(nanoseconds: 0)

    init(_ address: SpoolAddress, isFresh: Bool, acceptedBefore: UInt64) {
        self.address = address
        self.isFresh = isFresh
        self.acceptedBefore = acceptedBefore
        switch address {
        case .frames(let frames): bytes = Self.payloadBytes(of: frames)
        case .spans(let range, let frame): bytes = frame.payloadBytes * range.count / max(1, frame.spanCount)
        }
    }

    var isSuspect: Bool { suspicions > 0 }
    var firstSequence: UInt64 { address.frames.first?.sequence ?? 0 }
    var spanCount: Int { address.spanCount }
}

extension Delivery {
    /// Returns the rest of the delivery, if only these of its frames are still to be sent; nil where the list is empty.
    func keeping(_ frames: [SpoolFrame]) -> Delivery? {
        if frames.isEmpty { return nil }
        guard case .frames = address else { return self }
        var kept = self
        kept.address = .frames(frames)
        kept.bytes = Self.payloadBytes(of: frames)
        return kept
    }

    static func payloadBytes(of frames: [SpoolFrame]) -> Int { frames.reduce(0) { $0 + $1.payloadBytes } }

    /// Returns the request that carries it, made of the payloads that were read from the spool; nil where these can't
    /// be divided.
    func body(_ batch: SpoolBatch) -> [UInt8]? {
        guard case .spans(let range, _) = address else { return batch.bytes }
        do {
            return try batch.bytes.withUnsafeBytes { body throws(WireError) in
                try RequestSplitter.request(body, spans: range)
            }
        } catch {
            // The receiver has read the payload before, so this never happens.
            return nil
        }
    }
}
