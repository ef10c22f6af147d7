import Model
import Platform

/// The settled frames, on disk and in memory, and the fate of every span. All sums are since the start.
struct SpoolLedger {
    private(set) var settled: SettledFrames
    private var checkpoint: Checkpoint
    /// The frames in flight that the disk does not give back any more. They are off the books, though they are not
    /// settled.
    private var lostFrames: Set<UInt64> = []
    private(set) var recoveredSpans = 0
    private(set) var appendedSpans: UInt64 = 0
    private(set) var deliveredSpans: UInt64 = 0
    private(set) var droppedSpans: [String: UInt64] = [:]
    private(set) var corruptFrames: UInt64 = 0

    init(_ checkpoint: Checkpoint, _ settled: SettledFrames) {
        self.checkpoint = checkpoint
        self.settled = settled
    }

    // MARK: Settled

    /// Returns true if a frame that was read is neither settled nor dropped.
    func holds(_ sequence: UInt64) -> Bool {
        !settled.contains(sequence) && !lostFrames.contains(sequence)
    }

    func isLost(_ sequence: UInt64) -> Bool { lostFrames.contains(sequence) }

    /// Returns how many spans of a frame are not settled.
    func unsettledSpans(of frame: SpoolFrame) -> Int {
        settled.unsettledSpans(of: frame.sequence, count: frame.spanCount)
    }

    mutating func settle(_ sequences: ClosedRange<UInt64>) {
        settled.insert(sequences)
    }

    /// Clears the settled frames, once the frames that they named are gone.
    mutating func beginAnew() {
        settled = SettledFrames(below: 1)
    }

    /// Settles spans of a frame. Returns true if these were the last ones.
    mutating func settle(spans range: Range<Int>, of frame: SpoolFrame) -> Bool {
        settled.insert(
            spans: UInt64(range.lowerBound)...UInt64(range.upperBound - 1), of: frame.sequence, count: frame.spanCount)
    }

    mutating func lose(_ frame: SpoolFrame) {
        lostFrames.insert(frame.sequence)
    }

    /// Removes the lost frames of a segment that is gone.
    mutating func forgetLost(in sequences: ClosedRange<UInt64>) {
        if !lostFrames.isEmpty { lostFrames = lostFrames.filter { !sequences.contains($0) } }
    }

    /// Removes the settled spans of frames that are in none of these segments.
    mutating func keepSpans(ofFramesIn segments: [Segment]) {
        let held = segments.compactMap(\.sequences)
        settled.keepSpans { sequence in held.contains { $0.contains(sequence) } }
    }

    // MARK: Sums

    mutating func recordRecovered(_ spans: Int) { recoveredSpans = spans }
    mutating func recordAppended(_ spans: Int) { appendedSpans += UInt64(spans) }
    /// Counts corrupt frames. A gap that a forged name of a file has made counts as no more than a spool could hold.
    mutating func recordCorrupt(frames: UInt64) { corruptFrames += min(frames, 1 << 32) }

    mutating func recordDropped(_ spans: Int, _ reason: SpoolDrop) {
        if spans != 0 { recordDropped(spans, reason: reason.rawValue) }
    }

    /// Records spans that were settled: delivered, all but those that the backend rejected. It may say any number of
    /// these.
    mutating func recordSettled(_ spans: Int, dropping: (spans: Int, reason: String)?) {
        let dropped = min(max(0, dropping?.spans ?? 0), spans)
        deliveredSpans += UInt64(spans - dropped)
        if let dropping, dropped > 0 { recordDropped(dropped, reason: dropping.reason) }
    }

    private mutating func recordDropped(_ spans: Int, reason: String) {
        droppedSpans[reason, default: 0] += UInt64(spans)
    }

    /// Returns true if the books balance. At every moment: recovered + appended = delivered + dropped + held.
    func isBalanced(held spans: Int) -> Bool {
        spans >= 0
            && UInt64(recoveredSpans) + appendedSpans
                == deliveredSpans + droppedSpans.values.reduce(0, +) + UInt64(spans)
    }

    // MARK: Checkpoint

    var checkpointBytes: Int { checkpoint.fileBytes }
    var checkpointFile: any SpoolFile { checkpoint.file }

    /// Writes the settled frames to the checkpoint.
    /// - Throws: `SystemError` of the disk; the slot before still counts then.
    mutating func store(key: FrameKey) throws(SystemError) {
        try checkpoint.store(settled, key: key)
    }

    /// Returns true if the caller has to sync the checkpoint now: once in a while, and at the end.
    mutating func takeCheckpointSync(at now: MonotonicTime, isLast: Bool) -> Bool {
        checkpoint.takeSync(at: now, isLast: isLast)
    }

    /// Returns the same, whenever it was synced last.
    mutating func takeCheckpointSync() -> Bool { checkpoint.takeSync() }
}

extension Spool {
    /// Records that the frames were delivered, all but `dropping` of their spans, which the backend rejected: they need
    /// not be kept. Returns how many of their spans the spool still held (an evicted segment's spans are counted as
    /// dropped already).
    @discardableResult
    package func settle(
        _ frames: some Collection<SpoolFrame>, dropping: (spans: Int, reason: String)? = nil
    ) -> Int {
        withState { state in
            let spans = state.settle(frames, wereInFlight: true)
            state.ledger.recordSettled(spans, dropping: dropping)
            state.deleteSettledSegments(fileSystem)
            return spans
        }
    }

    /// Records that some spans of a frame were delivered, all but `dropping` of them. The frame is settled with the
    /// last of its spans.
    @discardableResult
    package func settle(
        _ spans: Range<Int>, of frame: SpoolFrame, dropping: (spans: Int, reason: String)? = nil
    ) -> Int {
        withState { state in
            let settled = state.settle(spans: spans, of: frame)
            state.ledger.recordSettled(settled, dropping: dropping)
            state.deleteSettledSegments(fileSystem)
            return settled
        }
    }
}
