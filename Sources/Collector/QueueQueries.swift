import AsynqRedis
import Attention
import Model
import Platform
import Web

/// The questions of people and autoscalers about queues, answered from Redis and spans together.
struct QueueQueries: Sendable {
    let redis: RedisMonitor?
    let aggregator: LockedAggregator
    let sampledWaits: SampledWaits
    let loads: QueueLoads
    /// The age beyond which numbers are too old for an answer: three scrapes failed to come.
    let maxAge: Duration
    let targetUtilization: Double
    let clock: Clock

    /// The present knowledge of Redis.
    var reading: RedisReading {
        guard let status = redis?.current else { return .off }
        return status.snapshot.map { .read($0) } ?? .unread(status.lastError)
    }

    /// All queues that Redis or spans name, sorted.
    var rows: [QueueReading] { QueueReading.all(reading.snapshot, waits: aggregator.measuredWaits(or: sampledWaits)) }

    func scale(of name: QueueName) -> ScaleAnswer {
        question(about: name).answer(
            for: name, at: clock.wall(), maxAge: maxAge, targetUtilization: targetUtilization)
    }

    /// Returns the numbers from which the answer about a queue's scale is made. Waits that spans tell count more than
    /// those that were sampled in Redis, which misses the short ones.
    func question(about name: QueueName) -> ScaleQuestion {
        let spans = aggregator.quantiles95(of: name)
        return ScaleQuestion(
            redis: reading, waitP95Seconds: spans.wait ?? sampledWaits.quantile95(of: name), runP95Seconds: spans.run,
            load: loads.load(of: name))
    }
}
