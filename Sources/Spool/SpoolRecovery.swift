import Glibc
import Model
import Platform

// A start treats what an earlier process left as follows:
//
//   checkpoint missing or broken   nothing counts as settled: what was sent may be sent again, nothing is lost
//   segment without a whole header an append never got that far, or the disk lost it: read with the key that the
//                                  checkpoint and the other segments know
//   frame cut off at the very end  of the last segment: a torn write, truncated away
//   whole frame with a wrong sum   at the very end: counted as corrupt
//   bytes that don't check         stepped over to the next frame that does; the gap in the sequences is counted
//   a segment the disk can't read  in quarantine from there on: its frames are neither sent nor settled, the file stays
//                                  for the next start; space for new frames goes before it
//   more bytes outside of frames   than the spool may be large: as for a segment that can't be read
//   another name in the directory  left alone
//   a link in the place of a file  the start is refused
//   a segment of another version   the start is refused: a newer program has to read it
extension Spool {
    static func recover(
        _ fileSystem: any SpoolFileSystem, maxBytes: Int, at now: ClockReading
    ) throws(SystemError) -> SpoolState {
        var checkpoint = Checkpoint(try fileSystem.open(Checkpoint.fileName))
        let slot = try checkpoint.load()
        let names = try fileSystem.names()
        if names.contains(Self.probeName) { try fileSystem.delete(Self.probeName) }
        let failedSyncs = try Self.failedSyncs(names, fileSystem)
        let found = names.compactMap { SegmentHeader.firstSequence(ofFileName: $0) }.sorted()
        var segments: [FoundSegment] = []
        for firstSequence in found { segments.append(try FoundSegment(firstSequence, fileSystem)) }
        let headerKeys = segments.compactMap(\.header?.key).filter { $0 != .version1 }
        let knownKey = slot?.key ?? headerKeys.last
        let key = knownKey ?? .random()
        let settled = slot?.settled ?? SettledFrames(below: 1)
        var state = SpoolState(
            SpoolLedger(checkpoint, settled), nextSequence: settled.sequences.below, key: key, clockOffset: now.offset)
        // A spool that was never written as version 2 has no key to look for.
        let spareKeys = knownKey == nil ? [.version1] : [key] + headerKeys.filter { $0 != key }.uniqued()
        var budget = ScanBudget(maxBytes: maxBytes)
        try recover(
            segments, spareKeys: spareKeys, at: now.wall, budget: &budget, fileSystem: fileSystem, state: &state)
        beginAnew(&state)
        for index in state.segments.indices where failedSyncs.contains(state.segments[index].firstSequence) {
            if !state.segments[index].isQuarantined { state.segments[index].phase = .awaitingCopy }
        }
        beginReading(&state)
        // It is stored in two slots, before the first segment with this key.
        if slot?.key == nil { for _ in 0..<2 { state.storeCheckpoint() } }
        return state
    }

    /// Takes over the content of the segments.
    private static func recover(
        _ segments: [FoundSegment], spareKeys: [FrameKey], at now: WallTime, budget: inout ScanBudget,
        fileSystem: any SpoolFileSystem, state: inout SpoolState
    ) throws(SystemError) {
        // From this sequence on, frames of the segment before are unreadable.
        var brokenFrom: UInt64?
        for (index, segment) in segments.enumerated() {
            if let brokenFrom, brokenFrom < segment.firstSequence {
                state.settleLost([brokenFrom...segment.firstSequence - 1])
            }
            let isLast = index == segments.count - 1
            let keys = segment.header?.key.map { [$0] } ?? spareKeys
            var scan = try scan(segment, keys: keys, budget: &budget, fileSystem: fileSystem, state: state)
            if scan.segment.isQuarantined {
                scan.quarantine(before: isLast ? nil : segments[index + 1].firstSequence, at: now)
                state.disk.record(scan.problem ?? SystemError("reading", path: segment.name, code: EIO))
                // A file with holes counts against the bound with the bytes that it really takes.
                scan.segment.bytes = max(scan.goodEnd, min(segment.count, segment.allocatedBytes))
                state.settleLost(scan.gaps)
                state.segments.append(scan.segment)
                if let last = scan.segment.lastSequence { state.writer.pass(last) }
                brokenFrom = nil
            } else {
                brokenFrom = try settleIn(scan, of: segment, isLast: isLast, fileSystem: fileSystem, state: &state)
            }
        }
        // It is above all that counts as settled, for a frame with such a sequence would never be read. (Lost frames
        // may have closed the gap below a range, which then exists no more.)
        let settled = state.ledger.settled.sequences
        state.writer.pass((settled.ranges.last?.upperBound ?? settled.below - 1))
        // Settled spans may be known of a frame that a power cut took. Another frame with its sequence would count as
        // half-sent.
        if let last = state.ledger.settled.spans.keys.max() { state.writer.pass(last) }
        state.ledger.keepSpans(ofFramesIn: state.segments)
    }

    /// Gives all of it one reader. What an earlier process left is a backlog, however short ago.
    private static func beginReading(_ state: inout SpoolState) {
        let spans = state.heldSpans
        state.ledger.recordRecovered(spans)
        let unread = SpoolUnread(
            spans: spans, bytes: state.segments.reduce(0) { $0 + $1.bytes },
            since: spans > 0 ? MonotonicTime(nanoseconds: 0) : nil)
        let first = state.segments.first?.firstSequence ?? state.writer.nextSequence
        state.readers = SpoolReaders(SpoolReader(start: 0, lastRead: first - 1, unread: unread))
    }

    /// Returns the segments of which the process before had begun copies, which are emptied. Copies of other segments
    /// are deleted.
    private static func failedSyncs(
        _ names: [String], _ fileSystem: any SpoolFileSystem
    ) throws(SystemError) -> Set<UInt64> {
        var failed: Set<UInt64> = []
        for name in names where name.hasSuffix(SegmentHeader.copySuffix) {
            let original = String(name.dropLast(SegmentHeader.copySuffix.count))
            guard let sequence = SegmentHeader.firstSequence(ofFileName: original) else { continue }
            if names.contains(original) {
                try fileSystem.open(name).truncate(to: 0)
                failed.insert(sequence)
            } else {
                try fileSystem.delete(name)
            }
        }
        return failed
    }

    /// Takes over the content of a segment. Returns the sequence of the first frame that its end should hold and does
    /// not, if other bytes stand in its place.
    private static func settleIn(
        _ found: SegmentScan, of segment: FoundSegment, isLast: Bool, fileSystem: any SpoolFileSystem,
        state: inout SpoolState
    ) throws(SystemError) -> UInt64? {
        var scan = found
        let count = segment.count
        if isLast && scan.goodEnd < count {
            let file = try fileSystem.open(segment.name)
            let tail = try file.read(min(count - scan.goodEnd, FrameHeader.count), at: scan.goodEnd)
            if let header = tail.withUnsafeBytes({ FrameHeader($0, at: 0, key: scan.segment.key) }),
                scan.goodEnd + header.frameCount <= count
            {
                // The write was not torn: the frame is all there, and wrong. It stays as it is, and the sequence that
                // it should have is not used again. (The one that it states is not to be trusted.)
                state.settleLost([scan.expected...scan.expected])
                state.writer.pass(scan.expected)
            } else {
                try file.truncate(to: scan.goodEnd)
                scan.segment.bytes = scan.goodEnd
                scan.segment.publishedBytes = scan.goodEnd
            }
        }
        state.settleLost(scan.gaps)
        if scan.segment.unsettled.frames == 0 {
            try fileSystem.delete(segment.name)
            try fileSystem.delete(segment.name + SegmentHeader.copySuffix)
        } else {
            state.segments.append(scan.segment)
        }
        state.writer.pass(scan.segment.lastSequence ?? segment.firstSequence - 1)
        return scan.goodEnd < count ? scan.expected : nil
    }

    /// Lets sequences begin at 1 again where they are nearly used up, which only a forged file leads to, and nothing
    /// waits.
    private static func beginAnew(_ state: inout SpoolState) {
        guard state.segments.isEmpty, state.writer.nextSequence > FrameHeader.maxSequence - 1 << 32 else { return }
        state.ledger.beginAnew()
        state.writer = SpoolWriter(nextSequence: 1, key: state.writer.key)
        // All slots are written, so that none of the old ones counts after a torn write.
        for _ in Checkpoint.places { state.storeCheckpoint() }
    }

    /// Scans a segment with the first of the keys under which it has frames.
    private static func scan(
        _ found: FoundSegment, keys: [FrameKey], budget: inout ScanBudget, fileSystem: any SpoolFileSystem,
        state: SpoolState
    ) throws(SystemError) -> SegmentScan {
        var scan: SegmentScan?
        for key in keys where scan?.segment.lastSequence == nil {
            let headerBytes = found.header?.count ?? (key == .version1 ? 40 : SegmentHeader.count)
            var next = SegmentScan(
                segment: Segment(
                    firstSequence: found.firstSequence, key: key, headerBytes: headerBytes, file: nil,
                    bytes: found.count),
                after: state.segments.last?.lastSequence ?? 0)
            // The next process appends to a segment of its own: what stands here is never written to again.
            next.segment.phase = .sealed
            // (It may not be on the disk yet, though.)
            do throws(SystemError) {
                if let error = found.failure { throw error }
                try next.read(
                    fileSystem.open(found.name), count: found.count, settled: state.ledger.settled, budget: &budget)
            } catch {
                if !error.isOfTheMedium { throw error }
                next.segment.phase = .quarantined(from: next.goodEnd)
            }
            scan = next
        }
        guard let scan else { preconditionFailure("there is always a key to look for") }
        return scan
    }
}

/// A segment file as a start finds it. It is not kept open, because there may be more than a process may open.
private struct FoundSegment {
    let firstSequence: UInt64
    let name: String
    let count: Int
    let allocatedBytes: Int
    /// The header; nil where it is broken.
    let header: SegmentHeader?
    /// The reason why not even this much could be read.
    let failure: SystemError?

    init(_ firstSequence: UInt64, _ fileSystem: any SpoolFileSystem) throws(SystemError) {
        self.firstSequence = firstSequence
        name = SegmentHeader.fileName(firstSequence: firstSequence)
        var (found, allocated, bytes, problem) = (0, 0, [UInt8](), SystemError?.none)
        do throws(SystemError) {
            let file = try fileSystem.open(name)
            found = try file.count
            allocated = try file.allocatedBytes
            bytes = try file.read(min(found, 4096), at: 0)
        } catch {
            if !error.isOfTheMedium { throw error }
            problem = error
        }
        (count, allocatedBytes, failure) = (found, allocated, problem)
        header = bytes.withUnsafeBytes { SegmentHeader($0) }
        if let header, header.key == nil {
            // Its frames may have another layout: reading them by this one would delete them as broken.
            throw SystemError(
                "reading a segment of format version \(header.version) (this program knows 1 to \(SegmentHeader.version))",
                path: name, code: ENOTSUP)
        }
    }
}

extension [FrameKey] {
    /// Returns each key once. There are as many as spools were merged by hand.
    fileprivate func uniqued() -> [FrameKey] {
        reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}

extension SpoolState {
    /// Counts sequences that can't be read any more, and settles them so that nothing waits for them.
    fileprivate mutating func settleLost(_ gaps: [ClosedRange<UInt64>]) {
        for gap in gaps {
            ledger.recordCorrupt(frames: ledger.settled.sequences.countUnsettled(in: gap))
            ledger.settle(gap)
        }
    }
}
