package import Model

/// The receivers of what the monitor finds, called on the Redis thread.
package struct RedisObservers: Sendable {
    /// Gets the snapshot of each good scrape.
    package var snapshot: @Sendable (RedisSnapshot) -> Void = { _ in }
    /// Gets the queues that a good scrape saw, before the filter.
    package var queueNames: @Sendable ([QueueName]) -> Void = { _ in }
    /// Gets the waits that the look-ahead samples show.
    package var waits: @Sendable ([WaitSample]) -> Void = { _ in }
    /// Gets the dead letters that were read, each once: those that have died since the start, and the newest of those
    /// before.
    package var deadLetters: @Sendable ([DeadLetter]) -> Void = { _ in }

    package init() {}
}
