import Model
import Platform
import Testing

@testable import AsynqRedis

@Suite("QueueFilter")
struct QueueFilterTests {
    private static func accepted(_ filter: QueueFilter, _ names: [String]) -> [String] {
        var compiled = filter.compiled()
        // Twice: the second answer comes from memory.
        var answers: [[String]] = [[], []]
        for turn in answers.indices {
            for name in names where compiled.accepts(QueueName(name)) { answers[turn].append(name) }
        }
        return answers[0] == answers[1] ? answers[0] : []
    }

    private static let names = ["default", "low", "email:eu", "email:us", "", "a\nb", "größe"]

    @Test("Without patterns every queue is looked at")
    func all() {
        #expect(Self.accepted(.all, Self.names) == Self.names)
    }

    @Test("Include picks, exclude takes away, both match anywhere in the name")
    func patterns() {
        #expect(Self.accepted(QueueFilter(include: "mail"), Self.names) == ["email:eu", "email:us"])
        #expect(Self.accepted(QueueFilter(exclude: "^email:"), Self.names) == ["default", "low", "", "a\nb", "größe"])
        #expect(
            Self.accepted(QueueFilter(include: "e", exclude: "us$"), Self.names) == ["default", "email:eu", "größe"])
        #expect(Self.accepted(QueueFilter(include: "^(low|default)$"), Self.names) == ["default", "low"])
    }

    @Test("A name that is no UTF-8 is matched by its bytes")
    func invalidText() {
        var filter = QueueFilter(include: "^a.b$").compiled()
        let isAccepted = filter.accepts(QueueName([0x61, 0xFF, 0x62]))
        #expect(isAccepted)
    }

    @Test("Broken patterns are told from good ones", arguments: ["(", "[a", "a**b(", "(?<n"])
    func invalid(pattern: String) throws {
        #expect(throws: LinearPattern.Invalid.self) { try QueueFilter.check(patterns: pattern) }
        try QueueFilter.check(patterns: "^a.*[bc]+(d|e)?$")
    }

    @Test("More names than are remembered are answered all the same")
    func manyNames() {
        var filter = QueueFilter(include: "7$").compiled()
        var accepted = 0
        for number in 0..<25_000 where filter.accepts(QueueName("queue \(number)")) { accepted += 1 }
        #expect(accepted == 2500)
    }
}
