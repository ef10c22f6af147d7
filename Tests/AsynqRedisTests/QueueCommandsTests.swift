import Model
import Redis
import Testing

@testable import AsynqRedis

/// Hand-made replies to one queue's commands.
struct Replies {
    var counts: [RedisReply] = [1, 2, 3, 4, 5, 6].map { .integer($0) }
    var processed = RedisReply.string(Array("10".utf8))
    var failed = RedisReply.string(Array("3".utf8))
    var paused = RedisReply.null
    var next = RedisReply.array([text("id")])
    /// Of the two tasks deeper in a long list.
    var deeper: [RedisReply] = []
    var overdue: [RedisReply] = [.integer(0), .integer(0)]
    var expiredLeases = RedisReply.array([])
    var archive = RedisReply.array([])
    var groups = RedisReply.integer(0)
    var members = RedisReply.array([])
    var details: [RedisReply] = [pending(nil)]

    /// What the hash of a pending task says.
    static func pending(_ since: String?) -> RedisReply { .array([text("pending"), since.map { text($0) } ?? .null]) }
    static let taken = RedisReply.array([text("active"), .null])
    static let gone = RedisReply.array([.null, .null])

    static let now = WallTime(nanoseconds: 1_700_000_000_000_000_000)
    static let wrongType = RedisReply.error("WRONGTYPE Operation against a key holding the wrong kind of value")
    static let forbidden = RedisReply.error("NOPERM this user has no permissions to run the 'x' command")

    static func text(_ text: String) -> RedisReply { .string(Array(text.utf8)) }

    var arrivals: ArchiveArrivals?
    var isBaseline = false
    var lastProcessed: Int64?

    func scrape(lastGroupCount: Int64 = 0) -> (snapshot: QueueSnapshot, errors: [ScrapeErrorReason], details: Int) {
        // Another queue's commands stand before ours: replies are found by index.
        var pipeline = RedisPipeline()
        pipeline.add("PING")
        var scrape = QueueCommands(
            QueueName("q"), lastGroupCount: lastGroupCount, lastPending: deeper.isEmpty ? 31 : 32,
            lastProcessed: lastProcessed, arrivals: arrivals, isBaseline: isBaseline, at: Self.now)
        let counted = scrape.addCounts(to: &pipeline)
        var replies = [RedisReply.null] + counts + [processed, failed, paused, next] + deeper
        replies += overdue + [expiredLeases, archive, groups]
        if lastGroupCount <= QueueCommands.maxGroups { replies.append(members) }
        #expect(replies.count == pipeline.count)
        scrape.readCounts(counted, replies)
        var second = RedisPipeline()
        second.add("PING")
        let asked = scrape.addDetails(to: &second)
        let wanted = second.count - 1
        let missing = Array(repeating: RedisReply.null, count: max(0, wanted - details.count))
        scrape.readDetails(asked, [.null] + details + missing)
        return (scrape.snapshot, scrape.errors.map(\.reason), wanted)
    }
}

@Suite("What a queue's replies mean")
struct QueueCommandsTests {
    @Test("A healthy queue gives every number and no error")
    func healthy() {
        var replies = Replies()
        replies.details = [Replies.pending("1699999990000000000")]
        let (snapshot, errors, _) = replies.scrape()
        let states: [TaskState] = [.pending, .active, .scheduled, .retry, .archived, .completed, .aggregating]
        #expect(states.map { snapshot.size[$0] } == [1, 2, 3, 4, 5, 6, 0])
        #expect(snapshot.processed == 10 && snapshot.failed == 3 && snapshot.isPaused == false && snapshot.groups == 0)
        #expect(snapshot.latencyNanoseconds == 10_000_000_000)
        #expect(errors.isEmpty)
    }

    @Test("A key of the wrong type costs its own state only, and one count", arguments: 0..<6)
    func wrongType(index: Int) {
        var replies = Replies()
        replies.counts[index] = Replies.wrongType
        if index == 0 { replies.next = Replies.wrongType }
        let (snapshot, errors, _) = replies.scrape()
        #expect(errors == [.wrongType])
        for (position, counted) in StateKey.all.enumerated() {
            #expect(snapshot.size[counted.state] == (position == index ? nil : Int64(position + 1)))
        }
        #expect(snapshot.latencyNanoseconds == (index == 0 ? nil : 0))
    }

    @Test("Groups of the wrong type cost the groups and the sum over them")
    func wrongTypeOfGroups() {
        var replies = Replies()
        replies.groups = Replies.wrongType
        replies.members = Replies.wrongType
        let (snapshot, errors, _) = replies.scrape()
        #expect(errors == [.wrongType])
        #expect(snapshot.groups == nil && snapshot.size[.aggregating] == nil)
        #expect(snapshot.size[.pending] == 1)
    }

    @Test("A command that the ACL forbids costs its own sample, and a count")
    func forbidden() {
        var replies = Replies()
        replies.processed = Replies.forbidden
        #expect(replies.scrape().errors == [.permission])
        #expect(replies.scrape().snapshot.processed == nil && replies.scrape().snapshot.failed == 3)
        replies = Replies()
        replies.next = Replies.forbidden
        #expect(replies.scrape().errors == [.permission])
        #expect(replies.scrape().snapshot.latencyNanoseconds == nil)
        replies = Replies()
        replies.groups = .integer(2)
        replies.members = Replies.forbidden
        #expect(replies.scrape().errors == [.permission])
        #expect(replies.scrape().snapshot.groups == 2 && replies.scrape().snapshot.size[.aggregating] == nil)
        replies = Replies()
        replies.details = [Replies.forbidden]
        #expect(replies.scrape().errors == [.permission])
        #expect(replies.scrape().snapshot.latencyNanoseconds == nil)
    }

    @Test("As many expired leases as are read at most are too many to count orphans, and that is told")
    func expiredLeases() {
        func scrape(_ count: Int) -> (snapshot: QueueSnapshot, errors: [ScrapeErrorReason]) {
            let members = (0..<count).map { "t\($0)" }
            var replies = Replies()
            let second = "\(Replies.now.wholeSeconds - 60)"
            replies.expiredLeases = .array(members.flatMap { [Replies.text($0), Replies.text(second)] })
            replies.details = [Replies.pending(nil), .null, .array(members.map { Replies.text($0) })]
            let (snapshot, errors, _) = replies.scrape()
            return (snapshot, errors)
        }
        let some = scrape(QueueCommands.maxActive - 1)
        #expect(some.snapshot.orphaned == Int64(QueueCommands.maxActive - 1) && some.errors.isEmpty)
        let many = scrape(QueueCommands.maxActive)
        #expect(many.snapshot.orphaned == nil && many.errors == [.limit])
    }

    @Test("A counter that is missing is 0; one that is no number is left out and counted")
    func counters() {
        var replies = Replies()
        replies.processed = .null
        #expect(replies.scrape().snapshot.processed == 0)
        for text in ["abc", "", "1.5", "99999999999999999999", "-1", "-9223372036854775808"] {
            replies.processed = Replies.text(text)
            #expect(replies.scrape().snapshot.processed == nil, "\(text)")
            #expect(replies.scrape().errors == [.malformed], "\(text)")
            #expect(replies.scrape().snapshot.failed == 3)
        }
    }

    @Test("The latency of a clock ahead of ours is 0, of a missing pending_since 0, of nonsense absent and counted")
    func latency() {
        var replies = Replies()
        replies.details = [Replies.pending("1700000000000000001")]
        #expect(replies.scrape().snapshot.latencyNanoseconds == 0)
        replies.details = [Replies.pending(nil)]
        #expect(replies.scrape().snapshot.latencyNanoseconds == 0)
        replies.details = [Replies.pending("yesterday")]
        #expect(replies.scrape().snapshot.latencyNanoseconds == nil)
        #expect(replies.scrape().errors == [.malformed])
        replies.details = [Replies.pending("-9223372036854775808")]
        #expect(replies.scrape().snapshot.latencyNanoseconds == .max)
        replies.details = [Replies.wrongType]
        #expect(replies.scrape().errors == [.wrongType])
    }

    @Test("A task that a worker takes between the two round trips is passed over for the one behind it")
    func taken() {
        let second: Int64 = 1_000_000_000
        var replies = Replies()
        replies.next = .array(["d", "c", "b", "a"].map { Replies.text($0) })
        func latency(_ details: [RedisReply]) -> Int64? {
            replies.details = details
            return replies.scrape().snapshot.latencyNanoseconds
        }
        let waiting = Replies.pending("1699999990000000000")
        #expect(latency([Replies.taken, waiting]) == 10 * second)
        #expect(latency([Replies.taken, Replies.gone, Replies.taken, waiting]) == 10 * second)
        // Put back by a worker that stopped: pending, without a time.
        #expect(latency([Replies.taken, Replies.pending(nil), waiting]) == 0)
        // Archived by hand in the meantime: it keeps its time.
        #expect(latency([.array([Replies.text("archived"), Replies.text("1")]), waiting]) == 10 * second)
        // No state is no reason to distrust the time.
        #expect(latency([.array([.null, Replies.text("1699999990000000000")])]) == 10 * second)
        // The whole of a short list was taken, and the first four of a long one.
        replies.counts[0] = .integer(4)
        #expect(latency(Array(repeating: Replies.taken, count: 4)) == 0)
        replies.counts[0] = .integer(5)
        #expect(latency(Array(repeating: Replies.taken, count: 4)) == nil)
        // In a long queue, tasks further behind are asked about. If they are gone too, it is unknown.
        replies.deeper = [Replies.text("e"), Replies.text("f")]
        #expect(latency(Array(repeating: Replies.taken, count: 5) + [waiting]) == 10 * second)
        #expect(latency(Array(repeating: Replies.gone, count: 6)) == nil)
        #expect(replies.scrape().errors.isEmpty)
        // Where no worker takes tasks, one is enough.
        replies.counts[1] = .integer(0)
        #expect(replies.scrape().details == 7, "and which one is the next by then")
        replies.lastProcessed = 10
        #expect(replies.scrape().details == 1)
    }

    @Test("A next task without a hash has latency 0, as Asynq says, whether workers take tasks or not")
    func withoutHash() {
        let waiting = Replies.pending("1699999990000000000")
        var replies = Replies()
        replies.next = .array(["b", "a"].map { Replies.text($0) })
        func latency(_ details: RedisReply...) -> Int64? {
            replies.details = details
            #expect(replies.scrape().errors.isEmpty)
            return replies.scrape().snapshot.latencyNanoseconds
        }
        // Workers take tasks: it is the next one still, or it was taken and is done.
        #expect(latency(Replies.gone, waiting, Replies.text("a")) == 0)
        #expect(latency(Replies.gone, waiting, Replies.text("b")) == 10_000_000_000)
        #expect(latency(Replies.gone, Replies.gone, Replies.text("b")) == 0)
        #expect(latency(Replies.taken, Replies.gone, Replies.text("b")) == 0)
        // Its state says something else, and it is the next one all the same.
        #expect(
            latency(
                .array([Replies.text("archived"), Replies.text("1699999999000000000")]), waiting,
                Replies.text("a")) == 1_000_000_000)
        // All that were read are done, and others have come.
        replies.counts[0] = .integer(50)
        #expect(latency(Replies.gone, Replies.gone, Replies.text("z")) == nil)
        // No worker takes tasks.
        (replies.counts[1], replies.lastProcessed) = (.integer(0), 10)
        #expect(latency(Replies.gone) == 0)
    }

    @Test("An empty queue has latency 0 and asks for no details")
    func empty() {
        var replies = Replies()
        replies.next = .array([])
        let (snapshot, errors, details) = replies.scrape()
        #expect(snapshot.latencyNanoseconds == 0 && errors.isEmpty && details == 0)
    }

    @Test("Aggregating is the sum over the groups; one that can't be counted leaves it out")
    func aggregating() {
        var replies = Replies()
        replies.next = .array([])
        replies.groups = .integer(3)
        replies.members = .array(["a", "b", "c"].map { Replies.text($0) })
        replies.details = [.integer(1), .integer(20), .integer(300)]
        #expect(replies.scrape().snapshot.size[.aggregating] == 321)
        replies.details[1] = Replies.wrongType
        #expect(replies.scrape().snapshot.size[.aggregating] == nil)
        #expect(replies.scrape().errors == [.wrongType])
        replies.details = [.integer(.max), .integer(.max), .integer(1)]
        #expect(replies.scrape().snapshot.size[.aggregating] == .max, "no server's number crashes us")
    }

    @Test("Groups that vanished between two commands count as none")
    func vanishedGroups() {
        var replies = Replies()
        replies.groups = .integer(1)
        replies.members = .array([])
        #expect(replies.scrape().snapshot.size[.aggregating] == 0)
        #expect(replies.scrape().errors.isEmpty)
    }

    @Test("More groups than the cap are not summed up, and are not even asked for the next time")
    func groupsOverTheCap() {
        var replies = Replies()
        replies.groups = .integer(QueueCommands.maxGroups + 1)
        replies.members = .array([Replies.text("a")])
        let first = replies.scrape()
        #expect(first.errors == [.limit] && first.snapshot.size[.aggregating] == nil && first.details == 2)
        #expect(first.snapshot.groups == QueueCommands.maxGroups + 1)
        let second = replies.scrape(lastGroupCount: QueueCommands.maxGroups + 1)
        #expect(second.errors == [.limit] && second.snapshot.size[.aggregating] == nil)
        replies.groups = .integer(0)
        let third = replies.scrape(lastGroupCount: QueueCommands.maxGroups + 1)
        #expect(third.errors.isEmpty && third.snapshot.size[.aggregating] == 0)
    }

    @Test("An orphan is active and its lease has expired; a lease that outlived its task is none")
    func orphans() {
        var replies = Replies()
        replies.next = .array([])
        #expect(replies.scrape().snapshot.orphaned == 0)
        let leases = ["gone", "1699990000", "a", "1699990005", "b", "1699999990"]
        replies.expiredLeases = .array(leases.map { Replies.text($0) })
        replies.details = [.array(["x", "b", "a"].map { Replies.text($0) })]
        #expect(replies.scrape().snapshot.orphaned == 2)
        #expect(replies.scrape().snapshot.orphanedSince == WallTime(seconds: 1_699_990_005))
        replies.expiredLeases = Replies.wrongType
        #expect(replies.scrape().snapshot.orphaned == nil)
        #expect(replies.scrape().errors == [.wrongType])
    }

    @Test("Overdue tasks are those that Redis counts up to now")
    func overdue() {
        var replies = Replies()
        replies.next = .array([])
        replies.overdue = [.integer(4), .integer(5)]
        let first = ["1699990000", "5"].map { RedisReply.array([Replies.text("id"), Replies.text($0)]) }
        replies.details = first
        #expect(replies.scrape().snapshot.overdue == [.scheduled: 4, .retry: 5])
        #expect(
            replies.scrape().snapshot.overdueSince == [.scheduled: WallTime(seconds: 1_699_990_000)],
            "a score that is no moment of the last years tells nothing")
        replies.overdue[1] = Replies.forbidden
        #expect(replies.scrape().snapshot.overdue == [.scheduled: 4])
        #expect(replies.scrape().errors == [.permission])
    }

    @Test("What lies in an archive at the start is no arrival; what comes to a queue that is new is one")
    func deadLetters() {
        var replies = Replies()
        replies.next = .array([])
        replies.archive = .array([Replies.text("a"), Replies.text("1699999990")])
        #expect(replies.scrape().snapshot.deadLettered == 1)
        replies.isBaseline = true
        replies.details = [replies.archive]
        #expect(replies.scrape().snapshot.deadLettered == 0)
        replies.archive = Replies.wrongType
        replies.counts[4] = Replies.wrongType
        #expect(replies.scrape().snapshot.deadLettered == nil)
        #expect(replies.scrape().errors == [.wrongType])
    }

    @Test(
        "A queue is paused whatever its key holds; only the second of a pause says since when",
        arguments: [
            ("1699998200", 1_699_998_200), ("1700000000", 1_700_000_000), ("1700000001", nil), ("1", nil), ("0", nil),
            ("-5", nil), ("", nil), ("true", nil), ("1699998200.5", nil), ("1699998200000000000", nil),
            ("99999999999999999999", nil),
        ] as [(String, Int64?)])
    func pause(value: String, second: Int64?) {
        var replies = Replies()
        replies.paused = Replies.text(value)
        let (snapshot, errors, _) = replies.scrape()
        #expect(snapshot.isPaused == true && snapshot.pausedAt == second.map { WallTime(seconds: $0) } && errors == [])
    }

    @Test("A pause that can't be read is not known; a key of another type pauses the queue as Asynq sees it")
    func unreadPause() {
        var replies = Replies()
        #expect(replies.scrape().snapshot.isPaused == false && replies.scrape().snapshot.pausedAt == nil)
        replies.paused = Replies.wrongType
        #expect(replies.scrape().snapshot.isPaused == true && replies.scrape().errors == [])
        replies.paused = Replies.forbidden
        #expect(replies.scrape().snapshot.isPaused == nil && replies.scrape().errors == [.permission])
    }

    @Test(
        "A key that can't be read is named: those that workers need apart from the others",
        arguments: [Replies.wrongType, Replies.forbidden])
    func unreadable(reply: RedisReply) throws {
        let words = reply == Replies.wrongType ? "Redis: WRONGTYPE" : "Redis: NOPERM"
        for (index, key) in ["pending", "active", "scheduled", "retry", "archived"].enumerated() {
            var replies = Replies()
            replies.next = .array([])
            replies.counts[index] = reply
            let snapshot = replies.scrape().snapshot
            #expect(
                snapshot.workProblem?.text.hasPrefix("asynq:{q}:\(key): \(words)") == true && snapshot.problem == nil)
        }
        var replies = Replies()
        replies.next = .array([])
        (replies.processed, replies.failed, replies.groups) = (reply, Replies.text("abc"), reply)
        let (snapshot, _, _) = replies.scrape()
        let problem = try #require(snapshot.problem?.text)
        #expect(problem.hasPrefix("asynq:{q}:processed: \(words)") && problem.hasSuffix(", and 2 more keys"))
        #expect(snapshot.workProblem == nil)
        replies.counts = Array(repeating: reply, count: 6)
        let all = try #require(replies.scrape().snapshot.workProblem?.text)
        #expect(all.hasPrefix("asynq:{q}:pending: ") && all.hasSuffix(", and 4 more keys"))
    }

    @Test("Replies of kinds that no command gives crash nothing")
    func nonsense() {
        let kinds: [RedisReply] = [.null, .integer(.min), Replies.text("x"), .array([.null, .integer(1)]), .error("")]
        for kind in kinds {
            var replies = Replies()
            replies.counts = Array(repeating: kind, count: 6)
            (replies.processed, replies.failed, replies.paused) = (kind, kind, kind)
            (replies.next, replies.groups, replies.members) = (kind, kind, kind)
            (replies.expiredLeases, replies.archive, replies.overdue) = (kind, kind, [kind, kind])
            replies.details = Array(repeating: kind, count: 3)
            #expect(replies.scrape().snapshot.name == QueueName("q"))
        }
    }
}
