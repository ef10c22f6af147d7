import Model

/// A number of frames, and of the spans in them.
struct FrameCount: Equatable {
    var frames = 0
    var spans = 0

    static func += (left: inout FrameCount, right: FrameCount) {
        left = FrameCount(frames: left.frames + right.frames, spans: left.spans + right.spans)
    }

    static func -= (left: inout FrameCount, right: FrameCount) {
        left = FrameCount(frames: left.frames - right.frames, spans: left.spans - right.spans)
    }
}

/// One segment file, and its part that is not settled.
struct Segment {
    enum Phase: Equatable {
        /// The last segment, at whose end frames are appended.
        case open
        /// The segment is full: it is only read.
        case sealed
        /// A sync of it failed: its content has to go to a fresh file (SegmentRepair.swift).
        case awaitingCopy
        /// It was copied when its content was no longer whole.
        case damaged
        /// The disk does not give it back from this offset on. It stays for the next start.
        case quarantined(from: Int)
    }

    let firstSequence: UInt64
    /// The key of its frames, and the place of the first one.
    let key: FrameKey
    let headerBytes: Int
    /// The file; nil while it is neither read nor written, because a spool may hold more segments than a process may
    /// open files.
    var file: (any SpoolFile)?
    var bytes: Int
    /// The part that the reader may see: with `sync: always` only what is on the disk.
    var publishedBytes: Int
    /// The bytes of half a frame that stands behind it on disk and could not be removed.
    var tornBytes = 0
    /// The sequence of its last frame; nil while it has none.
    var lastSequence: UInt64?
    private(set) var unsettled = FrameCount()
    /// The unsettled frames that were read, and are in flight or wait to be sent again.
    private(set) var inFlight = FrameCount()
    /// The lower bound of the unsettled frames' times; it moves on with each settlement.
    private(set) var oldestUnsettled: WallTime?
    private(set) var newest: WallTime?
    /// The offset of the clocks by which its frames have their times (`ClockReading.offset`); nil in a segment from
    /// before the start.
    let clockOffset: Int64?
    var phase = Phase.open
    /// True if it was written to since its last sync.
    var isDirty = true

    init(
        firstSequence: UInt64, key: FrameKey, headerBytes: Int, file: (any SpoolFile)?, bytes: Int,
        clockOffset: Int64? = nil
    ) {
        self.clockOffset = clockOffset
        self.firstSequence = firstSequence
        self.key = key
        self.headerBytes = headerBytes
        self.file = file
        self.bytes = bytes
        publishedBytes = bytes
    }

    var sequences: ClosedRange<UInt64>? { lastSequence.map { firstSequence...$0 } }
    var isSealed: Bool { phase != .open }

    var isQuarantined: Bool {
        if case .quarantined = phase { return true }
        return false
    }

    /// The place where a reader has to stop.
    var readableBytes: Int {
        if case .quarantined(let offset) = phase { return min(publishedBytes, offset) }
        return publishedBytes
    }

    mutating func seal() {
        if phase == .open { phase = .sealed }
    }

    // MARK: Books

    /// Records a frame at its end that is not settled, or whose number of unsettled spans this is.
    mutating func recordFrame(sequence: UInt64, spans: Int, time: WallTime) {
        lastSequence = sequence
        oldestUnsettled = unsettled.frames == 0 ? time : min(oldestUnsettled ?? time, time)
        unsettled += FrameCount(frames: 1, spans: spans)
        newest = max(newest ?? time, time)
    }

    mutating func recordAppend(bytes: Int, spans: Int, sequence: UInt64, time: WallTime) {
        self.bytes += bytes
        recordFrame(sequence: sequence, spans: spans, time: time)
        isDirty = true
    }

    mutating func recordRead(_ count: FrameCount) {
        inFlight += count
    }

    /// Records that frames or spans of it need not be kept any more.
    mutating func release(_ count: FrameCount, wereInFlight: Bool) {
        unsettled -= count
        if wereInFlight { inFlight -= count }
    }

    /// Records that all frames up to one of this time are settled.
    mutating func recordOldest(_ time: WallTime) {
        oldestUnsettled = max(oldestUnsettled ?? time, time)
    }

    /// Removes the spans of corrupt frames from the books, and returns their number. These are all that is left there
    /// once every frame is settled.
    mutating func takeCorruptSpans() -> Int {
        guard unsettled.frames == 0 else { return 0 }
        defer { unsettled.spans = 0 }
        return unsettled.spans
    }

    /// Records that the disk does not give back what stands behind the offset. Returns the number of lost spans that
    /// were never read.
    mutating func quarantine(from offset: Int) -> Int {
        defer { unsettled = inFlight }
        if case .quarantined(let before) = phase {
            phase = .quarantined(from: min(offset, before))
        } else {
            phase = .quarantined(from: offset)
        }
        return unsettled.spans - inFlight.spans
    }

    /// Records that a start could not read it behind the offset. It may hold sequences up to `last`.
    mutating func quarantine(from offset: Int, upTo last: UInt64, at now: WallTime) {
        phase = .quarantined(from: offset)
        lastSequence = last
        newest = now
    }

    var isBalanced: Bool {
        let counts = [
            inFlight.frames, inFlight.spans, unsettled.frames - inFlight.frames, unsettled.spans - inFlight.spans,
        ]
        return counts.allSatisfy { $0 >= 0 } && (sequences != nil || unsettled == FrameCount())
    }
}

extension [Segment] {
    /// Returns the place of the segment with this first sequence; they ascend.
    func index(of firstSequence: UInt64) -> Int? {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].firstSequence < firstSequence { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low].firstSequence == firstSequence ? low : nil
    }
}
