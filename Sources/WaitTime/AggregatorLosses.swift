/// The losses that the aggregator's bounds have caused so far.
package struct AggregatorLosses: Sendable, Equatable {
    /// The number of spans whose other half has not come.
    package var openProducers = 0
    package var openConsumers = 0
    /// The number of spans that were forgotten for lack of space before their other half came.
    package var evictedProducers: UInt64 = 0
    package var evictedConsumers: UInt64 = 0
    /// The number of spans counted under `_other`, because their queue, their task type or their error type did not
    /// fit.
    package var queueOverflows: UInt64 = 0
    package var typeOverflows: UInt64 = 0
    package var errorTypeOverflows: UInt64 = 0
    /// The number of attempts that were forgotten for lack of space: a later one of their task counts as a first one.
    package var evictedAttempts: UInt64 = 0
}
