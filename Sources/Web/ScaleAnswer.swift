package import Attention
package import Model

/// The answer to a question about the scale of a queue.
package enum ScaleAnswer: Equatable, Sendable {
    case advice(ScaleAdvice)
    case unknownQueue
    /// No current numbers exist; the reason.
    case stale(String)
}

/// The numbers from which an answer about the scale of a queue is made.
package struct ScaleQuestion: Sendable {
    package var redis: RedisReading
    /// The wait's 95th percentile in seconds: from spans, or else sampled in Redis; nil where none is known.
    package var waitP95Seconds: Double?
    /// The run time's 95th percentile in seconds, from spans.
    package var runP95Seconds: Double?
    /// The arrivals and run times that the scrapes of Redis tell.
    package var load: QueueLoads.Load?

    package init(redis: RedisReading, waitP95Seconds: Double?, runP95Seconds: Double?, load: QueueLoads.Load?) {
        self.redis = redis
        self.waitP95Seconds = waitP95Seconds
        self.runP95Seconds = runP95Seconds
        self.load = load
    }

    /// Returns the advice for the queue, or the reason why none can be given. A snapshot older than `maxAge` does not
    /// count.
    package func answer(
        for name: QueueName, at now: WallTime, maxAge: Duration, targetUtilization: Double
    ) -> ScaleAnswer {
        guard let snapshot = redis.snapshot else {
            return .stale(redis.unreadReason ?? "redis.url is none: how many tasks are pending is not known")
        }
        if now.duration(since: snapshot.takenAt) > maxAge {
            return .stale("the last scrape of Redis is too old")
        }
        guard let queue = snapshot.queues.first(where: { $0.name == name }) else { return .unknownQueue }
        let (pending, active) = (queue.size[.pending], queue.size[.active])
        let oldest = queue.latencyNanoseconds.map { Double($0) / 1e9 }
        if pending == nil && active == nil && oldest == nil { return .stale("the queue could not be read") }
        var desired: Int64?
        if let pending, let active {
            desired = ScaleAdvice.desiredWorkers(
                arrivalsPerSecond: load?.arrivalsPerSecond, runSeconds: runP95Seconds ?? load?.meanRunSeconds,
                targetUtilization: targetUtilization, pending: pending, active: active)
        }
        return .advice(
            ScaleAdvice(
                pending: pending, oldestWaitSeconds: oldest, waitP95Seconds: waitP95Seconds ?? 0,
                desiredWorkers: desired))
    }
}
