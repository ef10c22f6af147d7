/// What the aggregator's bounds have cost so far.
package struct AggregatorLosses: Sendable, Equatable {
    /// Spans whose other half has not come.
    package var openProducers = 0
    package var openConsumers = 0
    /// Spans that were forgotten for lack of room before their other half came.
    package var evictedProducers: UInt64 = 0
    package var evictedConsumers: UInt64 = 0
    /// Spans counted under `_other`, because their queue, their task type or their error type found no room.
    package var queueOverflows: UInt64 = 0
    package var typeOverflows: UInt64 = 0
    package var errorTypeOverflows: UInt64 = 0
    /// Attempts that were forgotten for lack of room: a later one of theirs counts as a first one.
    package var evictedAttempts: UInt64 = 0
}
