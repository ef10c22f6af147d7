package import Model
import Platform
import Redis

/// The kinds of work of the monitor's thread, each at its own pace.
enum RedisWork: String, CaseIterable {
    case scrape
    case lookAhead = "look"
    case memorySampling = "memory sampling"
    case deadLetters = "reading of dead letters"
    case inquiries = "answering of questions"
}

/// The present knowledge of Redis.
package struct RedisStatus: Sendable {
    /// The snapshot; nil where the last scrape failed, so that old numbers are not shown as if they were new.
    package var snapshot: RedisSnapshot? { didSet { revision += 1 } }
    /// A number that rises with each change of the snapshot.
    package private(set) var revision: UInt64 = 0
    package var lastError: String?
    /// The number of scrapes so far, failed ones included.
    package var attempts: UInt64 = 0
    package var lastDurationSeconds: Double?
    /// The time of the last good scrape.
    package var lastSuccess: WallTime?
    package var errors: [ScrapeErrorReason: UInt64] = [:]
    /// The number of tasks that the look-ahead lost sight of.
    package var lostTasks: [LostTaskReason: UInt64] = [:]
    /// The number of arrivals in archives that came too fast for their messages to be read.
    package var skippedLetters: UInt64 = 0
    /// The result of the last sampling of memory.
    var memoryBytes: [QueueName: Int64] = [:]
    /// The log's record of scrapes that failed, and of parts that work of each kind could not read.
    var failures = CauseLog()
    var partialFailures: [RedisWork: CauseLog] = [:]

    package init() {}
}

extension RedisStatus {
    /// Records a sampling. A queue that it could not read has no number.
    mutating func recordMemory(_ bytes: [QueueName: Int64]) {
        memoryBytes = bytes
        guard var found = snapshot?.queues else { return }
        for index in found.indices { found[index].memoryBytes = bytes[found[index].name] }
        snapshot?.queues = found
    }
}

extension RedisSnapshot {
    /// The number of messages about single keys that go to the log.
    private static let maxMessages = 10

    /// Returns the first few messages, each once.
    static func messages(of errors: [RedisError]) -> [String] {
        Array(Set(errors.map(\.message)).sorted().prefix(maxMessages))
    }
}
