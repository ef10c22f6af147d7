import Glibc
import Model
import Platform

/// One pass over a segment file, which finds the frames that check, and their end.
struct SegmentScan {
    var segment: Segment
    /// The end of the last frame that checks.
    var goodEnd: Int
    /// The sequences that are missing between frames that check.
    var gaps: [ClosedRange<UInt64>] = []
    /// The sequence that comes next, unless some are missing.
    private(set) var expected: UInt64

    /// The size of a chunk. A larger one is no faster, and stays resident for a while.
    private static let chunkBytes = 512 << 10

    /// The reason why the bytes behind `goodEnd` were not read; nil where they were.
    private(set) var problem: SystemError?

    /// Begins a scan. Frames up to the sequence `after` stand in an earlier segment.
    init(segment: Segment, after: UInt64) {
        self.segment = segment
        goodEnd = segment.headerBytes
        expected = max(segment.firstSequence, after + 1)
    }

    /// Reads the whole segment. Where the budget is spent, the rest of the segment is put into quarantine.
    ///
    /// - Throws: `SystemError` of the disk; `goodEnd` is where it failed.
    mutating func read(
        _ file: any SpoolFile, count: Int, settled: SettledFrames, budget: inout ScanBudget
    ) throws(SystemError) {
        // A file whose header is broken may still hold frames behind it.
        var offset = min(segment.headerBytes, count)
        goodEnd = offset
        while offset < count {
            let wanted = min(Self.chunkBytes, count - offset)
            let chunk = try file.read(wanted, at: offset)
            if chunk.isEmpty { return }
            let done = try chunk.withUnsafeBufferPointer { bytes throws(SystemError) in
                try take(
                    UnsafeRawBufferPointer(bytes), at: offset, of: file, count: count, settled: settled, budget: &budget
                )
            }
            guard let done else { return quarantineRest() }
            if offset + chunk.count >= count { return }
            // Either the file ends too early, or the disk can't read on: the next byte tells which.
            if chunk.count < wanted && goodEnd <= offset {
                _ = try file.read(1, at: offset + chunk.count)
                return
            }
            offset = done
        }
    }

    private mutating func quarantineRest() {
        let path = SegmentHeader.fileName(firstSequence: segment.firstSequence)
        problem = SystemError("finding frames among too many bytes that are none in", path: path, code: EBADMSG)
        segment.phase = .quarantined(from: goodEnd)
    }

    /// Puts the unread part into quarantine. It may hold sequences up to the next segment's, or as many as fit into it.
    mutating func quarantine(before next: UInt64?, at now: WallTime) {
        // This is also the most frames of a file whose size is unknown.
        let most = segment.bytes == 0 ? 1 << 32 : UInt64(max(0, segment.bytes - goodEnd) / FrameHeader.count)
        let last = next.map { max($0, expected) - 1 } ?? expected + most
        segment.quarantine(from: goodEnd, upTo: last, at: now)
    }

    /// Takes the frames that check. Returns the place to read on; nil where the budget does not allow that.
    private mutating func take(
        _ bytes: UnsafeRawBufferPointer, at base: Int, of file: any SpoolFile, count: Int, settled: SettledFrames,
        budget: inout ScanBudget
    ) throws(SystemError) -> Int? {
        var finder = FrameFinder(
            bytes, at: base, segmentBytes: count, firstSequence: segment.firstSequence, key: segment.key)
        var falseMarks = 0
        while let candidate = finder.nextCandidate() {
            guard budget.spend(onFalseMarks: finder.falseMarks - falseMarks) else { return nil }
            falseMarks = finder.falseMarks
            guard try checks(candidate, in: bytes, at: base, of: file) else {
                guard budget.spend(onCandidateOf: candidate.range.count) else { return nil }
                finder.pass()
                continue
            }
            guard budget.spend(bytes: candidate.range.lowerBound - finder.done) else { return nil }
            if candidate.header.sequence > expected && !budget.spendGap() { return nil }
            record(candidate.header, settled)
            finder.take(candidate)
            goodEnd = base + finder.done
        }
        guard budget.spend(onFalseMarks: finder.falseMarks - falseMarks),
            budget.spend(bytes: finder.offset - finder.done)
        else { return nil }
        return base + finder.offset
    }

    /// Returns true if the candidate's checksum is right. Its bytes behind the chunk are read piece by piece, because
    /// its length may be any number.
    private func checks(
        _ candidate: FrameFinder.Found, in bytes: UnsafeRawBufferPointer, at base: Int, of file: any SpoolFile
    ) throws(SystemError) -> Bool {
        let (start, end) = (candidate.range.lowerBound, base + candidate.range.upperBound)
        if candidate.range.upperBound <= bytes.count {
            return candidate.header.checks(bytes, at: start, key: segment.key)
        }
        let head = UnsafeRawBufferPointer(rebasing: bytes[start..<start + FrameHeader.count - 4])
        var sum = crc32c(head, continuing: segment.key.seed)
        sum = crc32c(UnsafeRawBufferPointer(rebasing: bytes[(start + FrameHeader.count)...]), continuing: sum)
        var offset = base + bytes.count
        while offset < end {
            let piece = try file.read(min(Self.chunkBytes, end - offset), at: offset)
            if piece.isEmpty { return false }
            sum = piece.withUnsafeBytes { crc32c($0, continuing: sum) }
            offset += piece.count
        }
        return sum == candidate.header.checksum
    }

    private mutating func record(_ header: FrameHeader, _ settled: SettledFrames) {
        if header.sequence > expected { gaps.append(expected...header.sequence - 1) }
        if header.sequence < expected { return }
        expected = header.sequence + 1
        segment.lastSequence = header.sequence
        if settled.contains(header.sequence) { return }
        let spans = settled.unsettledSpans(of: header.sequence, count: header.spanCount)
        // All of its spans are settled, though not the frame: nothing of it would ever be sent.
        if spans == 0 && header.spanCount > 0 { return gaps.append(header.sequence...header.sequence) }
        segment.recordFrame(sequence: header.sequence, spans: spans, time: header.time)
    }
}
