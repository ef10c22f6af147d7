package import Model

/// Who is told what the monitor finds, on the Redis thread.
package struct RedisObservers: Sendable {
    /// What each good scrape saw.
    package var snapshot: @Sendable (RedisSnapshot) -> Void = { _ in }
    /// The queues that a good scrape saw, before the filter.
    package var queueNames: @Sendable ([QueueName]) -> Void = { _ in }
    /// The waits that the look-ahead samples show.
    package var waits: @Sendable ([WaitSample]) -> Void = { _ in }
    /// The dead letters that were read, each once: those that have died since the start, and the newest of those before.
    package var deadLetters: @Sendable ([DeadLetter]) -> Void = { _ in }

    package init() {}
}
