import Metrics
import Model

/// The failed attempts at one task type, by error type.
struct FailureCounts: Sendable {
    /// The bytes that a type takes beside its label.
    private static let bytesPerType = 128

    /// The labels of the task type.
    private let labels: LabelSet
    private var types: BoundedTextTable
    /// The counts by the number of the type in `types`.
    private var counts: [(labels: LabelSet, count: UInt64)] = []
    /// The bytes that the types take, estimated.
    private(set) var bytes = 512

    /// - Parameter labels: The labels of the task type.
    init(labels: LabelSet, limit: Int) {
        self.labels = labels
        // Longer texts are messages rather than types, and count under `_other`.
        types = BoundedTextTable(limit: limit + 1, longTexts: .findNoSpace)
        // Attempts that name no error type must not take the place of a type.
        _ = TaskAggregator.unnamed.bytes.withUnsafeBytes { types.number(of: $0) }
        for label in types.labels { addType(label) }
    }

    /// Counts an attempt. Returns false where the type did not fit.
    mutating func count(_ type: UnsafeRawBufferPointer, hasSpace: Bool) -> Bool {
        let number =
            type.isEmpty
            ? TaskAggregator.unnamed.bytes.withUnsafeBytes { types.number(of: $0) }
            : types.number(of: type, hasSpace: hasSpace)
        if number == counts.count { addType(types.labels[number]) }
        counts[number].count += 1
        return number != BoundedTextTable.other
    }

    mutating func setLimit(_ limit: Int) { types.limit = limit + 1 }

    private mutating func addType(_ label: LabelText) {
        let addition = LabelSet.Addition(["error_type": label])
        counts.append((labels.adding(addition), 0))
        bytes += Self.bytesPerType + 2 * addition.byteCount
    }

    func add(to family: inout MetricFamily) {
        for (labels, count) in counts where count > 0 { family.add(count, labels) }
    }
}
