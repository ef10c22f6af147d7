import AsynqRedis
import Logging
import Metrics
import Model
import Platform
import Redis
import SpanReceiver
import WaitTime

/// The parts that exist only where `redis.url` names a Redis: the threads that read it, and their knowledge for the
/// receiver.
struct RedisSide: Sendable {
    let monitor: RedisMonitor
    let lookup: TaskLookup
    let knownTasks: FilteredTaskKnowledge
    let relinker: TraceRelinker
    let views: RedisViews
    /// The memory that the replies of Redis hold.
    let replyMemory: ByteBudget?
    private let isLookingAhead: Bool

    /// - Throws: `SystemError` where the system can't make another waker.
    init(
        _ redis: RedisMonitorOptions, _ options: CollectorOptions, clock: Clock, logger: Logger
    ) throws(SystemError) {
        monitor = try RedisMonitor(redis, clock: clock, logger: logger)
        lookup = try TaskLookup(
            redis.target, tasks: monitor.seenTasks, clock: clock, logger: logger,
            patience: options.lookupTimeout)
        knownTasks = FilteredTaskKnowledge(seen: monitor.seenTasks, lookup: lookup, filter: redis.filter)
        relinker = TraceRelinker(options.relink, source: knownTasks)
        views = RedisViews(
            monitor, maxLabelBytes: options.memory[.labels] - options.aggregator.maxSeriesBytes,
            hasAsynqmonNames: options.hasAsynqmonNames)
        replyMemory = redis.target.endpoint.replyMemory
        isLookingAhead = redis.lookAhead != nil
    }

    /// - Throws: `SystemError` where the system can't start another thread.
    func start() throws(SystemError) {
        try monitor.start()
        try lookup.start()
    }

    func awaitStop(until deadline: MonotonicTime) {
        monitor.awaitStop(until: deadline)
        lookup.awaitStop(until: deadline)
    }

    func setFilter(_ filter: QueueFilter) {
        monitor.use(filter)
        knownTasks.setFilter(filter)
    }

    /// The families read from Redis, which come first on the page.
    func queueSources(_ waits: SampledWaits) -> [any MetricSource] {
        let redis = RedisMetrics(views: views)
        return isLookingAhead ? [redis, LookAheadMetrics(views: views, waits: waits)] : [redis]
    }

    func relinkMetrics(_ deadLetterSpans: DeadLetterSpans?) -> RelinkMetrics {
        RelinkMetrics(relinker: relinker, lookup: lookup, monitor: monitor, deadLetterSpans: deadLetterSpans)
    }
}
