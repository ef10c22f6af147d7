import Glibc
import Model
import Platform

// What a start does with what an earlier process left:
//
//   checkpoint missing or broken   nothing counts as settled: what was sent may be sent again, nothing is lost
//   segment without a whole header an append never got that far, or the disk lost it: read anyway, frames carry their
//                                  own magic and checksum
//   frame cut off at the very end  of the last segment: a torn write, truncated away
//   whole frame with a wrong sum   at the very end: counted as corrupt
//   bytes that don't check         stepped over to the next frame that does; the gap in the sequences is counted
//   another name in the directory  left alone
//   a segment of another version   the start is refused: a newer program has to read it
extension Spool {
    static func recover(_ fileSystem: any SpoolFileSystem) throws(SystemError) -> SpoolState {
        let checkpointFile = try fileSystem.open(Checkpoint.fileName)
        var state = SpoolState(checkpointFile: checkpointFile)
        if let settled = try state.checkpoint.load(from: checkpointFile) { state.settled = settled }
        state.nextSequence = state.settled.below
        let found = try fileSystem.names().compactMap { SegmentHeader.firstSequence(ofFileName: $0) }.sorted()
        // From this sequence on, frames of the segment before are unreadable.
        var brokenFrom: UInt64?
        for (index, firstSequence) in found.enumerated() {
            if let brokenFrom, brokenFrom < firstSequence { state.giveUp([brokenFrom...firstSequence - 1]) }
            let isLast = index == found.count - 1
            brokenFrom = try recoverSegment(firstSequence, isLast: isLast, fileSystem, &state)
        }
        state.nextSequence = max(state.nextSequence, (state.settled.ranges.last?.upperBound ?? 0) + 1)
        state.lastRead = (state.segments.first?.firstSequence ?? state.nextSequence) - 1
        state.recoveredSpans = state.segments.reduce(0) { $0 + $1.unsettledSpans }
        state.unreadSpans = state.recoveredSpans
        state.unreadBytes = state.segments.reduce(0) { $0 + $1.bytes }
        state.unreadSince = state.recoveredSpans > 0 ? MonotonicTime(nanoseconds: 0) : nil
        return state
    }

    /// Returns the sequence of the first frame that its end should hold and does not, if there are bytes in its place.
    private static func recoverSegment(
        _ firstSequence: UInt64, isLast: Bool, _ fileSystem: any SpoolFileSystem, _ state: inout SpoolState
    ) throws(SystemError) -> UInt64? {
        let name = SegmentHeader.fileName(firstSequence: firstSequence)
        let file = try fileSystem.open(name)
        let count = try file.count
        let header = try file.read(min(count, SegmentHeader.count), at: 0)
        if let version = header.withUnsafeBytes({ SegmentHeader.version(of: $0) }), version != SegmentHeader.version {
            // Its frames may look otherwise: to read them as ours would be to delete them as broken.
            throw SystemError(
                "reading a segment of format version \(version) (this program knows \(SegmentHeader.version))", path: name,
                code: ENOTSUP)
        }
        var scan = SegmentScan(
            segment: Segment(firstSequence: firstSequence, file: nil, bytes: count),
            after: state.segments.last?.lastSequence ?? 0)
        try scan.read(file, count: count, settled: state.settled)
        // The next process appends to a segment of its own: what stands here is never written to again.
        scan.segment.isSealed = true
        scan.segment.isDirty = false
        if isLast && scan.goodEnd < count {
            let tail = try file.read(min(count - scan.goodEnd, FrameHeader.count), at: scan.goodEnd)
            if let header = tail.withUnsafeBytes({ FrameHeader($0, at: 0) }), scan.goodEnd + header.frameCount <= count {
                // No torn write: the frame is all there, and wrong. It stays as it is; the sequence that it should have
                // is not used again. (What it says of its own is not to be trusted.)
                state.giveUp([scan.expected...scan.expected])
                state.nextSequence = max(state.nextSequence, scan.expected + 1)
            } else {
                try file.truncate(to: scan.goodEnd)
                scan.segment.bytes = scan.goodEnd
            }
        }
        state.giveUp(scan.gaps)
        if scan.segment.unsettledFrames == 0 {
            try fileSystem.delete(name)
        } else {
            state.segments.append(scan.segment)
        }
        if scan.segment.frameCount > 0 {
            state.nextSequence = max(state.nextSequence, scan.segment.lastSequence + 1)
        }
        state.nextSequence = max(state.nextSequence, firstSequence)
        return scan.goodEnd < count ? scan.expected : nil
    }
}

extension SpoolState {
    /// Counts sequences that can't be read any more; nothing waits for them.
    fileprivate mutating func giveUp(_ gaps: [ClosedRange<UInt64>]) {
        for gap in gaps {
            corruptFrames += settled.countUnsettled(in: gap)
            settled.insert(gap)
        }
    }
}

/// One pass over a segment file: which frames check, and where they end.
private struct SegmentScan {
    var segment: Segment
    /// The end of the last frame that checks.
    var goodEnd = SegmentHeader.count
    /// Sequences that are missing between frames that check.
    var gaps: [ClosedRange<UInt64>] = []
    /// The sequence that comes next, if none is missing.
    private(set) var expected: UInt64

    private static let chunkBytes = 4 << 20

    /// Frames up to the sequence `after` stand in an earlier segment.
    init(segment: Segment, after: UInt64) {
        self.segment = segment
        expected = max(segment.firstSequence, after + 1)
    }

    mutating func read(_ file: any SpoolFile, count: Int, settled: SettledSequences) throws(SystemError) {
        // A file whose header is not whole may still hold frames behind it; none is expected before byte 40.
        var offset = min(SegmentHeader.count, count)
        goodEnd = offset
        var chunkBytes = Self.chunkBytes
        while offset < count {
            let chunk = try file.read(min(chunkBytes, count - offset), at: offset)
            if chunk.isEmpty { return }
            let done = chunk.withUnsafeBytes { take($0, at: offset, fileCount: count, settled) }
            if done > 0 {
                offset += done
                chunkBytes = Self.chunkBytes
            } else if offset + chunk.count >= count {
                return
            } else {
                chunkBytes *= 4
            }
        }
    }

    private mutating func take(
        _ bytes: UnsafeRawBufferPointer, at base: Int, fileCount: Int, _ settled: SettledSequences
    ) -> Int {
        var finder = FrameFinder(bytes, at: base, segmentBytes: fileCount)
        while let found = finder.next() {
            note(found.header, settled)
            finder.take(found)
            goodEnd = base + finder.done
        }
        return finder.done
    }

    private mutating func note(_ header: FrameHeader, _ settled: SettledSequences) {
        if header.sequence > expected { gaps.append(expected...header.sequence - 1) }
        if header.sequence < expected { return }
        expected = header.sequence + 1
        segment.frameCount = Int(clamping: header.sequence - segment.firstSequence + 1)
        segment.lastSequence = header.sequence
        if settled.contains(header.sequence) { return }
        if segment.unsettledFrames == 0 { segment.oldestUnsettled = header.time }
        segment.unsettledFrames += 1
        segment.unsettledSpans += header.spanCount
        segment.newest = header.time
    }
}
