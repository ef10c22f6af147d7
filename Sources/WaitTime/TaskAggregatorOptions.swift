package import Metrics

package struct TaskAggregatorOptions: Sendable {
    /// The upper bounds of the histograms of waits, and of those of run times, in seconds.
    package var bounds: HistogramBounds
    package var runBounds: HistogramBounds
    /// The number of series of histograms on a page above which some of their classic buckets are left out.
    package var maxHistogramSeries = Int.max
    /// The bytes of memory that queues, task types and error types may take, with all their series, before `_other`.
    package var maxSeriesBytes = 48 << 20
    /// The number of distinct task types per queue before `_other`; 0 leaves the label out.
    package var maxTaskTypes: Int
    /// The number of distinct queues that only spans name before `_other`.
    package var maxQueues: Int
    /// The number of distinct error types per queue and task type before `_other`; 0 leaves failures by error type out.
    package var maxErrorTypes = 20
    package var quantileWindow: Duration
    /// The number of open producers, and of open consumers, that wait for each other.
    package var pairingCapacity = 100_000
    package var pairingLifetime = Duration.seconds(2 * 3600)
    /// The number of process spans that are remembered to tell a repeated one.
    package var duplicateMemory = 100_000
    /// The bytes for remembered attempts, which tell a task's first attempt from a repeated one.
    package var startedAttemptsBytes = 9 << 20
    /// True if waits that begin at `process_at` count. Up to five seconds of Asynq's forwarder, which moves the task,
    /// are in them.
    package var countsProcessAtWaits = true
    /// True if `observe` says which waits it has found.
    package var collectsWaits = false
    /// True if the newest spans are kept in memory: the slowest waits name theirs then, also where none is forwarded.
    package var keepsTraces = false

    /// Divides bytes among what is remembered of spans: first those by which a repeated one is told, a fifth for
    /// attempts that have begun, and the rest for spans that wait for each other. None gets more than its default.
    package mutating func divide(_ bytes: Int) {
        duplicateMemory = Self.most(duplicateMemory) { RecentReferences(capacity: $0).bytes.limit <= bytes * 2 / 3 }
        startedAttemptsBytes = min(startedAttemptsBytes, bytes * 9 / 44)
        let rest =
            bytes - RecentReferences(capacity: duplicateMemory).bytes.limit
            - StartedAttempts(bytes: startedAttemptsBytes).bytes.limit
        pairingCapacity = Self.most(pairingCapacity) { [self] capacity in
            let pairing = SpanPairing(capacity: capacity, lifetime: pairingLifetime, keepsAttempts: collectsWaits)
            return pairing.bytes.limit <= rest
        }
    }

    /// Returns the greatest number up to `limit` that fits; 1 where none does.
    private static func most(_ limit: Int, fits: (Int) -> Bool) -> Int {
        var range = 1..<(limit + 1)
        while range.count > 1 {
            let middle = range.lowerBound + range.count / 2
            range = fits(middle) ? middle..<range.upperBound : range.lowerBound..<middle
        }
        return range.lowerBound
    }

    package init(bounds: HistogramBounds, maxTaskTypes: Int, maxQueues: Int, quantileWindow: Duration) {
        self.bounds = bounds
        runBounds = bounds
        self.maxTaskTypes = maxTaskTypes
        self.maxQueues = maxQueues
        self.quantileWindow = quantileWindow
    }
}
