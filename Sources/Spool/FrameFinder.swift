/// Finds the frames that check in a chunk of a segment, stepping over bytes that are none.
///
/// ```
/// |<- done ->|    bytes that don't check    |  frame that checks  |   frame cut off by the chunk's end
/// 0          |<- skipped once a good frame is found behind it ->|
/// ```
struct FrameFinder {
    struct Found {
        let header: FrameHeader
        /// The whole frame, in the chunk.
        let range: Range<Int>
    }

    private let bytes: UnsafeRawBufferPointer
    /// Where the chunk begins in the segment, and how many bytes that has.
    private let base: Int
    private let segmentBytes: Int
    private let key: FrameKey
    private var offset = 0
    /// The end of the last frame that was taken.
    private(set) var done = 0

    init(_ bytes: UnsafeRawBufferPointer, at base: Int, segmentBytes: Int, key: FrameKey) {
        self.bytes = bytes
        self.key = key
        self.base = base
        self.segmentBytes = segmentBytes
    }

    /// The next frame; nil where the chunk holds no more whole one.
    mutating func next() -> Found? {
        while offset + FrameHeader.count <= bytes.count {
            guard let header = FrameHeader(bytes, at: offset, key: key) else {
                offset += 1
                continue
            }
            let end = offset + header.frameCount
            // A frame that goes on beyond the chunk is read whole with the next one.
            if offset == done && end > bytes.count && base + end <= segmentBytes { return nil }
            if header.checks(bytes, at: offset, key: key) { return Found(header: header, range: offset..<end) }
            offset += 1
        }
        return nil
    }

    mutating func take(_ found: Found) {
        offset = found.range.upperBound
        done = offset
    }
}
