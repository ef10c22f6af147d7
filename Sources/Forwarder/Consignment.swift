import Model
import OTLP
import ProtobufWire
import Spool

/// Some spans on their way, or waiting to be sent again: a batch of whole requests, or a part of a single one that was
/// too large.
struct Consignment {
    var batch: SpoolBatch
    /// True for a part of one request. Its frame is settled with the last of the parts, its spans with itself.
    let isPart: Bool
    /// False for what was split off another.
    let isFresh: Bool
    /// Failures so far, of whatever kind.
    var failures = 0
    /// Failures while the backend took others.
    var suspicions = 0
    /// The batches that the backend had taken when this one was sent first or failed last.
    var acceptedBefore: UInt64
    /// How first tries had gone when this one became suspect.
    var firstTriesBefore: FirstTries?
    /// Not sent again before this: a suspect waits by itself and lets others pass.
    var notBefore = MonotonicTime(nanoseconds: 0)
    var startedAt = MonotonicTime(nanoseconds: 0)
    /// What was too old to be sent has left it since.
    var bytesAtStart = 0

    init(_ batch: SpoolBatch, isPart: Bool = false, isFresh: Bool, acceptedBefore: UInt64) {
        self.batch = batch
        self.isPart = isPart
        self.isFresh = isFresh
        self.acceptedBefore = acceptedBefore
    }

    var isSuspect: Bool { suspicions > 0 }
    var firstSequence: UInt64 { batch.frames.first?.sequence ?? 0 }
}

/// How many batches passed when they were sent first, and how many met a fault of the backend.
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

extension SpoolBatch {
    /// Some of its frames, as a batch of their own.
    func part(_ indices: Range<Int>) -> SpoolBatch {
        var part = SpoolBatch()
        for frame in frames[indices] { part.append(frame, of: self) }
        return part
    }

    /// Two batches of about the same number of bytes, at least one frame in each; nil for a single frame.
    var halves: [SpoolBatch]? {
        if frames.count < 2 { return nil }
        var middle = frames.firstIndex { $0.range.upperBound > bytes.count / 2 } ?? 0
        middle = min(max(1, middle), frames.count - 1)
        return [part(0..<middle), part(middle..<frames.count)]
    }
}

extension SpoolBatch {
    /// Two halves of a single request, by spans; nil when there is one span only, or none that can be read.
    var spanHalves: [SpoolBatch]? {
        guard frames.count == 1 else { return nil }
        do {
            return try bytes.withUnsafeBytes { body throws(WireError) in
                try RequestSplitter.halves(of: body).map { [self.replacing($0.first), self.replacing($0.second)] }
            }
        } catch {
            return nil
        }
    }

    private func replacing(_ part: RequestSplitter.Part) -> SpoolBatch {
        var batch = SpoolBatch()
        batch.bytes = part.bytes
        batch.frames = frames
        batch.spanCount = part.spanCount
        return batch
    }
}
