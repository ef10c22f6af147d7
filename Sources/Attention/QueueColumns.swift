import Model

/// The history of one queue: for each point one number of each `HistoryField`, NaN where it is unknown.
///
///     values   points × fields × 4 bytes; point p lies at (p mod points) × fields
package struct QueueColumns: Sendable {
    static let fieldCount = HistoryField.allCases.count

    /// The counters as they were read last.
    private struct Counters {
        let time: MonotonicTime
        /// The number of attempts that ended, as Redis says it.
        let processed: Int64?
        let completed: Int64?
        let failed: Int64?
        /// The number of pending and active tasks.
        let open: Int64?
        let deadLettered: UInt64?
        let waits: WaitCounts?

        init(_ reading: QueueReading, at time: MonotonicTime) {
            self.time = time
            let queue = reading.snapshot
            processed = queue?.processed
            completed = queue?.completed
            failed = queue?.failed
            if let pending = queue?.size[.pending], let active = queue?.size[.active] {
                open = pending &+ active
            } else {
                open = nil
            }
            deadLettered = queue?.deadLettered
            waits = reading.waits
        }
    }

    private var values: [Float]
    /// The point of the newest reading.
    private(set) var last: Int
    private var counters: Counters?
    /// The time at which the first of the counters was read.
    private(set) var begin: MonotonicTime

    init(points: Int, at time: MonotonicTime, point: Int) {
        values = [Float](repeating: .nan, count: points * Self.fieldCount)
        last = point
        begin = time
    }

    private var points: Int { values.count / Self.fieldCount }

    private func index(_ field: HistoryField, _ point: Int) -> Int {
        (point % points) * Self.fieldCount + field.rawValue
    }

    /// Returns the value; nil where it is unknown, or where the point is not within the hour.
    package func value(_ field: HistoryField, at point: Int) -> Double? {
        guard point >= 0, point <= last, point > last - points else { return nil }
        let value = values[index(field, point)]
        return value.isNaN ? nil : Double(value)
    }

    /// Returns the value of several points as one: the point `group` of steps that are `factor` times as long. Counts
    /// are per second.
    package func value(_ field: HistoryField, group: Int, factor: Int, seconds: Double) -> Double? {
        var found = Float.nan
        for point in group * factor..<(group + 1) * factor where point <= last && point > last - points {
            found = field.merged(found, values[index(field, point)])
        }
        if found.isNaN { return nil }
        return field.isCount ? Double(found) / seconds : Double(found)
    }

    // MARK: Recording

    /// - Parameter gap: The greatest distance of readings that are taken for neighbours.
    mutating func record(_ reading: QueueReading, at time: MonotonicTime, steps: HistorySteps, gap: Duration) {
        let point = steps.point(of: time)
        let isContinued = counters.map { time.duration(since: $0.time) <= gap } ?? false
        let earlier = last
        advance(to: point)
        for point in (isContinued ? min(earlier + 1, point) : point)...max(point, earlier) {
            for state in TaskState.allCases {
                values[index(.tasks(in: state), point)] = reading.snapshot?.size[state].map { Float($0) } ?? .nan
            }
            for (position, field) in HistoryField.waitQuantiles.enumerated() {
                values[index(field, point)] = reading.wait.map { Float($0[position]) } ?? .nan
            }
        }
        let new = Counters(reading, at: time)
        if let old = counters {
            if time > old.time { count(from: old, to: new, steps) }
        } else if let deaths = new.deadLettered {
            // This counter begins at 0 with the process, however late the queue is seen first.
            values[index(.deadLettered, last)] = Float(deaths)
        }
        counters = new
    }

    private mutating func advance(to point: Int) {
        guard point > last else { return }
        for cleared in max(last + 1, point - points + 1)...point {
            let start = (cleared % points) * Self.fieldCount
            for position in start..<start + Self.fieldCount { values[position] = .nan }
        }
        last = point
    }

    private mutating func count(from old: Counters, to new: Counters, _ steps: HistorySteps) {
        func add(_ field: HistoryField, _ count: Double?) {
            guard let count else { return }
            steps.forEachShare(from: old.time, to: new.time) { point, share in
                guard point > last - points else { return }
                let place = index(field, point)
                values[place] = (values[place].isNaN ? 0 : values[place]) + Float(count * share)
            }
        }
        func risen(_ old: Int64?, _ new: Int64?) -> Double? {
            guard let old, let new else { return nil }
            // After a reset the counter tells what came since.
            return RisingCounter.isReset(from: old, to: new) ? Double(new) : Double(max(0, new &- old))
        }
        let ended = risen(old.processed, new.processed)
        if let ended, let before = old.open, let after = new.open {
            // A task that becomes ready goes to pending, and leaves active by the end of an attempt. A task that is
            // deleted cancels an arrival.
            add(.enqueued, max(0, ended + Double(after) - Double(before)))
        }
        add(.completed, risen(old.completed, new.completed))
        add(.failed, risen(old.failed, new.failed))
        if let before = old.deadLettered, let after = new.deadLettered {
            add(.deadLettered, Double(after >= before ? after - before : after))
        }
        if let after = new.waits, after.all > 0 {
            let before = old.waits.flatMap { $0.all <= after.all && $0.slow <= after.slow ? $0 : nil }
            add(.waits, Double(after.all - (before?.all ?? 0)))
            add(.slowWaits, Double(after.slow - (before?.slow ?? 0)))
        }
    }

    // MARK: Steps

    /// Returns the same history with steps twice as long.
    func merged(points newPoints: Int) -> QueueColumns {
        var merged = QueueColumns(points: newPoints, at: begin, point: last / 2)
        merged.counters = counters
        for point in max(0, last - points + 1)...last where point / 2 > merged.last - newPoints {
            for field in HistoryField.allCases {
                let place = merged.index(field, point / 2)
                merged.values[place] = field.merged(merged.values[place], values[index(field, point)])
            }
        }
        return merged
    }

    /// Returns the same history with steps half as long: each point becomes two that share its counts.
    func split(points newPoints: Int) -> QueueColumns {
        var split = QueueColumns(points: newPoints, at: begin, point: last * 2 + 1)
        split.counters = counters
        for point in max(0, last * 2 + 2 - newPoints)...last * 2 + 1 where point / 2 > last - points {
            for field in HistoryField.allCases {
                let value = values[index(field, point / 2)]
                split.values[split.index(field, point)] = field.isCount ? value / 2 : value
            }
        }
        return split
    }
}
