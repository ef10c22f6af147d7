package import Model

/// Who is told what the monitor finds, on the Redis thread.
package struct RedisObservers: Sendable {
    /// What each good scrape saw.
    package var snapshot: @Sendable (RedisSnapshot) -> Void = { _ in }
    /// The queues that a good scrape saw, before the filter.
    package var queueNames: @Sendable ([QueueName]) -> Void = { _ in }
    /// The waits that the look-ahead samples show.
    package var waits: @Sendable ([WaitSample]) -> Void = { _ in }
    /// The tasks that have died since the start, each once.
    package var deadLetters: @Sendable ([DeadLetter]) -> Void = { _ in }

    package init() {}
}
