import Metrics
import Model

/// Failed attempts at one task type, by what they failed with.
struct FailureCounts: Sendable {
    /// Longer ones are rather messages than types, and count under `_other`.
    private static let maxTypeBytes = 256

    private let labels: [(name: String, value: ForeignText)]
    private var types: BoundedTextTable
    /// By the number of the type in `types`.
    private var counts: [(labels: LabelSet, count: UInt64)] = []

    /// `labels`: those of the task type.
    init(labels: [(name: String, value: ForeignText)], limit: Int) {
        self.labels = labels
        types = BoundedTextTable(limit: limit + 1, maxTextBytes: Self.maxTypeBytes)
        // Attempts that do not say what they failed with take no type's place.
        _ = TaskAggregator.unnamed.bytes.withUnsafeBytes { types.number(of: $0) }
        for text in types.texts { addType(text) }
    }

    /// Returns false where the type found no room.
    mutating func count(_ type: UnsafeRawBufferPointer) -> Bool {
        let number =
            type.isEmpty
            ? TaskAggregator.unnamed.bytes.withUnsafeBytes { types.number(of: $0) } : types.number(of: type)
        if number == counts.count { addType(types.texts[number]) }
        counts[number].count += 1
        return number != BoundedTextTable.other
    }

    mutating func setLimit(_ limit: Int) { types.limit = limit + 1 }

    private mutating func addType(_ text: ForeignText) {
        counts.append((LabelSet(labels + [("error_type", text)]), 0))
    }

    func add(to family: inout MetricFamily) {
        for (labels, count) in counts where count > 0 { family.add(count, labels) }
    }
}
