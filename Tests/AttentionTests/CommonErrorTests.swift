import Model
import Testing

@testable import Attention

@Suite("The error that dead letters have in common")
struct CommonErrorTests {
    private static let now = WallTime(seconds: Scene.wallStart)
    private let emails = QueueName("emails")

    private func letter(_ error: String, secondsAgo: Int64 = 10) -> DeadLetter {
        DeadLetter(
            task: TaskName(queue: emails, id: Array(error.utf8)), type: TaskType("t"),
            archivedAt: WallTime(seconds: Scene.wallStart - secondsAgo), errorMessage: ForeignText(error), retried: 25,
            lastFailedAt: nil, context: nil, isArrival: true)
    }

    private func commonest(_ letters: [DeadLetter]) -> CommonError? {
        CommonError.commonest(of: letters, at: Self.now)[emails]
    }

    @Test("Errors that differ in ids or numbers are one, told with one word for these; equal ones are told as they are")
    func alike() {
        let users = [
            "user 148b7047-32b6-4fb4-a5bb-0d6c6b1d6a3e not found",
            "user 7a0b7047-32b6-4fb4-a5bb-0d6c6b1d6a3f not found",
        ]
        #expect(commonest(users.map { letter($0) }) == CommonError(text: "user <id> not found", count: 2, total: 2))
        let same = [letter("smtp: 451 greylisted"), letter("smtp: 451 greylisted"), letter("dial tcp 10.0.0.1:25")]
        #expect(commonest(same) == CommonError(text: "smtp: 451 greylisted", count: 2, total: 3))
    }

    @Test("Letters older than the condition's window don't count")
    func window() {
        let letters = [letter("new", secondsAgo: 900), letter("old", secondsAgo: 901), letter("old", secondsAgo: 902)]
        #expect(commonest(letters) == CommonError(text: "new", count: 1, total: 1))
        #expect(commonest([letter("old", secondsAgo: 901)]) == nil)
    }

    private static let clauses: [(deaths: Int64, count: Int, total: Int, clause: String)] = [
        (1, 1, 1, ": `e`"), (20, 20, 20, ", all of them `e`"), (37, 19, 20, ", most of them `e`"),
        (38, 19, 20, "; 19 of the newest 20 say `e`"), (20, 10, 20, ", most often `e`"),
        (700, 20, 20, "; the newest 20 all say `e`"), (700, 1, 1, "; the newest says `e`"),
    ]

    @Test("No more is said of all letters than the newest ones tell", arguments: clauses.indices)
    func clause(index: Int) {
        let (deaths, count, total, clause) = Self.clauses[index]
        var scene = Scene()
        scene.run(seconds: 60) { snapshot, _ in snapshot.add("emails") }
        scene.letters[emails] = CommonError(text: "e", count: count, total: total)
        let troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add("emails") { $0.deadLettered = UInt64(deaths) }
        }
        #expect(troubles.sentences.first?.hasSuffix("s\(clause)") == true, "\(troubles.sentences)")
    }

    @Test("Backticks of an error are no marks of ours")
    func marks() {
        var scene = Scene()
        scene.run(seconds: 60) { snapshot, _ in snapshot.add("emails") }
        scene.letters[emails] = CommonError(text: "bad `column` in `x`", count: 1, total: 1)
        let troubles = scene.run(seconds: 5) { snapshot, _ in snapshot.add("emails") { $0.deadLettered = 1 } }
        #expect(troubles.sentences.first?.hasSuffix(": `bad 'column' in 'x'`") == true, "\(troubles.sentences)")
    }
}
