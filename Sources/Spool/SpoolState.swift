import Model
import Platform

/// Everything that the spool's lock guards. Each part has an owner with fields of its own; this type has what concerns
/// several.
struct SpoolState {
    /// The bytes of the checkpoint and the lock, rounded up.
    static let overheadBytes = 8192

    /// The segments, ascending; only the last one is written to.
    var segments: [Segment] = []
    var writer: SpoolWriter
    var ledger: SpoolLedger
    var readers: SpoolReaders
    var disk = SpoolDisk()
    var repair = SegmentRepair()

    /// The lines that the log does not have yet, beside failures of the disk.
    var notices: SpoolNotices

    /// - Parameter clockOffset: `ClockReading.offset` at the start.
    init(_ ledger: SpoolLedger, nextSequence: UInt64, key: FrameKey, clockOffset: Int64) {
        notices = SpoolNotices(clockOffset: clockOffset)
        self.ledger = ledger
        writer = SpoolWriter(nextSequence: nextSequence, key: key)
        readers = SpoolReaders(SpoolReader(start: 0, lastRead: 0))
    }

    var bytesOnDisk: Int {
        let overhead = max(Self.overheadBytes, ledger.checkpointBytes)
        return segments.reduce(overhead + repair.bytesOnDisk + disk.probeBytes) { $0 + $1.bytes + $1.tornBytes }
    }

    /// The number of spans that are not settled yet, those in flight included.
    var heldSpans: Int { segments.reduce(0) { $0 + $1.unsettled.spans } }

    /// True if the books balance and no count is below zero. Debug builds ask after each operation.
    var isBalanced: Bool {
        ledger.isBalanced(held: heldSpans) && readers.isBalanced && segments.allSatisfy(\.isBalanced)
            && zip(segments, segments.dropFirst()).allSatisfy { $0.firstSequence < $1.firstSequence }
    }

    func assertBalanced() {
        assert(isBalanced, "the spool's books do not balance")
    }

    // MARK: Settling

    /// Marks sequences as settled and writes that down, before anything is deleted because of it.
    mutating func settle(_ sequences: ClosedRange<UInt64>) {
        ledger.settle(sequences)
        storeCheckpoint()
    }

    mutating func storeCheckpoint() {
        do throws(SystemError) {
            try ledger.store(key: writer.key)
        } catch {
            // This costs re-sending after a restart, but no span.
            disk.record(error)
        }
    }

    /// Marks frames as settled and takes them off the books. Returns the number of their spans.
    mutating func settle(_ frames: some Collection<SpoolFrame>, wereInFlight: Bool) -> Int {
        var run: ClosedRange<UInt64>?
        var spans = 0
        for frame in frames {
            if let index = segments.index(of: frame.segment), ledger.holds(frame.sequence) {
                let left = ledger.unsettledSpans(of: frame)
                segments[index].release(FrameCount(frames: 1, spans: left), wereInFlight: wereInFlight)
                spans += left
            }
            if let current = run, frame.sequence == current.upperBound + 1 {
                run = current.lowerBound...frame.sequence
            } else {
                if let run { ledger.settle(run) }
                run = frame.sequence...frame.sequence
            }
        }
        if let run { settle(run) }
        for frame in frames { recordSettled(frame) }
        return spans
    }

    /// Marks spans of a frame in flight as settled and takes them off the books. Returns their number.
    mutating func settle(spans range: Range<Int>, of frame: SpoolFrame) -> Int {
        guard !range.isEmpty, let index = segments.index(of: frame.segment), !ledger.settled.contains(frame.sequence)
        else { return 0 }
        let before = ledger.unsettledSpans(of: frame)
        let isLast = ledger.settle(spans: range, of: frame)
        storeCheckpoint()
        if ledger.isLost(frame.sequence) { return 0 }
        let spans = before - (isLast ? 0 : ledger.unsettledSpans(of: frame))
        segments[index].release(FrameCount(frames: isLast ? 1 : 0, spans: spans), wereInFlight: true)
        if isLast { recordSettled(frame) }
        return spans
    }

    /// Records that a frame was settled. If all before it in its segment are, the rest is younger.
    private mutating func recordSettled(_ frame: SpoolFrame) {
        guard let index = segments.index(of: frame.segment) else { return }
        if ledger.settled.sequences.countUnsettled(in: frame.segment...frame.sequence) == 0 {
            segments[index].recordOldest(frame.time)
        }
        ledger.recordDropped(segments[index].takeCorruptSpans(), .corrupt)
    }

    /// Drops frames for their age.
    mutating func expire(_ frames: [SpoolFrame], wereInFlight: Bool) {
        let spans = settle(frames, wereInFlight: wereInFlight)
        ledger.recordDropped(spans, .expired)
        if !wereInFlight, let first = frames.first { readers.recordDropped(spans, inSegment: first.segment) }
    }

    // MARK: Files

    /// Closes the files that are neither written nor read, and have nothing to sync.
    mutating func closeIdleFiles(needsSync: Bool) {
        for index in segments.indices where segments[index].isSealed && segments[index].file != nil {
            let isRead = readers.isReading(segments[index].firstSequence)
            if !isRead && !(needsSync && segments[index].isDirty) { segments[index].file = nil }
        }
    }

    /// Opens a segment's file for a while, if it is closed. Returns nil where the segment was deleted: opening would
    /// make the file anew.
    /// - Throws: `SystemError` where the file can't be opened.
    func opened(
        _ firstSequence: UInt64, _ fileSystem: any SpoolFileSystem
    ) throws(SystemError) -> (file: any SpoolFile, key: FrameKey)? {
        guard let index = segments.index(of: firstSequence) else { return nil }
        if let file = segments[index].file { return (file, segments[index].key) }
        return (try fileSystem.open(SegmentHeader.fileName(firstSequence: firstSequence)), segments[index].key)
    }

    /// Deletes the segments in which everything is settled. Those in quarantine stay, and so does the last one, to be
    /// written to, unless `lastToo`.
    mutating func deleteSettledSegments(_ fileSystem: any SpoolFileSystem, lastToo: Bool = false) {
        for segment in segments.dropLast(lastToo ? 0 : 1)
        where segment.unsettled.frames == 0 && !segment.isQuarantined {
            do throws(SystemError) {
                try delete(segment, fileSystem)
            } catch {
                disk.record(error)
            }
        }
    }

    /// Deletes a whole segment; its unsettled frames are dropped.
    ///
    /// - Throws: `SystemError` if the file can't be deleted; then nothing is dropped.
    mutating func drop(
        _ segment: Segment, reason: SpoolDrop, _ fileSystem: any SpoolFileSystem
    ) throws(SystemError) {
        try delete(segment, fileSystem)
        ledger.recordDropped(segment.unsettled.spans, reason)
        if let sequences = segment.sequences { settle(sequences) }
    }

    private mutating func delete(_ segment: Segment, _ fileSystem: any SpoolFileSystem) throws(SystemError) {
        let name = SegmentHeader.fileName(firstSequence: segment.firstSequence)
        try fileSystem.delete(name)
        segments.removeAll { $0.firstSequence == segment.firstSequence }
        disk.recordNames()
        readers.forget(segment.firstSequence)
        if let sequences = segment.sequences { ledger.forgetLost(in: sequences) }
        if segment.phase != .awaitingCopy { return }
        do throws(SystemError) {
            try repair.delete(of: segment.firstSequence, fileSystem)
        } catch {
            // The segment is gone all the same; the next start deletes what is left.
            disk.record(error)
        }
    }
}
