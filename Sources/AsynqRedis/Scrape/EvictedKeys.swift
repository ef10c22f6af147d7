import Model

/// The number of keys that Redis evicted, in the form in which it is passed on (`RisingCounter`). Each process counts
/// its own from zero.
struct EvictedKeys {
    private var ofOneNode = RisingCounter()
    /// The rises of a Cluster's sum so far, and the last sum.
    private var ofCluster: (total: Int64, last: Int64)?

    /// - Parameter sum: The sum over the nodes; nil where one of them does not say it.
    mutating func record(_ sum: Int64?, nodeCount: Int) -> Int64? {
        guard let sum else { return nil }
        if nodeCount <= 1 { return ofOneNode.record(sum) }
        // A node that starts again begins at zero: the sum falls by what it had, and the others count on.
        let total = ofCluster.map { $0.total &+ max(0, sum &- $0.last) } ?? sum
        ofCluster = (total, sum)
        return total
    }
}
