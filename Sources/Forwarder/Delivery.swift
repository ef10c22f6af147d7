import Model
import OTLP
import ProtobufWire
import Spool

/// One request to the backend, and its retries: what it carries, and how it fared so far.
struct Delivery {
    private(set) var address: SpoolAddress
    /// False for what was split off another, or tried by an earlier process.
    let isFresh: Bool
    /// Bytes of the request before compression. Of a part an estimate, until it is sent.
    var bytes: Int
    /// Where it is half of a request: what that limits.
    var division: Division?
    /// Failures so far, of whatever kind.
    var failures = 0
    /// Failures while the backend took others.
    var suspicions = 0
    /// The requests that the backend had taken when this one was sent first or failed last.
    var acceptedBefore: UInt64
    /// How first tries had gone when this one became suspect.
    var firstTriesBefore: FirstTries?
    /// Not sent again before this: a suspect waits by itself and lets others pass.
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

// MARK: Dividing

/// Each half of a request repeats its resource. Where that is most of it, halves are hardly smaller than the whole, and to
/// divide on would send it again with each span. So the parts of a request, however small, have together no more than a few
/// times its bytes, and 1 MiB.
struct Division {
    /// What the parts of a request may repeat, beside what is less than half of a part.
    static let maxRepeatedBytes = 1 << 20

    let wholeBytes: Int
    /// What of `maxRepeatedBytes` is this half's.
    let repeatableBytes: Int
}

extension Delivery {
    /// Returns what it carries in two parts: of about the same number of bytes where these are frames, of as many spans
    /// where it is a single one and `bySpans`; nil where it can't be divided so.
    func halves(bySpans: Bool) -> [Delivery]? {
        let (first, second): (SpoolAddress, SpoolAddress)
        var divided: Division?
        switch address {
        case .frames(let frames) where frames.count > 1:
            let middle = Self.middle(of: frames)
            (first, second) = (.frames(Array(frames[..<middle])), .frames(Array(frames[middle...])))
        case .frames(let frames):
            guard bySpans, frames[0].spanCount > 1 else { return nil }
            let middle = frames[0].spanCount / 2
            (first, second) = (.spans(0..<middle, of: frames[0]), .spans(middle..<frames[0].spanCount, of: frames[0]))
            divided = Division(wholeBytes: bytes, repeatableBytes: Division.maxRepeatedBytes / 2)
        case .spans(let range, let frame):
            guard bySpans, range.count > 1 else { return nil }
            let middle = range.lowerBound + range.count / 2
            (first, second) = (
                .spans(range.lowerBound..<middle, of: frame), .spans(middle..<range.upperBound, of: frame)
            )
            let left = repeatableBytes
            if left < 0 { return nil }
            divided = Division(wholeBytes: bytes, repeatableBytes: left / 2)
        }
        return [first, second].map {
            var half = Delivery($0, isFresh: false, acceptedBefore: acceptedBefore)
            half.division = divided
            return half
        }
    }

    /// What its own parts may repeat; below 0 where it is hardly smaller than what it is half of, and that has gone on too long.
    private var repeatableBytes: Int {
        guard let division else { return Division.maxRepeatedBytes }
        let repeated = 2 * bytes - division.wholeBytes
        return repeated > division.wholeBytes / 2 ? division.repeatableBytes - repeated / 2 : division.repeatableBytes
    }

    /// Where the second half of some frames begins.
    private static func middle(of frames: [SpoolFrame]) -> Int {
        let total = payloadBytes(of: frames)
        var (index, sum) = (0, frames[0].payloadBytes)
        while index < frames.count - 1 && sum <= total / 2 {
            index += 1
            sum += frames[index].payloadBytes
        }
        return min(max(1, index), frames.count - 1)
    }

    /// Returns what is left of it where only these of its frames are still to be sent; nil where none is.
    func keeping(_ frames: [SpoolFrame]) -> Delivery? {
        if frames.isEmpty { return nil }
        guard case .frames = address else { return self }
        var kept = self
        kept.address = .frames(frames)
        kept.bytes = Self.payloadBytes(of: frames)
        return kept
    }

    private static func payloadBytes(of frames: [SpoolFrame]) -> Int { frames.reduce(0) { $0 + $1.payloadBytes } }

    /// Returns the request that carries it, of the payloads that were read from the spool; nil where these can't be divided.
    func body(_ batch: SpoolBatch) -> [UInt8]? {
        guard case .spans(let range, _) = address else { return batch.bytes }
        do {
            return try batch.bytes.withUnsafeBytes { body throws(WireError) in
                try RequestSplitter.request(body, spans: range)
            }
        } catch {
            // The receiver has read it: so this does not happen.
            return nil
        }
    }
}

/// How many requests passed when they were sent first, and how many met a fault of the backend.
struct FirstTries: Equatable {
    var accepted: UInt64 = 0
    var faulted: UInt64 = 0

    /// Least number of faults, while others pass, that makes a refusal. With pauses of 1, 2, 4, 8, … seconds the fifth comes
    /// half a minute after the first: a backend that restarts is back by then.
    static let minSuspicions = 5
    /// Largest probability that bytes as good as all others met so many faults in a row.
    static let maxChance = 1e-9

    /// Whether so many faults in a row are the fault of the bytes: they are not if every second request meets one, as
    /// behind a balancer of which one backend of two is broken.
    func condemns(suspicions: Int, since before: FirstTries) -> Bool {
        guard suspicions >= Self.minSuspicions else { return false }
        let (accepted, faulted) = (Double(accepted - before.accepted), Double(faulted - before.faulted))
        // Laplace's rule: without any evidence a half.
        let share = (faulted + 1) / (accepted + faulted + 2)
        var chance = 1.0
        for _ in 0..<min(suspicions, 10_000) where chance >= Self.maxChance { chance *= share }
        return chance < Self.maxChance
    }
}
