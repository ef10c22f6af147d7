import Model
import Testing

@testable import AsynqRedis

@Suite("QueueFilter")
struct QueueFilterTests {
    private static func accepted(_ filter: QueueFilter, _ names: [String]) -> [String] {
        var compiled = filter.compiled()
        // Twice: the second answer comes from memory.
        let first = names.filter { compiled.accepts(QueueName($0)) }
        return first == names.filter { compiled.accepts(QueueName($0)) } ? first : []
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

    @Test("A name that is no UTF-8 is matched by what can be read of it")
    func invalidText() {
        var filter = QueueFilter(include: "^a.b$").compiled()
        let isAccepted = filter.accepts(QueueName([0x61, 0xFF, 0x62]))
        #expect(isAccepted)
    }

    @Test("Broken patterns are told from good ones", arguments: ["(", "[a", "a**b(", "(?<n"])
    func invalid(pattern: String) {
        #expect(!QueueFilter.isValid(pattern: pattern))
        #expect(QueueFilter.isValid(pattern: "^a.*[bc]+(d|e)?$"))
    }

    @Test("More names than are remembered are answered all the same")
    func manyNames() {
        var filter = QueueFilter(include: "7$").compiled()
        let accepted = (0..<25_000).filter { filter.accepts(QueueName("queue \($0)")) }
        #expect(accepted.count == 2500)
    }
}
