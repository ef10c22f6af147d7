package import Model
import Platform
import Redis

/// What the monitor's thread does, each at its own pace.
enum RedisWork: String, CaseIterable {
    case scrape
    case lookAhead = "look"
    case memorySampling = "memory sampling"
    case deadLetters = "reading of dead letters"
    case inquiries = "answering of questions"
}

/// What is known of Redis now.
package struct RedisStatus: Sendable {
    /// nil where the last scrape failed: old numbers are not shown as if they were new.
    package var snapshot: RedisSnapshot? { didSet { revision += 1 } }
    /// Rises with each change of the snapshot.
    package private(set) var revision: UInt64 = 0
    package var lastError: String?
    /// Scrapes tried so far, failed ones included.
    package var attempts: UInt64 = 0
    package var lastDurationSeconds: Double?
    /// When the last good scrape was taken.
    package var lastSuccess: WallTime?
    package var errors: [ScrapeErrorReason: UInt64] = [:]
    /// Tasks that the look-ahead lost sight of.
    package var lostTasks: [LostTaskReason: UInt64] = [:]
    /// Arrivals in archives that came too fast for their messages to be read.
    package var skippedLetters: UInt64 = 0
    /// What the last sampling of memory found.
    var memoryBytes: [QueueName: Int64] = [:]
    /// What the log was told of scrapes that failed, and of parts that work of each kind could not read.
    var failures = CauseLog()
    var partialFailures: [RedisWork: CauseLog] = [:]

    package init() {}
}

extension RedisStatus {
    /// Each queue has what the last sampling found; a queue that it could not read has nothing.
    mutating func noteMemory(_ bytes: [QueueName: Int64]) {
        memoryBytes = bytes
        guard var found = snapshot?.queues else { return }
        for index in found.indices { found[index].memoryBytes = bytes[found[index].name] }
        snapshot?.queues = found
    }
}

extension RedisSnapshot {
    /// Messages about single keys that go to the log.
    private static let maxMessages = 10

    /// The first few, each once.
    static func messages(of errors: [RedisError]) -> [String] {
        Array(Set(errors.map(\.message)).sorted().prefix(maxMessages))
    }
}
