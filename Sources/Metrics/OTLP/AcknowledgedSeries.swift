package import Model

/// The numbers of counters and histograms that a backend has acknowledged, for pushes that send only the difference.
///
/// ```
/// sent            the numbers of the request under way; they become acknowledged with it, or are forgotten
/// acknowledged    the numbers that the next request is compared with
/// ```
/// A series that is absent, because its queue is gone or Redis can't be read, is remembered for another 120 pushes that
/// came to their end. If it comes back, what was acknowledged is not sent again. One whose request is refused each time
/// is not absent.
package struct AcknowledgedSeries {
    /// Samples with their difference, and the time since when each of them counts.
    package struct Difference {
        package var family: MetricFamily
        package var starts: [WallTime] = []
    }

    private struct Key: Hashable {
        let family: String
        let labels: [UInt8]
    }

    private struct Entry {
        let value: MetricValue
        let time: WallTime
        /// The number of the last push that came to its end with the series.
        var push: Int

        /// Returns the bytes that the entry takes with its key, estimated.
        func bytes(_ key: Key) -> Int {
            let fixed = 3 * MemoryLayout<Entry>.stride + key.labels.count
            guard case .histogram(let histogram) = value else { return fixed }
            return fixed + histogram.words.count * MemoryLayout<UInt64>.stride
        }
    }

    private static let rememberedPushes = 120

    private let maxBytes: Int
    private var entries: [Key: Entry] = [:]
    private var sent: [(key: Key, entry: Entry)] = []
    private var push = 0
    private var acknowledgedBytes = 0
    /// The bytes of the request under way.
    package private(set) var sentBytes = 0
    /// The number of series that the push under way leaves out, because there is no space to remember them.
    package private(set) var leftOut = 0

    /// - Parameter maxBytes: The size from which on new series are left out.
    package init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    /// The bytes that it takes, estimated.
    package var bytes: Int { acknowledgedBytes + sentBytes }

    /// Returns samples of a counter or a histogram with the difference in the place of what they have counted in all,
    /// and remembers them as sent. A counter that did not begin at zero is left out while nothing is known of it.
    ///
    /// - Parameters:
    ///   - start: The time since when a new series counts.
    ///   - time: The time at which the samples were read.
    package mutating func send(_ family: MetricFamily, since start: WallTime, at time: WallTime) -> Difference {
        var difference = Difference(family: family)
        difference.family.samples = []
        for sample in family.samples {
            let key = Key(family: family.name, labels: sample.labels.encoded)
            let entry = Entry(value: sample.value, time: time, push: push)
            let known = entries[key]
            if known == nil && bytes + entry.bytes(key) > maxBytes {
                leftOut += 1
                continue
            }
            sent.append((key, entry))
            sentBytes += entry.bytes(key)
            if let known {
                difference.family.samples.append(sample.since(known.value))
                difference.starts.append(known.time)
            } else if family.countsFrom == .start {
                difference.family.samples.append(sample)
                difference.starts.append(start)
            }
        }
        return difference
    }

    /// Ends the request under way.
    package mutating func settle(isAcknowledged: Bool) {
        if isAcknowledged {
            for (key, entry) in sent {
                if let known = entries.updateValue(entry, forKey: key) { acknowledgedBytes -= known.bytes(key) }
                acknowledgedBytes += entry.bytes(key)
            }
        }
        sent = []
        sentBytes = 0
    }

    /// Ends the request under way, which the backend refuses permanently. Its series are not absent.
    package mutating func settleRefused() {
        for (key, entry) in sent {
            if let place = entries.index(forKey: key) { entries.values[place].push = entry.push }
        }
        settle(isAcknowledged: false)
    }

    /// Ends a push of which all requests were acknowledged or refused.
    package mutating func endPush() {
        push += 1
        let oldest = push - Self.rememberedPushes
        guard push.isMultiple(of: 10) else { return }
        entries = entries.filter { $0.value.push >= oldest }
        acknowledgedBytes = entries.reduce(0) { $0 + $1.value.bytes($1.key) }
    }

    /// Begins a push, which has left out nothing yet.
    package mutating func beginPush() { leftOut = 0 }
}

extension MetricSample {
    /// Returns the difference since `earlier`; the whole value where it has begun anew.
    fileprivate func since(_ earlier: MetricValue) -> MetricSample {
        let difference: MetricValue =
            switch (value, earlier) {
            case (.number(let now), .number(let before)): .number(now < before ? now : now - before)
            case (.histogram(let now), .histogram(let before)): .histogram(now.since(before))
            default: value
            }
        return MetricSample(labels: labels, value: difference)
    }
}
