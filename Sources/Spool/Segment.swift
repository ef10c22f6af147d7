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

/// One segment file and what of it is not settled.
struct Segment {
    enum Phase: Equatable {
        /// The last segment, at whose end frames are appended.
        case open
        /// Nothing more is written to it.
        case sealed
        /// A sync of it failed: its content has to go to a fresh file (SegmentRepair.swift).
        case awaitingCopy
        /// It was copied when its content was no longer whole.
        case damaged
        /// From this offset on the disk does not give it back. It stays for the next start.
        case quarantined(from: Int)
    }

    let firstSequence: UInt64
    /// That of its frames, and where the first of them begins.
    let key: FrameKey
    let headerBytes: Int
    /// nil while it is neither read nor written: a spool may hold more segments than a process may open files.
    var file: (any SpoolFile)?
    var bytes: Int
    /// What the reader may see: with `sync: always` only what is on the disk.
    var publishedBytes: Int
    /// Half a frame that stands behind it on disk and could not be taken away.
    var tornBytes = 0
    /// nil while it has no frame.
    var lastSequence: UInt64?
    private(set) var unsettled = FrameCount()
    /// The part of the unsettled frames that was read, and is sent or waits to be sent again.
    private(set) var inFlight = FrameCount()
    /// No unsettled frame is older; moved on with each settlement.
    private(set) var oldestUnsettled: WallTime?
    private(set) var newest: WallTime?
    /// The offset of the clocks by which its frames have their times (`ClockReading.offset`); nil in one from before the start.
    let clockOffset: Int64?
    var phase = Phase.open
    /// Written to since its last sync.
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

    /// Where a reader has to stop.
    var readableBytes: Int {
        if case .quarantined(let offset) = phase { return min(publishedBytes, offset) }
        return publishedBytes
    }

    mutating func seal() {
        if phase == .open { phase = .sealed }
    }

    // MARK: Books

    /// A frame stands at its end that is not settled, or of which these spans are not.
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

    /// These frames or spans of it need not be kept any more.
    mutating func release(_ count: FrameCount, wereInFlight: Bool) {
        unsettled -= count
        if wereInFlight { inFlight -= count }
    }

    /// All frames up to one of this time are settled.
    mutating func recordOldest(_ time: WallTime) {
        oldestUnsettled = max(oldestUnsettled ?? time, time)
    }

    /// Once every frame is settled, the spans still on its books are those of its corrupt frames. Returns how many, and takes
    /// them off.
    mutating func takeCorruptSpans() -> Int {
        guard unsettled.frames == 0 else { return 0 }
        defer { unsettled.spans = 0 }
        return unsettled.spans
    }

    /// The disk does not give back what stands behind the offset. Returns how many spans that were never read are lost.
    mutating func quarantine(from offset: Int) -> Int {
        defer { unsettled = inFlight }
        if case .quarantined(let before) = phase {
            phase = .quarantined(from: min(offset, before))
        } else {
            phase = .quarantined(from: offset)
        }
        return unsettled.spans - inFlight.spans
    }

    /// Not even a start could read it behind the offset. It may hold sequences up to `last`.
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
    /// Returns where the segment with this first sequence is; they ascend.
    func index(of firstSequence: UInt64) -> Int? {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].firstSequence < firstSequence { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low].firstSequence == firstSequence ? low : nil
    }
}
