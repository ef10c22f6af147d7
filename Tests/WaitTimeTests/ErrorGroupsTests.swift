import Model
import Testing

@testable import WaitTime

@Suite("Failed attempts by their task")
struct FailedAttemptsTests {
    private func reference(_ number: UInt64) -> SpanReference {
        SpanReference(trace: TraceID(high: 0, low: number), span: SpanID(number))
    }

    @Test("The newest attempt at a task is found by queue and id; what has no name is not recorded")
    func newest() {
        var attempts = FailedAttempts()
        #expect(attempts.span(queue: QueueName("q"), id: ForeignText("a")) == nil)
        attempts.record(queue: QueueName("q"), id: ForeignText("a"), span: reference(1))
        attempts.record(queue: QueueName("q"), id: ForeignText("a"), span: reference(2))
        attempts.record(queue: QueueName("q"), id: ForeignText(""), span: reference(3))
        attempts.record(queue: QueueName("q"), id: ForeignText("b"), span: .none)
        #expect(attempts.span(queue: QueueName("q"), id: ForeignText("a")) == reference(2))
        for (queue, id) in [("r", "a"), ("q", "b"), ("q", ""), ("a", "q")] {
            #expect(attempts.span(queue: QueueName(queue), id: ForeignText(id)) == nil)
        }
    }

    @Test("Of many tasks, most of the newest are known, each by its own span")
    func many() {
        var attempts = FailedAttempts()
        let all = 1...10_000 as ClosedRange<UInt64>
        for number in all {
            attempts.record(queue: QueueName("q"), id: ForeignText("\(number)"), span: reference(number))
        }
        let known = all.filter { number in
            let span = attempts.span(queue: QueueName("q"), id: ForeignText("\(number)"))
            #expect(span == nil || span == reference(number))
            return span != nil
        }
        #expect(attempts.bytes == 1024 * 40 && FailedAttempts().bytes == 0)
        #expect(known.count <= 1024 && known.suffix(100).count { $0 > 9_900 } > 80)
    }
}

@Suite("Errors in groups")
struct ErrorGroupsTests {
    private static let wall = WallTime(seconds: 1_800_000_000)
    private static let start = MonotonicTime(nanoseconds: 10_000 * 1_000_000_000)

    private var groups = ErrorGroups()

    @Test("The newest failed attempt at a task is known, however long the task's id is")
    mutating func attempts() {
        for id in ["a", String(repeating: "i", count: 1000)] {
            let task = TaskName(queue: QueueName("q"), id: Array(id.utf8))
            #expect(groups.attempt(at: task) == nil)
            groups.record(event("no", id: id, trace: 7), wall: Self.wall, now: Self.start)
            groups.record(event("no", .deadLetter, id: id, trace: 8), wall: Self.wall, now: Self.start)
            #expect(groups.attempt(at: task)?.span == SpanID(7))
        }
    }

    private func event(
        _ error: String, _ kind: ErrorEvent.Kind = .attempt, queue: String = "q", type: String = "t", id: String = "i",
        trace: UInt64? = nil, at: WallTime = wall, seenAt: WallTime? = nil
    ) -> ErrorEvent {
        Array(error.utf8).withUnsafeBytes { bytes in
            ErrorEvent(
                kind, queue: QueueName(queue), taskType: TaskType(type), error: bytes, taskID: ForeignText(id),
                span: trace.map { SpanReference(trace: TraceID(high: 0, low: $0), span: SpanID($0)) }, at: at,
                seenAt: seenAt)
        }
    }

    private func later(_ seconds: Int64) -> (wall: WallTime, now: MonotonicTime) {
        (Self.wall.advanced(by: .seconds(seconds)), Self.start.advanced(by: .seconds(seconds)))
    }

    private mutating func record(_ events: ErrorEvent..., after seconds: Int64 = 0) {
        let (wall, now) = later(seconds)
        for event in events { groups.record(event, wall: wall, now: now) }
    }

    private func all(after seconds: Int64 = 0) -> [ErrorGroup] { groups.all(at: later(seconds).now) }

    @Test("Attempts and dead letters that failed alike are one group, with its times and the newest example")
    mutating func grouping() {
        record(event("order 1 not found", id: "a", trace: 1))
        record(event("order 2 not found", .deadLetter, id: "b", trace: 2), after: 10)
        record(event("order 3 not found", id: "c", trace: 3), after: 20)
        let group = all(after: 20)
        #expect(group.count == 1 && group[0].error == ForeignText("order <n> not found"))
        #expect(group[0].attempts == 2 && group[0].deadLetters == 1)
        #expect(group[0].firstSeen == Self.wall && group[0].lastSeen == later(20).wall)
        #expect(
            group[0].example.error == ForeignText("order 3 not found") && group[0].example.taskID == ForeignText("c"))
        #expect(group[0].example.trace == TraceID(high: 0, low: 3) && group[0].example.span == SpanID(3))
    }

    @Test("Queues and types have groups of their own; the most frequent ones come first, then the newest")
    mutating func order() {
        record(event("e", queue: "a"), event("e", queue: "b"), event("e", queue: "b"), event("f", queue: "b"))
        record(event("e", queue: "a", type: "u"), after: 1)
        let names = all(after: 1).map { "\($0.queue.text) \($0.taskType.text) \($0.error.text)" }
        #expect(names == ["b t e", "a u e", "a t e", "b t f"])
    }

    @Test("An example that names its trace stays until another one does")
    mutating func traces() {
        record(event("e", id: "traced", trace: 1), event("e", id: "plain"))
        #expect(all()[0].example.taskID == ForeignText("traced"))
        record(event("e", id: "new", trace: 2))
        #expect(all()[0].example.taskID == ForeignText("new"))
    }

    @Test(
        "A dead letter's example has the span of the failed attempt, whichever comes first", arguments: [true, false])
    mutating func spanOfALetter(isAttemptFirst: Bool) throws {
        // The text of a panic differs between the span and Redis: they are in two groups.
        let attempt = event("panic", id: "a", trace: 7)
        let letter = event("panic [main.go:12]: nil map", .deadLetter, id: "a", trace: 3)
        if isAttemptFirst { record(attempt, letter) } else { record(letter, attempt) }
        record(event("panic", id: "b", trace: 8), event("panic", queue: "r", id: "a", trace: 9))
        let group = try #require(all().first { $0.deadLetters == 1 })
        #expect(
            group.example.taskID == ForeignText("a")
                && group.example.error == ForeignText("panic [main.go:12]: nil map"))
        #expect(group.example.trace == TraceID(high: 0, low: 7) && group.example.span == SpanID(7))
    }

    @Test("Without a span of its attempt, a dead letter has the trace that its task carries, and no span")
    mutating func letterWithoutAttempt() {
        record(event("e", .deadLetter, id: "a", trace: 3), event("e", id: "b"))
        #expect(all()[0].example.trace == TraceID(high: 0, low: 3) && all()[0].example.span == nil)
        // An attempt at another task does not take the place of the one whose example this is.
        record(event("f", id: "c", trace: 5))
        #expect(all().first { $0.deadLetters == 1 }?.example.span == nil)
        record(event("f", id: "a", trace: 6))
        #expect(all().first { $0.deadLetters == 1 }?.example.span == SpanID(6))
    }

    @Test("Without a trace in its task, a dead letter has that of its attempt")
    mutating func letterWithoutContext() {
        record(event("e", id: "a", trace: 6), event("e", .deadLetter, id: "a"), after: 5)
        #expect(all(after: 5)[0].example.trace == TraceID(high: 0, low: 6) && all(after: 5)[0].deadLetters == 1)
    }

    @Test("What has no name, no text and no span is counted all the same")
    mutating func unnamed() {
        record(event("", queue: "", type: ""))
        let group = all()[0]
        let unknown = ForeignText("_unknown")
        #expect(group.queue == unknown && group.taskType == unknown && group.error == unknown)
        #expect(group.example.trace == nil && group.example.error == ForeignText(""))
    }

    @Test("A group ends an hour after its last error; what was seen longer ago is not counted")
    mutating func expiry() {
        record(event("old"), event("new"))
        record(event("new"), after: 1800)
        #expect(all(after: 3600).map(\.error.text) == ["new", "old"])
        #expect(all(after: 3601).map(\.error.text) == ["new"])
        let bytes = groups.bytes
        groups.expire(at: later(3601).now)
        #expect(groups.bytes < bytes && groups.bytes > 0 && groups.leftOut == 0)
        groups.expire(at: later(5401).now)
        #expect(groups.bytes == 0)
        record(event("letter", .deadLetter, seenAt: Self.wall.advanced(by: .seconds(-3601))))
        #expect(groups.bytes == 0)
        record(event("letter", .deadLetter, seenAt: Self.wall.advanced(by: .seconds(-3000))))
        #expect(all().map(\.lastSeen) == [Self.wall.advanced(by: .seconds(-3000))])
        #expect(all(after: 601).isEmpty)
    }

    @Test("A time from the future is now")
    mutating func future() {
        record(event("e", .deadLetter, seenAt: Self.wall.advanced(by: .seconds(100))))
        #expect(all()[0].lastSeen == Self.wall && all(after: 3601).isEmpty)
    }

    @Test("A type with fifty errors within five minutes counts further ones under _other, and later has space again")
    mutating func types() {
        func text(_ number: Int) -> String { String(repeating: "x", count: number + 1) }
        for number in 0..<60 { record(event(text(number))) }
        #expect(all().count == 51 && groups.leftOut == 10)
        #expect(all().first { $0.error == ErrorGroups.other }?.attempts == 10)
        record(event("elsewhere", type: "u"))
        #expect(all().count == 52)
        record(event("fresh"), after: 301)
        #expect(all(after: 301).contains { $0.error == ForeignText("fresh") } && all(after: 301).count == 52)
    }

    @Test("Groups stay within their bytes: those seen longest ago go, and are counted")
    mutating func bytes() {
        groups = ErrorGroups(maxBytes: 100_000)
        for number in 0..<1000 { record(event("e", queue: "queue \(number)"), after: Int64(number)) }
        #expect(groups.bytes <= 100_000 && groups.bytes > 50_000)
        let found = all(after: 1000)
        #expect(groups.leftOut + UInt64(found.count) == 1000)
        #expect(found.contains { $0.queue == QueueName("queue 999") })
        #expect(!found.contains { $0.queue == QueueName("queue 0") })
    }

    @Test("Long names and texts are cut")
    mutating func long() {
        let long = String(repeating: "ü", count: 2000)
        record(event(long, queue: long, type: long, id: long))
        let group = all()[0]
        #expect(group.queue.bytes.count == 256 && group.taskType.bytes.count == 256 && group.error.bytes.count == 256)
        #expect(group.example.error.bytes.count == 512 && group.example.taskID.bytes.count == 256)
    }
}
