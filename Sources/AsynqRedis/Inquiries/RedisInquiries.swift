import Model
import Synchronization

/// Questions to Redis about one thing that a reader looks at, and the receivers of the answers.
enum RedisInquiry: Sendable {
    case task(TaskName, @Sendable (InquiryAnswer<TaskDetails?>) -> Void)
    case dueRetries(QueueName, @Sendable (InquiryAnswer<[DueRetry]>) -> Void)
    /// Asks which queues have a task of this id.
    case search(id: [UInt8], @Sendable (InquiryAnswer<TaskSearch>) -> Void)

    /// The share of a second's inquiries that it takes: of this kind `maxPerSecond / cost` are allowed.
    fileprivate var cost: Int { if case .search = self { RedisInquiries.maxPerSecond / 2 } else { 1 } }

    func refuse(_ refusal: InquiryRefusal) {
        switch self {
        case .task(_, let whenDone): whenDone(.refused(refusal))
        case .dueRetries(_, let whenDone): whenDone(.refused(refusal))
        case .search(_, let whenDone): whenDone(.refused(refusal))
        }
    }
}

package enum InquiryAnswer<Value: Sendable>: Sendable {
    case answer(Value)
    case refused(InquiryRefusal)
}

/// The reason why an inquiry has no answer.
package enum InquiryRefusal: Sendable, Equatable {
    /// Redis can't be read; the reason.
    case unavailable(String)
    /// Too many inquiries wait, or were made in this second.
    case busy
}

/// The inquiries that wait for the Redis thread, within limits: whatever people ask, the load on Redis stays small.
struct RedisInquiries {
    static let maxWaiting = 16
    static let maxPerSecond = 20
    /// The time for which the answer about the retries of a queue is used again.
    static let retriesLifetime = Duration.seconds(3)
    private static let maxKeptRetries = 32

    private var waiting: [RedisInquiry] = []
    private var second: UInt64 = 0
    private var countInSecond = 0
    private var retries: [QueueName: (at: MonotonicTime, list: [DueRetry])] = [:]
    private var isClosed = false

    /// Adds an inquiry. Returns nil where it waits now, else the refusal.
    mutating func add(_ inquiry: RedisInquiry, at now: MonotonicTime) -> InquiryRefusal? {
        if isClosed { return Self.stopping }
        let second = now.nanoseconds / 1_000_000_000
        if second != self.second {
            self.second = second
            countInSecond = 0
        }
        if waiting.count >= Self.maxWaiting || countInSecond + inquiry.cost > Self.maxPerSecond { return .busy }
        countInSecond += inquiry.cost
        waiting.append(inquiry)
        return nil
    }

    private static let stopping = InquiryRefusal.unavailable("the collector is stopping")

    var isEmpty: Bool { waiting.isEmpty }

    mutating func takeAll() -> [RedisInquiry] {
        defer { waiting = [] }
        return waiting
    }

    /// Returns those that wait; from now on each one is refused.
    mutating func close() -> [RedisInquiry] {
        isClosed = true
        return takeAll()
    }

    func knownRetries(of queue: QueueName, at now: MonotonicTime) -> [DueRetry]? {
        retries[queue].flatMap { now.duration(since: $0.at) < Self.retriesLifetime ? $0.list : nil }
    }

    mutating func keep(_ list: [DueRetry], of queue: QueueName, at now: MonotonicTime) {
        retries = retries.filter { now.duration(since: $0.value.at) < Self.retriesLifetime }
        if retries.count < Self.maxKeptRetries { retries[queue] = (now, list) }
    }
}
