import Model

/// Names one trouble: a condition may hold for many queues, cron entries or reasons at a time.
struct TroubleKey: Hashable, Sendable {
    let condition: Condition
    let queue: QueueName?
    /// The state, reason or cron entry, where the queue alone does not name the trouble.
    let detail: String
}

/// The findings of one evaluation.
struct Findings {
    /// Makes a sentence of the seconds for which the condition has held.
    typealias Sentence = (Double) -> String

    /// A condition that holds.
    struct Held {
        /// The time for which it had held already when it was first found, as far as a stamp tells.
        let before: Duration
        let sentence: Sentence
    }

    private(set) var held: [TroubleKey: Held] = [:]
    /// The troubles that can't be judged now, because a number is unknown: they stay as they were.
    private(set) var unknown: Set<TroubleKey> = []
    /// The conditions that can't be judged now at all.
    private(set) var unknownConditions: Set<Condition> = []

    /// Records a judgement; `holds` is nil where it can't be made.
    mutating func judge(
        _ condition: Condition, of queue: QueueName? = nil, detail: String = "", holds: Bool?, before: Duration = .zero,
        sentence: @escaping Sentence
    ) {
        if holds == false { return }
        let key = TroubleKey(condition: condition, queue: queue, detail: detail)
        if holds == true { held[key] = Held(before: before, sentence: sentence) } else { unknown.insert(key) }
    }

    /// Leaves all troubles of a condition as they were.
    mutating func leave(_ condition: Condition) { unknownConditions.insert(condition) }

    func isUnknown(_ key: TroubleKey) -> Bool {
        unknown.contains(key) || unknownConditions.contains(key.condition)
    }
}
