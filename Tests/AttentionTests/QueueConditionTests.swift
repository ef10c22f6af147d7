import Model
import Testing

@testable import Attention

@Suite("What needs attention: queues")
struct QueueConditionTests {
    private var scene = Scene()

    @Test("Where all is well, nothing is told")
    mutating func well() {
        let troubles = scene.run(seconds: 3600) { snapshot, seconds in
            snapshot.add("emails") {
                $0.size[.pending] = 3
                $0.processed = Int64(10 * seconds)
                $0.completed = Int64(10 * seconds)
            }
            snapshot.serve(busy: 5)
        }
        #expect(troubles.isEmpty)
    }

    @Test(
        "Numbers as large as their type end nothing, and what is told of them is finite", arguments: TaskState.allCases)
    func largest(state: TaskState) {
        for before in [0, Int64.max] {
            var scene = Scene()
            let troubles = scene.run(seconds: 900) { snapshot, second in
                snapshot.add("emails") { queue in
                    let isLate = second >= 450
                    queue.size[state] = isLate ? .max : before
                    queue.overdue[state] = isLate ? .max : before
                    (queue.processed, queue.completed, queue.failed) = isLate ? (.max, .max, .max) : (0, 0, 0)
                    queue.deadLettered = isLate ? .max : 0
                    (queue.groups, queue.orphaned, queue.memoryBytes) = (.max, .max, .max)
                    (queue.latencyNanoseconds, queue.unreadDeadLetters) = (.max, .max)
                }
                snapshot.serve()
            }
            #expect(!troubles.isEmpty)
        }
    }

    @Test("A name can't break out of its sentence")
    mutating func hostileName() {
        let troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add("a\n\u{1B}[31m\u{202E}b") {
                $0.isPaused = true
                $0.size[.pending] = 1
            }
        }
        #expect(troubles.sentences == ["a \\u{1B}[31m\\u{202E}b has been paused for 0 s; 1 task waits"])
    }

    @Test("A paused queue with tasks is told of at once, as a warning after half an hour")
    mutating func paused() {
        func pause(_ snapshot: inout RedisSnapshot, _ pending: Int64) {
            snapshot.add("imports") {
                $0.isPaused = true
                $0.size[.pending] = pending
                // The tasks of a paused queue are old, and that is no news.
                $0.latencyNanoseconds = 3_600_000_000_000
            }
            snapshot.serve()
        }
        var troubles = scene.run(seconds: 5) { snapshot, _ in pause(&snapshot, 1) }
        #expect(troubles.sentences == ["imports has been paused for 0 s; 1 task waits"])
        #expect(troubles[0].severity == .info && !troubles[0].isFiring)
        troubles = scene.run(seconds: 1800) { snapshot, _ in pause(&snapshot, 5377) }
        #expect(troubles.sentences == ["imports has been paused for 30 min; 5,377 tasks wait"])
        #expect(troubles[0].severity == .warning && troubles[0].isFiring && troubles[0].queue == QueueName("imports"))
        #expect(troubles[0].since == WallTime(seconds: Scene.wallStart + 5))
        // For a quarter of an hour after the pause the tasks may be old.
        troubles = scene.run(seconds: 600) { snapshot, _ in
            snapshot.add("imports") {
                $0.size[.pending] = 10
                $0.latencyNanoseconds = 600_000_000_000
            }
        }
        #expect(troubles.only(.oldestPendingTooOld) == nil && troubles.only(.queuePausedWithBacklog) == nil)
    }

    @Test("A pause tells its length from Redis at once, and fires if it is old, as after a restart of the collector")
    mutating func pausedBefore() {
        func pause(_ snapshot: inout RedisSnapshot, _ second: Int64?, offset: Duration? = nil) {
            snapshot.add("imports") {
                $0.isPaused = true
                $0.pausedAt = second.map { WallTime(seconds: $0) }
                $0.size[.pending] = 5377
            }
            snapshot.clockOffset = offset
        }
        let begin = Scene.wallStart + 5 - 1800
        var troubles = scene.run(seconds: 5) { snapshot, _ in pause(&snapshot, begin) }
        #expect(troubles.sentences == ["imports has been paused for 30 min; 5,377 tasks wait"])
        #expect(troubles[0].isFiring && troubles[0].severity == .warning)
        #expect(troubles[0].since == WallTime(seconds: begin))
        // Paused again between two scrapes: another pause.
        troubles = scene.run(seconds: 5) { snapshot, _ in pause(&snapshot, Scene.wallStart + 7) }
        #expect(troubles.sentences == ["imports has been paused for 3 s; 5,377 tasks wait"])
        // The stamps of clients are compared with Redis' clock, which is an hour ahead of ours.
        var ahead = Scene()
        troubles = ahead.run(seconds: 5) { snapshot, _ in
            pause(&snapshot, Scene.wallStart + 5 + 3600 - 120, offset: .seconds(3600))
        }
        #expect(troubles.sentences == ["imports has been paused for 2 min; 5,377 tasks wait"])
        #expect(troubles[0].severity == .info && troubles[0].since == WallTime(seconds: Scene.wallStart + 5 - 120))
        // A stamp from the future, and none.
        var unknown = Scene()
        troubles = unknown.run(seconds: 60) { snapshot, _ in pause(&snapshot, Scene.wallStart + 9000) }
        #expect(troubles.sentences == ["imports has been paused for 55 s; 5,377 tasks wait"])
    }

    @Test("Tasks that come to a queue which has been paused for long are told of at once; the alert has its time")
    mutating func pausedEmptyBefore() {
        func pause(_ snapshot: inout RedisSnapshot, _ pending: Int64) {
            snapshot.add("q") {
                $0.isPaused = true
                $0.pausedAt = WallTime(seconds: Scene.wallStart - 7200)
                $0.size[.pending] = pending
            }
        }
        #expect(scene.run(seconds: 60) { snapshot, _ in pause(&snapshot, 0) }.isEmpty)
        let troubles = scene.run(seconds: 5) { snapshot, _ in pause(&snapshot, 3) }
        #expect(troubles.sentences == ["q has been paused for 2 h; 3 tasks wait"])
        #expect(!troubles[0].isFiring && troubles[0].since == WallTime(seconds: Scene.wallStart + 65))
    }

    @Test("An empty paused queue is no trouble; due tasks in it count, and the pause is told in full")
    mutating func pausedEmpty() {
        var troubles = scene.run(seconds: 600) { snapshot, _ in snapshot.add("q") { $0.isPaused = true } }
        #expect(troubles.isEmpty)
        troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add("q") {
                $0.isPaused = true
                $0.overdue[.scheduled] = 2
            }
        }
        #expect(troubles.sentences == ["q has been paused for 10 min; 2 tasks wait"])
    }

    @Test("The oldest task: more than thirty times the objective, for two minutes")
    mutating func oldest() {
        func old(_ snapshot: inout RedisSnapshot, _ seconds: Int64) {
            snapshot.add("q") {
                $0.size[.pending] = 2
                $0.latencyNanoseconds = seconds * 1_000_000_000
            }
        }
        #expect(scene.run(seconds: 300) { snapshot, _ in old(&snapshot, 300) }.only(.oldestPendingTooOld) == nil)
        var trouble = scene.run(seconds: 120) { snapshot, _ in old(&snapshot, 301) }.only(.oldestPendingTooOld)
        #expect(trouble?.severity == .warning && trouble?.isFiring == false)
        trouble = scene.run(seconds: 5) { snapshot, _ in old(&snapshot, 420) }.only(.oldestPendingTooOld)
        #expect(trouble?.severity == .critical && trouble?.isFiring == true)
        #expect(trouble?.sentence == "q: the next task has been ready to run for 7 min; 2 tasks wait")
    }

    @Test("What a stamp tells fires at the first look: the age of the next task, the time of a run")
    mutating func firstLook() {
        let troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add("q") {
                $0.size[.pending] = 500
                $0.latencyNanoseconds = 7200 * 1_000_000_000
                $0.longestRunning = .seconds(5400)
            }
            snapshot.add("young") {
                $0.size[.pending] = 1
                $0.latencyNanoseconds = 419 * 1_000_000_000
                $0.longestRunning = .seconds(3899)
            }
        }
        let now = Scene.wallStart + 5
        let oldest = troubles.filter { $0.condition == .oldestPendingTooOld }
        #expect(oldest.sentences.first == "q: the next task has been ready to run for 2 h; 500 tasks wait")
        #expect(oldest.map(\.since) == [now - 6900, now - 119].map { WallTime(seconds: $0) })
        #expect(oldest.map(\.isFiring) == [true, false] && oldest.map(\.severity) == [.critical, .warning])
        let running = troubles.filter { $0.condition == .taskRunsTooLong }
        #expect(running.map(\.since) == [now - 1800, now - 299].map { WallTime(seconds: $0) })
        #expect(running.map(\.isFiring) == [true, false])
    }

    @Test("After a pause, old tasks alert no sooner than the rule: two minutes after the quarter of an hour")
    mutating func oldAfterPause() {
        func old(_ snapshot: inout RedisSnapshot, isPaused: Bool) {
            snapshot.add("q") {
                $0.isPaused = isPaused
                $0.size[.pending] = 9
                $0.latencyNanoseconds = 7200 * 1_000_000_000
            }
        }
        scene.run(seconds: 60) { snapshot, _ in old(&snapshot, isPaused: true) }
        #expect(scene.run(seconds: 900) { snapshot, _ in old(&snapshot, isPaused: false) }.isEmpty)
        var trouble = scene.run(seconds: 115) { snapshot, _ in old(&snapshot, isPaused: false) }
            .only(.oldestPendingTooOld)
        #expect(trouble?.isFiring == false)
        trouble = scene.run(seconds: 5) { snapshot, _ in old(&snapshot, isPaused: false) }.only(.oldestPendingTooOld)
        #expect(trouble?.isFiring == true)
    }

    @Test("For a minute of looking, no trouble does not mean that all is well")
    mutating func early() {
        scene.run(seconds: 600, .unread(nil))
        #expect(!scene.hasLookedLongEnough)
        scene.run(seconds: 60) { snapshot, _ in snapshot.add("q") }
        #expect(!scene.hasLookedLongEnough, "55 s")
        scene.run(seconds: 5) { snapshot, _ in snapshot.add("q") }
        #expect(scene.hasLookedLongEnough)
    }

    @Test("Tasks that are due and leases that have expired tell by their scores for how long, at the first look")
    mutating func scores() {
        let now = Scene.wallStart
        let troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add("late") {
                ($0.overdue[.scheduled], $0.overdueSince[.scheduled]) = (3, WallTime(seconds: now - 3 * 3600))
                ($0.orphaned, $0.orphanedSince) = (1, WallTime(seconds: now - 3 * 3600))
            }
            snapshot.add("just") {
                ($0.overdue[.retry], $0.overdueSince[.retry]) = (1, WallTime(seconds: now - 20))
                ($0.orphaned, $0.orphanedSince) = (1, WallTime(seconds: now - 3))
            }
        }
        #expect(
            troubles.sentences == [
                "late: 3 scheduled tasks are due, and no server has moved them to pending for 3 h",
                "late: 1 task lost its worker, and no server has taken it back",
            ])
        #expect(troubles.map(\.severity) == [.critical, .warning] && troubles.allSatisfy(\.isFiring))
        #expect(troubles.allSatisfy { $0.since == WallTime(seconds: now - 3 * 3600) })
    }

    @Test(
        "A name can be seen in its sentence, whatever its characters are",
        arguments: [
            ("   ", "\\u{20}\\u{20}\\u{20}"), ("\u{2800}", "\\u{2800}"), ("\u{A0}", "\\u{A0}"), ("", "(no name)"),
        ])
    mutating func names(name: String, shown: String) {
        let troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add(name) { ($0.size[.pending], $0.latencyNanoseconds) = (1, 7_200_000_000_000) }
        }
        #expect(
            troubles.only(.oldestPendingTooOld)?.sentence
                == "\(shown): the next task has been ready to run for 2 h; 1 task waits")
    }

    @Test("A queue with a key of another type says why it has no numbers, at once")
    mutating func unreadable() {
        var troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add("bad") {
                $0.size[.pending] = nil
                $0.problem = ReadProblem(
                    key: ForeignText("asynq:{bad}:groups"), cause: "WRONGTYPE Operation\n\u{202E}")
            }
            snapshot.add("good")
        }
        #expect(troubles.sentences == ["bad can't be read in full: asynq:{bad}:groups: WRONGTYPE Operation \\u{202E}"])
        #expect(troubles[0].severity == .info && troubles[0].queue == QueueName("bad"))
        #expect(troubles[0].condition.alert == nil)
        troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add("bad") {
                $0.workProblem = ReadProblem(key: ForeignText("asynq:{bad}:pending"), cause: "Redis: WRONGTYPE")
            }
        }
        #expect(troubles.sentences == ["bad can't be read in full: asynq:{bad}:pending: Redis: WRONGTYPE"])
        #expect(troubles[0].severity == .warning && troubles[0].isFiring && troubles[0].condition.alert == nil)
        troubles = scene.run(seconds: 5) { snapshot, _ in snapshot.add("bad") }
        #expect(troubles.isEmpty)
    }

    private static let sameCauses: [(cause: @Sendable (String) -> String, shown: String)] = [
        (
            { _ in "Redis: NOPERM this user has no permissions to run the 'zrange' command" },
            "Redis: NOPERM this user has no permissions to run the 'zrange' command"
        ),
        (
            { "Redis: ERR unknown command 'ZRANGE', with args beginning with: 'asynq:{\($0)}:lease' '0' '7'" },
            "Redis: ERR unknown command 'ZRANGE', with args beginning with: 'asynq:{q0}:lease' '0' '7'"
        ),
        ({ _ in "Redis: WRONGTYPE no" }, "Redis: WRONGTYPE no"),
    ]

    @Test(
        "What keeps many queues from being read for the same cause is one trouble, which names it and their number",
        arguments: sameCauses.indices)
    mutating func unreadableTogether(index: Int) {
        let (cause, shown) = Self.sameCauses[index]
        func queues(_ count: Int, unreadable: Int) -> [Trouble] {
            scene.run(seconds: 5) { snapshot, _ in
                for number in 0..<count {
                    snapshot.add("q\(number)") { queue in
                        guard number < unreadable else { return }
                        queue.workProblem = ReadProblem(
                            key: ForeignText("asynq:{q\(number)}:lease"), cause: cause("q\(number)"), otherKeys: 1)
                    }
                }
                snapshot.add("other") {
                    $0.workProblem = ReadProblem(key: ForeignText("asynq:{other}:retry"), cause: "Redis: no")
                }
            }
        }
        let other = "other can't be read in full: asynq:{other}:retry: Redis: no"
        let key = "the first key is asynq:{q0}:lease"
        var troubles = queues(5000, unreadable: 5000)
        #expect(troubles.sentences == ["5,000 of 5,001 queues can't be read in full: \(shown); \(key)", other])
        #expect(troubles[0].queue == nil && troubles[0].subject == .redis && troubles[0].isGlobal)
        #expect(troubles[0].severity == .warning && troubles[0].isFiring)
        #expect(!troubles[1].isGlobal && troubles[1].subject == .queue)
        troubles = queues(5, unreadable: 2)
        #expect(troubles.sentences == ["q0, q1 can't be read in full: \(shown); \(key)", other])
        #expect(queues(5, unreadable: 1).map(\.queue) == [QueueName("other"), QueueName("q0")])
        #expect(queues(5, unreadable: 0).sentences == [other])
    }

    @Test("The cause that all queues have says so, and each of them is concerned")
    mutating func allUnreadable() {
        let problem = ReadProblem(key: ForeignText("k"), cause: "no")
        let troubles = scene.run(seconds: 5) { snapshot, _ in
            for name in ["a", "b", "c", "d"] { snapshot.add(name) { $0.problem = problem } }
        }
        #expect(troubles.sentences == ["All 4 queues can't be read in full: no; the first key is k"])
        var snapshot = QueueSnapshot(name: QueueName("a"))
        func isConcerned() -> Bool {
            troubles[0].concerns(QueueReading(name: snapshot.name, snapshot: snapshot, wait: nil))
        }
        #expect(!isConcerned())
        snapshot.workProblem = problem
        #expect(!isConcerned())
        snapshot.problem = problem
        #expect(isConcerned())
    }

    @Test("A burnt budget: more than 14.4 % late in the hour and now, of a hundred tasks")
    mutating func budget() {
        func waits(_ all: UInt64, _ slow: UInt64) -> [QueueName: MeasuredWaits] {
            [QueueName("q"): MeasuredWaits(quantiles: [1, 2, 3], counts: WaitCounts(all: all, slow: slow))]
        }
        for step in 0..<60 as Range<UInt64> {
            let troubles = scene.run(seconds: 5, waits: waits(10 * step, 1 * step)) { snapshot, _ in snapshot.add("q") }
            #expect(troubles.only(.waitBudgetBurningFast) == nil)
        }
        var found: Trouble?
        for step in 0..<60 as Range<UInt64> {
            let counts = waits(600 + 10 * step, 60 + 3 * step)
            found = scene.run(seconds: 5, waits: counts) { snapshot, _ in snapshot.add("q") }
                .only(.waitBudgetBurningFast)
        }
        #expect(found?.severity == .critical && found?.isFiring == true)
        #expect(
            found?.sentence.hasPrefix("q: 20 % of the tasks of the last 9 min waited longer than 10 s, and 30 %")
                == true)
    }

    @Test("Of the first minutes one share is told, since both windows are the same")
    mutating func budgetAtFirst() {
        var found: Trouble?
        for step in 0..<66 as Range<UInt64> {
            let counts = MeasuredWaits(quantiles: [1, 2, 3], counts: WaitCounts(all: 10 * step, slow: 3 * step))
            found = scene.run(seconds: 5, waits: [QueueName("q"): counts]) { snapshot, _ in snapshot.add("q") }
                .only(.waitBudgetBurningFast)
        }
        #expect(
            found?.sentence == "q: 30 % of the tasks of the last 5 min waited longer than 10 s; the objective is 1 %")
    }

    @Test("A backlog that grows tells how fast, and that it will not drain")
    mutating func growing() {
        let troubles = scene.run(seconds: 900) { snapshot, seconds in
            snapshot.add("reports") {
                $0.size[.pending] = Int64(4 * seconds)
                $0.processed = Int64(seconds)
                $0.completed = Int64(seconds)
            }
            snapshot.serve(busy: 3, concurrency: 3)
        }
        let trouble = troubles.only(.backlogGrowing)
        #expect(
            trouble?.sentence
                == "reports: the backlog of 3,600 tasks grows by 4/s, 3 of 3 workers busy, drains never at this rate")
        #expect(trouble?.severity == .warning && trouble?.condition.alert == nil)
        let shrinking = scene.run(seconds: 300) { snapshot, seconds in
            snapshot.add("reports") { $0.size[.pending] = 4500 - Int64(seconds) }
            snapshot.serve()
        }
        #expect(shrinking.only(.backlogGrowing) == nil)
    }

    @Test("A burst that has begun to drain is told as draining, though there are more than five minutes ago")
    mutating func burst() throws {
        let troubles = scene.run(seconds: 240) { snapshot, seconds in
            // 600 at once after two minutes, then 2 a second are done.
            snapshot.add("reports") { $0.size[.pending] = seconds < 120 ? 0 : 840 - 2 * Int64(seconds) }
            snapshot.serve(busy: 3, concurrency: 3)
        }
        #expect(troubles.only(.backlogGrowing) == nil)
        let backlog = try #require(Backlog(of: QueueName("reports"), scene.history))
        guard case .drains(let left) = backlog.outlook else {
            Issue.record("expected a drain, got \(backlog.outlook)")
            return
        }
        #expect(abs(left - Double(backlog.pending) / 2) < 5)
    }

    @Test("Dead letters tell how many, and of what most died; a quarter of an hour later they are over")
    mutating func deadLetters() {
        scene.run(seconds: 60) { snapshot, _ in snapshot.add("emails") }
        scene.letters[QueueName("emails")] = CommonError(text: "smtp: 451 greylisted", count: 19, total: 20)
        var troubles = scene.run(seconds: 15) { snapshot, _ in snapshot.add("emails") { $0.deadLettered = 37 } }
        // It has been looking for 70 s.
        #expect(troubles.sentences == ["emails: 37 dead letters in 70 s, most of them `smtp: 451 greylisted`"])
        #expect(troubles[0].isFiring && troubles[0].severity == .warning)
        troubles = scene.run(seconds: 910) { snapshot, _ in snapshot.add("emails") { $0.deadLettered = 37 } }
        #expect(troubles.isEmpty)
    }

    @Test("A retry backlog: above fifty, and grown by a fifth of itself in a quarter of an hour")
    mutating func retries() {
        func retry(_ snapshot: inout RedisSnapshot, _ count: Int64) { snapshot.add("q") { $0.size[.retry] = count } }
        scene.run(seconds: 900) { snapshot, _ in retry(&snapshot, 100) }
        #expect(scene.run(seconds: 300) { snapshot, _ in retry(&snapshot, 125) }.isEmpty)
        let trouble = scene.run(seconds: 305) { snapshot, _ in retry(&snapshot, 126) }.only(.retryBacklogGrowing)
        #expect(trouble?.sentence == "q: 126 tasks wait for a retry, 26 more than 15 min ago")
        #expect(trouble?.isFiring == true)
        var small = Scene()
        #expect(small.run(seconds: 900) { retry(&$0, Int64($1 / 20)) }.isEmpty)
    }

    @Test("The archive: nine tenths full for a quarter of an hour")
    mutating func archive() {
        var trouble = scene.run(seconds: 905) { snapshot, _ in snapshot.add("q") { $0.size[.archived] = 9001 } }.only(
            .archiveNearlyFull)
        #expect(trouble?.isFiring == true && trouble?.severity == .warning)
        #expect(trouble?.sentence.hasPrefix("q: the archive is 90 % full") == true)
        trouble = scene.run(seconds: 5) { snapshot, _ in snapshot.add("q") { $0.size[.archived] = 9000 } }.only(
            .archiveNearlyFull)
        #expect(trouble == nil)
    }

    @Test("A queue that no server serves; not where it is paused, empty, or where the servers can't be read")
    mutating func unserved() {
        let troubles = scene.run(seconds: 305) { snapshot, _ in
            for name in ["tasks", "paused", "empty"] {
                snapshot.add(name) {
                    $0.size[.pending] = name == "empty" ? 0 : 53
                    $0.isPaused = name == "paused"
                }
            }
            snapshot.servers = []
        }
        let unserved = troubles.filter { $0.condition == .queueWithoutConsumers }
        #expect(unserved.sentences == ["tasks: no live server has served it for 5 min; 53 tasks wait"])
        #expect(unserved[0].severity == .critical && unserved[0].isFiring)
        let unread = scene.run(seconds: 5) { snapshot, _ in snapshot.add("tasks") { $0.size[.pending] = 53 } }
        #expect(unread.only(.queueWithoutConsumers) != nil, "what can't be judged stays as it was")
        var fresh = Scene()
        #expect(fresh.run(seconds: 600) { snapshot, _ in snapshot.add("q") { $0.size[.pending] = 9 } }.isEmpty)
    }

    @Test("A queue that stands still: tasks, servers, and no attempt that ended")
    mutating func stalled() {
        func stall(_ snapshot: inout RedisSnapshot, _ processed: Int64) {
            snapshot.add("q") {
                $0.size[.pending] = 12
                $0.processed = processed
                $0.completed = processed
            }
            snapshot.serve()
        }
        scene.run(seconds: 300) { stall(&$0, Int64($1)) }
        #expect(scene.run(seconds: 290) { snapshot, _ in stall(&snapshot, 300) }.isEmpty)
        let trouble = scene.run(seconds: 930) { snapshot, _ in stall(&snapshot, 300) }.only(.queueStalled)
        #expect(trouble?.severity == .critical && trouble?.isFiring == true)
        #expect(trouble?.sentence == "q: 12 tasks wait, 1 server serves it, and nothing has been finished for 20 min")
        #expect(scene.run(seconds: 5) { snapshot, _ in stall(&snapshot, 301) }.isEmpty)
    }

    @Test("Orphans, tasks that run for more than an hour, and a queue that Redis' list lacks")
    mutating func others() {
        let troubles = scene.run(seconds: 305) { snapshot, _ in
            snapshot.add("q") {
                $0.orphaned = 3
                $0.longestRunning = .seconds(3601)
                $0.isRegistered = false
                $0.size[.active] = 4
            }
            snapshot.serve(busy: 4)
        }
        #expect(troubles.allSatisfy { $0.isFiring && $0.severity == .warning })
        #expect(
            troubles.sentences == [
                "q: 3 tasks lost their worker, and no server has taken them back",
                "q: a task has been running for 60 min",
                "q: Redis' list asynq:queues lacks it, so Asynq's own tools do not see its 4 tasks",
            ])
        #expect(scene.run(seconds: 5) { snapshot, _ in snapshot.add("q") }.isEmpty)
    }

    @Test("Overdue tasks whose number never falls: a forwarder that lives empties the set again and again")
    mutating func overdue() {
        func overdue(_ snapshot: inout RedisSnapshot, _ count: Int64, isPaused: Bool = false) {
            snapshot.add("q") {
                $0.overdue[.scheduled] = count
                $0.isPaused = isPaused
            }
        }
        #expect(scene.run(seconds: 900) { overdue(&$0, Int64(40 + $1 % 15)) }.isEmpty)
        let trouble = scene.run(seconds: 620) { overdue(&$0, Int64(100 + $1)) }.only(.overdueTasks)
        #expect(trouble?.severity == .critical && trouble?.isFiring == true)
        #expect(
            trouble?.sentence.contains("scheduled tasks are due, and no server has moved them to pending for 5 min")
                == true)
        let paused = scene.run(seconds: 5) { snapshot, _ in overdue(&snapshot, 900, isPaused: true) }
        #expect(paused.only(.overdueTasks) == nil)
    }

    @Test("A fifth of the attempts that fail, of twenty at least")
    mutating func failures() {
        func fail(_ snapshot: inout RedisSnapshot, _ seconds: UInt64, _ perSecond: Double, _ share: Double) {
            snapshot.add("q") {
                $0.processed = Int64(Double(seconds) * perSecond)
                $0.failed = Int64(Double(seconds) * perSecond * share)
                $0.completed = ($0.processed ?? 0) - ($0.failed ?? 0)
            }
        }
        #expect(scene.run(seconds: 1200) { fail(&$0, $1, 10, 0.19) }.isEmpty)
        var failing = Scene()
        let trouble = failing.run(seconds: 1200) { fail(&$0, $1, 10, 0.4) }.only(.failureRatioHigh)
        #expect(
            trouble?.isFiring == true
                && trouble?.sentence.hasPrefix("q: 40 % of the attempts of the last 10 min") == true)
        var few = Scene()
        #expect(few.run(seconds: 1200) { fail(&$0, $1, 0.03, 0.5) }.isEmpty)
    }

    @Test("Of nineteen attempts that failed nothing is told, of twenty it is", arguments: [19, 20] as [Int64])
    func fewFailures(count: Int64) {
        var scene = Scene()
        scene.run(seconds: 600) { snapshot, _ in snapshot.add("q") }
        let troubles = scene.run(seconds: 500) { snapshot, _ in
            snapshot.add("q") { ($0.processed, $0.failed) = (count, count) }
        }
        #expect((troubles.only(.failureRatioHigh) != nil) == (count == 20))
    }

    @Test("A queue whose attempts all fail does not stand still")
    mutating func failing() {
        let troubles = scene.run(seconds: 1200) { snapshot, seconds in
            snapshot.add("q") {
                $0.size[.pending] = 12
                ($0.processed, $0.failed) = (Int64(seconds), Int64(seconds))
            }
            snapshot.serve()
        }
        #expect(troubles.only(.queueStalled) == nil && troubles.only(.failureRatioHigh) != nil)
    }

    @Test("The worst come first: by severity, and of equally bad ones those that fire")
    mutating func order() {
        let troubles = scene.run(seconds: 320) { snapshot, _ in
            snapshot.add("paused") {
                $0.isPaused = true
                $0.size[.pending] = 1
            }
            snapshot.add("orphans") { $0.orphaned = 1 }
            snapshot.add("served") { $0.size[.pending] = 1 }
            snapshot.servers = []
        }
        #expect(troubles.map(\.condition) == [.queueWithoutConsumers, .orphanedTasks, .queuePausedWithBacklog])
    }

    @Test("Of equally bad ones, what concerns everything comes before single queues, whether it fires or not")
    mutating func globalFirst() {
        scene.spans.backend = Backend(isUp: false, lastFailure: nil, requests: 1, failedRequests: 1)
        let troubles = scene.run(seconds: 320) { snapshot, _ in
            snapshot.add("a") { $0.orphaned = 1 }
            snapshot.add("b") { $0.problem = ReadProblem(key: ForeignText("k"), cause: "no") }
            snapshot.serve()
            snapshot.serversProblem = "no"
        }
        #expect(
            troubles.map(\.condition) == [
                .serversUnreadable, .orphanedTasks, .forwardingFails, .queuePartlyUnreadable,
            ])
        #expect(troubles.map(\.isGlobal) == [true, false, true, false])
        #expect(troubles.map(\.isFiring) == [true, true, false, true])
    }

    @Test("Redis that can't be read stands first, though worse troubles fire")
    mutating func unreadFirst() {
        scene.run(seconds: 305) { snapshot, _ in
            snapshot.add("q") { $0.size[.pending] = 1 }
            snapshot.servers = []
        }
        let troubles = scene.run(seconds: 5, .unread("connection refused"))
        #expect(troubles.map(\.condition) == [.redisUnreachable, .queueWithoutConsumers])
        #expect(troubles.map(\.severity) == [.warning, .critical])
    }

    @Test("While Redis can't be read, troubles of queues go on; when it can, they are judged again")
    mutating func unread() {
        func unserved(_ snapshot: inout RedisSnapshot) {
            snapshot.add("q") { $0.size[.pending] = 1 }
            snapshot.servers = []
        }
        scene.run(seconds: 100) { snapshot, _ in unserved(&snapshot) }
        let troubles = scene.run(seconds: 240, .unread("connection refused"))
        #expect(
            troubles.sentences == [
                "Redis has been unreachable for 3 min: connection refused",
                "q: no live server has served it for 95 s; 1 task waits",
            ])
        #expect(troubles.map(\.severity) == [.critical, .critical] && troubles.allSatisfy(\.isFiring))
        #expect(scene.run(seconds: 5) { snapshot, _ in snapshot.add("q") }.isEmpty)
    }
}
