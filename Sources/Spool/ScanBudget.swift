/// The work that a start may spend on bytes other than frames. The damage of a failing disk does not come near it;
/// files that were made to keep a start busy do.
struct ScanBudget {
    /// The least cost of a candidate: many small ones are as much work as a few large ones.
    private static let candidateBytes = 4096
    /// The least budget, because a small spool may have much damage, too.
    private static let minBytes = 64 << 20

    /// The number of bytes that may be stepped over, or summed up to find that they are not a frame.
    private var bytes: Int
    /// The number of gaps in the sequences; the checkpoint has space for twice as many.
    private var gaps = Checkpoint.maxRanges / 2

    init(maxBytes: Int) {
        bytes = max(maxBytes, Self.minBytes)
    }

    /// Spends work on a candidate. Returns false, and spends all, where that is more than is left.
    mutating func spend(onCandidateOf count: Int) -> Bool {
        spend(bytes: max(count, Self.candidateBytes))
    }

    /// Spends work on marks that no header follows, in the same way.
    mutating func spend(onFalseMarks count: Int) -> Bool {
        spend(bytes: count * Self.candidateBytes)
    }

    /// Spends work on bytes, in the same way. It always allows 0 bytes: frames back to back are read whatever was spent
    /// before.
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
