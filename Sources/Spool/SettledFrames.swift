/// The settled numbers: the sequences of frames, or the spans of one frame counted from 0. These are all below a mark,
/// and some ranges above it, because requests are answered in any order.
struct SettledNumbers: Equatable {
    /// The mark: every number below this one is settled.
    private(set) var below: UInt64
    /// The ranges above the mark: ascending, disjoint, not adjacent.
    private(set) var ranges: [ClosedRange<UInt64>] = []

    func contains(_ number: UInt64) -> Bool {
        if number < below { return true }
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < number { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(number)
    }

    /// Returns how many numbers of the range are not settled, by interval arithmetic: the range may be of any length.
    func countUnsettled(in range: ClosedRange<UInt64>) -> UInt64 {
        guard range.upperBound >= below else { return 0 }
        let open = max(range.lowerBound, below)...range.upperBound
        var count = open.upperBound - open.lowerBound + 1
        for settled in ranges where settled.overlaps(open) {
            let overlap = settled.clamped(to: open)
            count -= overlap.upperBound - overlap.lowerBound + 1
        }
        return count
    }

    /// Returns the numbers below `end` that are not settled.
    func unsettled(below end: UInt64) -> [Range<UInt64>] {
        var start = below
        var unsettled: [Range<UInt64>] = []
        for range in ranges where range.lowerBound < end {
            unsettled.append(start..<range.lowerBound)
            start = range.upperBound + 1
        }
        return start < end ? unsettled + [start..<end] : unsettled
    }

    mutating func insert(_ settled: ClosedRange<UInt64>) {
        if settled.upperBound < below { return }
        var merged = max(settled.lowerBound, below)...settled.upperBound
        var kept: [ClosedRange<UInt64>] = []
        for range in ranges {
            let touches = range.lowerBound <= merged.upperBound + 1 && merged.lowerBound <= range.upperBound + 1
            if touches {
                merged = min(range.lowerBound, merged.lowerBound)...max(range.upperBound, merged.upperBound)
            } else {
                kept.append(range)
            }
        }
        if merged.lowerBound <= below {
            below = merged.upperBound + 1
        } else {
            kept.append(merged)
            kept.sort { $0.lowerBound < $1.lowerBound }
        }
        ranges = kept
    }
}

/// All that need not be sent any more: whole frames, and spans of frames with other spans that are still to be sent.
struct SettledFrames: Equatable {
    private(set) var sequences: SettledNumbers
    /// The settled spans of frames that are not settled as a whole, by sequence.
    private(set) var spans: [UInt64: SettledNumbers] = [:]

    func contains(_ sequence: UInt64) -> Bool { sequences.contains(sequence) }

    /// Returns how many of a frame's spans are not settled.
    func unsettledSpans(of sequence: UInt64, count: Int) -> Int {
        guard !spans.isEmpty, count > 0, let settled = spans[sequence] else { return count }
        return Int(settled.countUnsettled(in: 0...UInt64(count - 1)))
    }

    /// Returns the spans of a frame that are still to be sent, as ranges; nil where these are all.
    func unsettledRanges(of sequence: UInt64, count: Int) -> [Range<Int>]? {
        guard !spans.isEmpty, let settled = spans[sequence] else { return nil }
        return settled.unsettled(below: UInt64(count)).map { Int($0.lowerBound)..<Int($0.upperBound) }
    }

    mutating func insert(_ range: ClosedRange<UInt64>) {
        sequences.insert(range)
        if !spans.isEmpty { spans = spans.filter { !range.contains($0.key) } }
    }

    /// Adds spans of a frame. Returns true if these were the last ones; the frame is settled then.
    mutating func insert(spans range: ClosedRange<UInt64>, of sequence: UInt64, count: Int) -> Bool {
        if contains(sequence) { return false }
        spans[sequence, default: SettledNumbers(below: 0)].insert(range)
        guard unsettledSpans(of: sequence, count: count) == 0 else { return false }
        insert(sequence...sequence)
        return true
    }

    /// Removes the spans of the frames that no reader will ask for.
    mutating func keepSpans(ofFrames isKept: (UInt64) -> Bool) {
        spans = spans.filter { isKept($0.key) && !contains($0.key) }
    }
}

extension SettledFrames {
    init(below sequence: UInt64) {
        self.init(sequences: SettledNumbers(below: sequence))
    }
}
