import Model

/// The newest dead letters of each queue that were seen, newest first. The Redis thread fills it.
struct NewestDeadLetters {
    /// The number of letters in all queues together.
    static let maxLetters = 5_000

    private var letters: [QueueName: [DeadLetter]] = [:]

    /// Adds letters, and removes those of queues that are not in `present`.
    mutating func add(_ new: [DeadLetter], present: [QueueName]) {
        if !new.isEmpty || letters.count > present.count {
            let names = Set(present)
            letters = letters.filter { names.contains($0.key) }
        }
        for letter in new {
            var known = letters[letter.task.queue] ?? []
            // The task was run again, and has died again.
            known.removeAll { $0.task.id == letter.task.id }
            let place = known.firstIndex { $0.archivedAt <= letter.archivedAt } ?? known.count
            known.insert(letter, at: place)
            letters[letter.task.queue] = Array(known.prefix(UnreadDeadLetters.maxPerQueue))
        }
        if !new.isEmpty { trim() }
    }

    /// Removes the oldest letters.
    private mutating func trim() {
        guard letters.values.reduce(0, { $0 + $1.count }) > Self.maxLetters else { return }
        letters = Dictionary(grouping: all.prefix(Self.maxLetters), by: \.task.queue)
    }

    /// All letters, newest first.
    var all: [DeadLetter] { letters.values.joined().sorted { $0.archivedAt > $1.archivedAt } }
}
