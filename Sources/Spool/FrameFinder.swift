import Platform

/// Finds frames in a chunk of a segment, and steps over all other bytes.
///
/// ```
/// |<- done ->|    bytes that don't check    |  frame that checks  |   frame cut off by the chunk's end
/// 0          |<- skipped once a good frame is found behind it ->|
/// ```
struct FrameFinder {
    struct Found {
        let header: FrameHeader
        /// The whole frame, in the chunk. A candidate may go on behind the chunk's end.
        let range: Range<Int>
    }

    private let bytes: UnsafeRawBufferPointer
    /// The place of the chunk in the segment, and the length of the segment.
    private let base: Int
    private let segmentBytes: Int
    private let firstSequence: UInt64
    private let key: FrameKey
    /// The place where the search goes on.
    private(set) var offset = 0
    /// The end of the last frame that was taken.
    private(set) var done = 0
    /// The number of places where the key's mark stands without a frame.
    private(set) var falseMarks = 0
    /// The first candidate behind `done` that goes on behind the chunk.
    private(set) var cut: Range<Int>?

    init(
        _ bytes: UnsafeRawBufferPointer, at base: Int, segmentBytes: Int, firstSequence: UInt64, key: FrameKey
    ) {
        self.bytes = bytes
        self.key = key
        self.base = base
        self.segmentBytes = segmentBytes
        self.firstSequence = firstSequence
    }

    /// Returns the next frame; nil where the chunk holds no further whole one.
    mutating func next() -> Found? {
        while let candidate = nextCandidate() {
            if candidate.range.upperBound > bytes.count {
                cut = cut ?? candidate.range
                // A frame that goes on beyond the chunk is read whole with the next chunk.
                if offset == done { return nil }
            } else if candidate.header.checks(bytes, at: offset, key: key) {
                return candidate
            }
            pass()
        }
        return nil
    }

    /// Returns the next bytes that could be a frame which ends within the segment. The checksum is not checked.
    mutating func nextCandidate() -> Found? {
        while let position = nextMark() {
            offset = position
            if let header = FrameHeader(bytes, at: position, key: key), isPlausible(header) {
                return Found(header: header, range: position..<position + header.frameCount)
            }
            falseMarks += 1
            pass()
        }
        return nil
    }

    /// Returns true if the sequence is possible: each frame before this one takes at least the bytes of a header.
    private func isPlausible(_ header: FrameHeader) -> Bool {
        base + offset + header.frameCount <= segmentBytes && header.sequence <= FrameHeader.maxSequence
            && header.sequence <= firstSequence + UInt64((base + offset) / FrameHeader.count)
    }

    /// Returns the next place of the key's mark that has space for a header behind it. Moves on to the place where a
    /// mark could still come.
    private mutating func nextMark() -> Int? {
        // This is the last place where a whole header could stand.
        let last = bytes.count - FrameHeader.count
        guard offset <= last else { return nil }
        let searched = UnsafeRawBufferPointer(rebasing: bytes[..<(last + MemoryLayout<UInt32>.size)])
        if let found = searched.firstOffset(of: key.mark, from: offset) { return found }
        offset = last + 1
        return nil
    }

    mutating func take(_ found: Found) {
        offset = found.range.upperBound
        done = offset
        cut = nil
    }

    /// Steps over the candidate at `offset`, whose bytes are not a frame.
    mutating func pass() {
        offset += 1
    }
}
