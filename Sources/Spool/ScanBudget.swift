/// What a start may spend on bytes that are no frames. The damage of a failing disk does not come near it; files that were
/// made to keep a start busy do.
struct ScanBudget {
    /// The cost of a candidate at least: many small ones are as much work as a few large ones.
    private static let candidateBytes = 4096
    /// A small spool may have much damage all the same.
    private static let minBytes = 64 << 20

    /// Bytes that may be stepped over, or summed up to find that they are no frame.
    private var bytes: Int
    /// Gaps in the sequences; the checkpoint has room for twice as many.
    private var gaps = Checkpoint.maxRanges / 2

    init(maxBytes: Int) {
        bytes = max(maxBytes, Self.minBytes)
    }

    /// Returns false where that is more than is left. Then nothing is left.
    mutating func spend(onCandidateOf count: Int) -> Bool {
        spend(bytes: max(count, Self.candidateBytes))
    }

    /// The same for marks that no header follows.
    mutating func spend(onFalseMarks count: Int) -> Bool {
        spend(bytes: count * Self.candidateBytes)
    }

    /// The same. No bytes can always be spent: frames back to back are read whatever was spent before.
    mutating func spend(bytes count: Int) -> Bool {
        if count == 0 { return true }
        bytes = max(0, bytes - count)
        return bytes > 0
    }

    mutating func spendGap() -> Bool {
        gaps = max(0, gaps - 1)
        return gaps > 0
    }
}
