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

    func scale(of name: QueueName) -> ScaleAnswer {
        guard let redis else { return .stale("redis.url is none: how many tasks are pending is not known") }
        let status = redis.current
        guard let snapshot = status.snapshot else {
            return .stale(status.lastError.map { "Redis can't be read: \($0)" } ?? "Redis was not read yet")
        }
        if clock.wall().nanoseconds(since: snapshot.takenAt) > staleNanoseconds {
            return .stale("the last scrape of Redis is too old")
        }
        guard let queue = snapshot.queues.first(where: { $0.name == name }) else { return .unknownQueue }
        guard let pending = queue.size[.pending], let active = queue.size[.active], let latency = queue.latencyNanoseconds
        else { return .stale("the queue could not be read whole") }
        let spans = taskMetrics.quantiles95(of: name)
        let load = loads.load(of: name)
        let desired = ScaleAdvice.desiredWorkers(
            arrivalsPerSecond: load?.arrivalsPerSecond ?? 0, runSeconds: spans.run ?? load?.meanRunSeconds ?? 0,
            targetUtilization: targetUtilization, openTasks: pending &+ active)
        return .advice(
            ScaleAdvice(
                pending: pending, oldestWaitSeconds: Double(latency) / 1e9,
                waitP95Seconds: spans.wait ?? sampledWaits.quantile95(of: name) ?? 0, desiredWorkers: desired))
    }
}
