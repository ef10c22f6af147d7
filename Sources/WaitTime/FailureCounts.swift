import Metrics
import Model

/// Failed attempts at one task type, by what they failed with.
struct FailureCounts: Sendable {
    /// What a type takes beside its label.
    private static let bytesPerType = 128

    /// Those of the task type.
    private let labels: LabelSet
    private var types: BoundedTextTable
    /// By the number of the type in `types`.
    private var counts: [(labels: LabelSet, count: UInt64)] = []
    /// What the types take, estimated.
    private(set) var bytes = 512

    /// - Parameter labels: those of the task type.
    init(labels: LabelSet, limit: Int) {
        self.labels = labels
        // Longer ones are rather messages than types, and count under `_other`.
        types = BoundedTextTable(limit: limit + 1, longTexts: .findNoRoom)
        // Attempts that do not say what they failed with take no type's place.
        _ = TaskAggregator.unnamed.bytes.withUnsafeBytes { types.number(of: $0) }
        for label in types.labels { addType(label) }
    }

    /// Returns false where the type found no room.
    mutating func count(_ type: UnsafeRawBufferPointer, hasRoom: Bool) -> Bool {
        let number =
            type.isEmpty
            ? TaskAggregator.unnamed.bytes.withUnsafeBytes { types.number(of: $0) }
            : types.number(of: type, hasRoom: hasRoom)
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
