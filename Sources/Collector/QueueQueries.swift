import AsynqRedis
import Model
import Platform

/// What people and autoscalers ask about queues, from Redis and spans together.
struct QueueQueries: Sendable {
    let redis: RedisMonitor?
    let taskMetrics: TaskMetrics
    let sampledWaits: SampledWaits
    let loads: QueueLoads
    /// Older numbers are no answer: three scrapes failed to come.
    let staleNanoseconds: Int64
    let targetUtilization: Double
    let clock: Clock

    /// All queues that Redis or spans name, sorted.
    var rows: [QueueRow] {
        QueueRow.all(redis?.current.snapshot, waits: taskMetrics.waitQuantiles)
    }

    /// Why Redis can't be asked; nil when it was read, or is not to be.
    var unreadReason: String? {
        guard let status = redis?.current, status.snapshot == nil else { return nil }
        return status.lastError.map { "Redis can't be read: \($0)" } ?? "Redis was not read yet"
    }

    func scale(of name: QueueName) -> ScaleAnswer {
        guard let redis else { return .stale("redis.url is none: how many tasks are pending is not known") }
        guard let snapshot = redis.current.snapshot else { return .stale(unreadReason ?? "Redis was not read yet") }
        if clock.wall().nanoseconds(since: snapshot.takenAt) > staleNanoseconds {
            return .stale("the last scrape of Redis is too old")
        }
        guard let queue = snapshot.queues.first(where: { $0.name == name }) else { return .unknownQueue }
        guard let pending = queue.size[.pending], let active = queue.size[.active],
            let latency = queue.latencyNanoseconds
        else { return .stale("the queue could not be read whole") }
        let spans = taskMetrics.quantiles95(of: name)
        let load = loads.load(of: name)
        let desired = ScaleAdvice.desiredWorkers(
            arrivalsPerSecond: load?.arrivalsPerSecond, runSeconds: spans.run ?? load?.meanRunSeconds,
            targetUtilization: targetUtilization, pending: pending, active: active)
        return .advice(
            ScaleAdvice(
                pending: pending, oldestWaitSeconds: Double(latency) / 1e9,
                waitP95Seconds: spans.wait ?? sampledWaits.quantile95(of: name) ?? 0, desiredWorkers: desired))
    }
}
