import Model

/// The counters of one queue in the form in which they are passed on (`RisingCounter`).
///
/// Asynq counts a failure in `processed` and in `failed` at once, so the fate of `processed` is that of both. If it was
/// reset, both were; if it is behind, a `failed` of 0 is behind as well, and was not reset.
struct QueueCounters {
    private var processed = RisingCounter()
    private var failed = RisingCounter()
    private var completed = RisingCounter()

    /// Records the numbers of one scrape; nil is a number that it could not read, or can't tell.
    mutating func record(
        processed newProcessed: Int64?, failed newFailed: Int64?
    ) -> (completed: Int64?, failed: Int64?) {
        guard let newProcessed else { return (nil, newFailed.map { failed.raise(to: $0) }) }
        if let before = processed.value, RisingCounter.isReset(from: before, to: newProcessed) {
            self = QueueCounters()
        }
        let isBehind = processed.record(newProcessed) > newProcessed
        guard let newFailed else { return (nil, nil) }
        let failures = isBehind ? failed.raise(to: newFailed) : failed.record(newFailed)
        // Failures that the source has forgotten are not completed. The two are read one after the other: a failure
        // between the readings takes one from the difference.
        return (completed.raise(to: max(0, newProcessed.subtractingSaturated(failures))), failures)
    }
}
