import Model
import Platform

/// One pass over a segment file: which frames check, and where they end.
struct SegmentScan {
    var segment: Segment
    /// The end of the last frame that checks.
    var goodEnd: Int
    /// Sequences that are missing between frames that check.
    var gaps: [ClosedRange<UInt64>] = []
    /// The sequence that comes next, if none is missing.
    private(set) var expected: UInt64

    /// More is no faster, and stays resident for a while.
    private static let chunkBytes = 512 << 10

    /// Frames up to the sequence `after` stand in an earlier segment.
    init(segment: Segment, after: UInt64) {
        self.segment = segment
        goodEnd = segment.headerBytes
        expected = max(segment.firstSequence, after + 1)
    }

    mutating func read(_ file: any SpoolFile, count: Int, settled: SettledFrames) throws(SystemError) {
        // A file whose header is not whole may still hold frames behind it.
        var offset = min(segment.headerBytes, count)
        goodEnd = offset
        var chunkBytes = Self.chunkBytes
        while offset < count {
            let wanted = min(chunkBytes, count - offset)
            let chunk = try file.read(wanted, at: offset)
            if chunk.isEmpty { return }
            let done = chunk.withUnsafeBytes { take($0, at: offset, fileCount: count, settled) }
            if done > 0 {
                offset += done
                chunkBytes = Self.chunkBytes
            } else if chunk.count < wanted {
                // The file ends too early, or the disk can't read on: the next byte tells which.
                _ = try file.read(1, at: offset + chunk.count)
                return
            } else if wanted == count - offset {
                return
            } else {
                chunkBytes *= 4
            }
        }
    }

    /// Where it can't be read it may hold sequences up to the next segment's, or as many as there is room for.
    mutating func quarantine(before next: UInt64?, at now: WallTime) {
        // A file of which not even the size is known has at most so many frames.
        let most = segment.bytes == 0 ? 1 << 32 : UInt64(max(0, segment.bytes - goodEnd) / FrameHeader.count)
        let last = next.map { max($0, expected) - 1 } ?? expected + most
        segment.quarantine(from: goodEnd, upTo: last, at: now)
    }

    private mutating func take(
        _ bytes: UnsafeRawBufferPointer, at base: Int, fileCount: Int, _ settled: SettledFrames
    ) -> Int {
        var finder = FrameFinder(bytes, at: base, segmentBytes: fileCount, key: segment.key)
        while let found = finder.next() {
            record(found.header, settled)
            finder.take(found)
            goodEnd = base + finder.done
        }
        return finder.done
    }

    private mutating func record(_ header: FrameHeader, _ settled: SettledFrames) {
        if header.sequence > expected { gaps.append(expected...header.sequence - 1) }
        if header.sequence < expected { return }
        expected = header.sequence + 1
        segment.lastSequence = header.sequence
        if settled.contains(header.sequence) { return }
        let spans = settled.unsettledSpans(of: header.sequence, count: header.spanCount)
        // All of them settled, though not the frame: nothing of it would ever be sent.
        if spans == 0 && header.spanCount > 0 { return gaps.append(header.sequence...header.sequence) }
        segment.recordFrame(sequence: header.sequence, spans: spans, time: header.time)
    }
}
