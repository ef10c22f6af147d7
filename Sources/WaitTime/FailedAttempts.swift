import Model

/// The spans of the newest failed attempts by their task, in fixed memory. Tasks that share one of the 1,024 places have the span of
/// the newer attempt there, so that the older task has none.
struct FailedAttempts: Sendable {
    private struct Entry {
        /// The hash of queue and id. Hashes of 64 bits do not collide by chance.
        let task: UInt64
        let span: SpanReference
    }

    private static let placeCount = 1024

    private let hash = KeyedHash()
    /// The places; empty before the first attempt.
    private var entries: [Entry?] = []

    /// The bytes that the places take: 40 each.
    var bytes: Int { entries.count * MemoryLayout<Entry?>.stride }

    /// Records an attempt, unless its task or its span has no name.
    mutating func record(queue: QueueName, id: ForeignText, span: SpanReference) {
        guard !id.bytes.isEmpty, span.isValid else { return }
        if entries.isEmpty { entries = Array(repeating: nil, count: Self.placeCount) }
        let task = number(queue, id)
        entries[place(task)] = Entry(task: task, span: span)
    }

    /// Returns the span of the newest failed attempt at a task; nil where none is known.
    func span(queue: QueueName, id: ForeignText) -> SpanReference? {
        guard !entries.isEmpty, !id.bytes.isEmpty else { return nil }
        let task = number(queue, id)
        guard let entry = entries[place(task)], entry.task == task else { return nil }
        return entry.span
    }

    private func place(_ task: UInt64) -> Int { Int(task % UInt64(Self.placeCount)) }

    private func number(_ queue: QueueName, _ id: ForeignText) -> UInt64 {
        hash(queue.bytes.withUnsafeBytes { hash($0) }, id.bytes.withUnsafeBytes { hash($0) })
    }
}
