import AsynqRedis
import Metrics
import Model
import Synchronization

/// The result of a good scrape of Redis, with labels: made once for it, for all pages until the next one.
final class RedisView: Sendable {
    /// The queues with a label of their own, then `_other` where there is one.
    private let queues: [QueueSnapshot]
    private let labels: [QueueLabelSets]
    /// The number of queues without `_other`.
    private let named: Int
    /// The families that have few samples.
    let smallFamilies: [MetricFamily]
    /// The bytes that the labels take.
    let labelBytes: Int

    /// - Parameters:
    ///   - labels: The labels of the snapshot's queues.
    ///   - maxLabelBytes: The bytes that labels may take.
    init(
        _ snapshot: RedisSnapshot, _ labels: [QueueLabelSets], maxLabelBytes: Int = RedisLabelBudget.maxBytes,
        hasAsynqmonNames: Bool
    ) {
        let budget = RedisLabelBudget(maxBytes: maxLabelBytes)
        var queues: [QueueSnapshot] = []
        var ownLabels: [QueueLabelSets] = []
        var other = QueueSnapshot(name: QueueName("_other"))
        for (queue, labels) in zip(snapshot.queues, labels) {
            if budget.admit(labels.queue, .queue) {
                queues.append(queue)
                ownLabels.append(labels)
            } else {
                other.add(queue)
            }
        }
        let own = (queues: queues, labels: ownLabels)
        if budget.refused[.queue] != nil {
            queues.append(other)
            ownLabels.append(.other)
        }
        self.queues = queues
        self.labels = ownLabels
        named = own.queues.count
        var families: [MetricFamily] = []
        if let servers = snapshot.servers {
            families += ServerMetrics.consumers(
                of: own.queues, own.labels, by: servers, areAll: snapshot.serversProblem == nil)
            families += ServerMetrics.families(of: servers, within: budget)
        }
        if let entries = snapshot.schedulerEntries {
            families += ServerMetrics.families(of: entries, within: budget)
        }
        families += ServerMetrics.families(of: snapshot.info)
        if let offset = snapshot.clockOffset {
            families.append(MetricFamily(RedisMetrics.declared.clockOffsetSeconds, value: offset.inSeconds))
        }
        var unlabeled = MetricFamily(RedisMetrics.declared.unlabeledNames)
        for name in RedisLabelBudget.Name.allCases {
            unlabeled.add(budget.refused[name] ?? 0, LabelSet(["label": name.rawValue]))
        }
        families.append(unlabeled)
        if hasAsynqmonNames { families += AsynqmonMetrics.families(of: queues, ownLabels) }
        smallFamilies = families
        labelBytes = budget.bytes
    }

    /// The families that have samples of each queue.
    var queueFamilies: [MetricFamily] { QueueMetrics.families(of: queues, labels) }

    /// Returns the places of the queues with a label of their own that come behind a name, at most as many as a page
    /// takes at a time. The name may be of an earlier scrape with other queues.
    private func places(behind name: QueueName?) -> Range<Int> {
        var (low, high) = (0, named)
        while let name, low < high {
            let middle = (low + high) / 2
            if queues[middle].name > name { high = middle } else { low = middle + 1 }
        }
        return low..<(low + Self.portion < named ? low + Self.portion : queues.count)
    }

    /// Calls `body` with the places of some queues behind a name, and returns the last name; nil where these were the
    /// last ones.
    func forPortion(behind name: QueueName?, _ body: (Range<Int>) -> Void) -> QueueName? {
        let places = places(behind: name)
        body(places)
        return places.upperBound < queues.count ? queues[places.upperBound - 1].name : nil
    }

    /// Returns samples of one of `QueueMetrics.families`.
    func samples(ofFamily index: Int, _ places: Range<Int>) -> MetricFamily {
        QueueMetrics.family(index, of: queues[places], labels[places])
    }

    /// Returns waits that were sampled; `_other` has none.
    func sampledWaits(_ waits: SampledWaits, _ places: Range<Int>) -> MetricFamily {
        waits.family(
            of: places.clamped(to: 0..<named).lazy.map { [queues, labels] in
                (queues[$0].name, labels[$0].queue)
            })
    }

    var allPlaces: Range<Int> { queues.indices }

    private static let portion = 128
}

extension QueueSnapshot {
    /// Adds the counts of another queue. Values that can't be added, such as ages, stay out.
    fileprivate mutating func add(_ other: QueueSnapshot) {
        func sum<Number: FixedWidthInteger>(_ left: Number?, _ right: Number?) -> Number? {
            guard let left, let right else { return left ?? right }
            return left.addingReportingOverflow(right).overflow ? .max : left + right
        }
        size.merge(other.size) { sum($0, $1) ?? 0 }
        overdue.merge(other.overdue) { sum($0, $1) ?? 0 }
        groups = sum(groups, other.groups)
        orphaned = sum(orphaned, other.orphaned)
        completed = sum(completed, other.completed)
        failed = sum(failed, other.failed)
        deadLettered = sum(deadLettered, other.deadLettered)
        memoryBytes = sum(memoryBytes, other.memoryBytes)
    }
}

/// The view of the last scrape, made where a page asks for it first.
final class RedisViews: Sendable {
    let monitor: RedisMonitor
    /// The value of `metrics.asynqmon-names`.
    private let hasAsynqmonNames: Bool
    private let maxLabelBytes: Int
    private let labels = QueueLabelSets.Cache()
    private let last = Mutex<(revision: UInt64, view: RedisView)?>(nil)

    init(_ monitor: RedisMonitor, maxLabelBytes: Int, hasAsynqmonNames: Bool) {
        self.monitor = monitor
        self.maxLabelBytes = maxLabelBytes
        self.hasAsynqmonNames = hasAsynqmonNames
    }

    /// The bytes that the labels of the last view take.
    var labelBytes: Int { last.withLock { $0?.view.labelBytes ?? 0 } }

    /// The status of Redis now, and the view; nil where the last scrape failed.
    var current: (status: RedisStatus, view: RedisView?) {
        let status = monitor.current
        guard let snapshot = status.snapshot else { return (status, nil) }
        let view = last.withLock { last in
            if let last, last.revision == status.revision { return last.view }
            let view = RedisView(
                snapshot, labels.labels(of: snapshot.queues), maxLabelBytes: maxLabelBytes,
                hasAsynqmonNames: hasAsynqmonNames)
            last = (status.revision, view)
            return view
        }
        return (status, view)
    }
}
