/// The numbers of counters and histograms that a backend has acknowledged, for pushes that send only the difference.
///
/// A series that is absent, because its queue is gone or Redis can't be read, is remembered for another 120
/// acknowledged pushes. If it comes back, what was acknowledged is not sent again.
package struct AcknowledgedSeries: Sendable {
    private struct Key: Hashable {
        let family: String
        let labels: [UInt8]
    }

    private struct Entry {
        var value: MetricValue
        var push: Int
    }

    private static let rememberedPushes = 120

    private var entries: [Key: Entry] = [:]
    private var push = 0

    package init() {}

    /// The bytes that it takes, estimated.
    package var bytes: Int {
        entries.reduce(0) { bytes, entry in
            let entryBytes = 3 * MemoryLayout<Entry>.stride + entry.key.labels.count
            guard case .histogram(let histogram) = entry.value.value else { return bytes + entryBytes }
            return bytes + entryBytes + histogram.words.count * MemoryLayout<UInt64>.stride
        }
    }

    /// Returns the families with the difference in the place of what counters and histograms have counted in all. A
    /// counter that did not begin at zero is left out while nothing is known of it.
    package func differences(_ families: [MetricFamily]) -> [MetricFamily] {
        families.map { family in
            guard family.kind == .counter || family.kind == .histogram else { return family }
            var changed = family
            changed.samples = family.samples.compactMap { sample in
                guard let entry = entries[Key(family: family.name, labels: sample.labels.encoded)] else {
                    return family.countsFrom == .start ? sample : nil
                }
                return MetricSample(labels: sample.labels, value: sample.value.since(entry.value))
            }
            return changed
        }
    }

    /// Records that the backend has these numbers.
    package mutating func acknowledge(_ families: [MetricFamily]) {
        push += 1
        for family in families where family.kind == .counter || family.kind == .histogram {
            for sample in family.samples {
                let key = Key(family: family.name, labels: sample.labels.encoded)
                entries[key] = Entry(value: sample.value, push: push)
            }
        }
        let oldest = push - Self.rememberedPushes
        if push.isMultiple(of: 10) { entries = entries.filter { $0.value.push > oldest } }
    }
}

extension MetricValue {
    /// Returns the difference since `earlier`; the whole value where it has begun anew.
    fileprivate func since(_ earlier: MetricValue) -> MetricValue {
        switch (self, earlier) {
        case (.number(let now), .number(let before)): .number(now < before ? now : now - before)
        case (.histogram(let now), .histogram(let before)): .histogram(now.since(before))
        default: self
        }
    }
}
