import Model
import Testing

@testable import Attention

@Suite("What needs attention: Redis, cron and spans")
struct OtherConditionTests {
    private var scene = Scene()

    private static func entry(
        _ id: String, scheduler: String = "s", next: Int64? = nil, previous: Int64? = nil, enqueued: Int64? = nil
    ) -> SchedulerEntrySnapshot {
        var entry = SchedulerEntrySnapshot(
            id: ForeignText(id), spec: ForeignText("@every 1m"), taskType: TaskType("report"),
            scheduler: Array(scheduler.utf8), nextEnqueue: next.map { WallTime(seconds: $0) },
            previousEnqueue: previous.map { WallTime(seconds: $0) })
        entry.lastEnqueued = enqueued.map { WallTime(seconds: $0) }
        return entry
    }

    @Test("Redis that was not tried yet is no trouble; one that fails is, critical after two minutes")
    mutating func redis() {
        #expect(scene.run(seconds: 600, .unread(nil)).isEmpty && scene.run(seconds: 600, .off).isEmpty)
        var trouble = scene.run(seconds: 5, .unread("NOAUTH")).only(.redisUnreachable)
        #expect(trouble?.severity == .warning && trouble?.isFiring == false)
        trouble = scene.run(seconds: 120, .unread("NOAUTH")).only(.redisUnreachable)
        #expect(trouble?.severity == .critical && trouble?.sentence == "Redis has been unreachable for 2 min: NOAUTH")
        #expect(trouble?.condition.runbook == "asynqredisunreachable")
    }

    @Test("Redis evicts keys, is near its limit, or was read long ago")
    mutating func redisNumbers() {
        func info(_ snapshot: inout RedisSnapshot, evicted: Int64, used: Int64, limit: Int64) {
            snapshot.info.evictedKeys = evicted
            snapshot.info.usedMemoryBytes = used
            snapshot.info.maxMemoryBytes = limit
        }
        #expect(scene.run(seconds: 600) { snapshot, _ in info(&snapshot, evicted: 5, used: 950, limit: 0) }.isEmpty)
        let troubles = scene.run(seconds: 305) { snapshot, _ in info(&snapshot, evicted: 17, used: 95, limit: 100) }
        #expect(
            troubles.sentences == [
                "Redis evicted 12 keys in 15 min; each one may be a task or a whole queue",
                "Redis uses 95 % of its memory limit; beyond it, it refuses or evicts tasks",
            ])
        #expect(troubles.allSatisfy { $0.severity == .critical && $0.isFiring })
        let old = RedisSnapshot(queues: [], takenAt: WallTime(seconds: Scene.wallStart), partialErrors: [])
        #expect(scene.run(seconds: 200, .read(old)).only(.scrapeStale)?.isFiring == true)
    }

    @Test("A counter of Redis that jumps to the end of its type is told")
    mutating func jump() {
        #expect(scene.run(seconds: 600) { snapshot, _ in snapshot.info.evictedKeys = 0 }.isEmpty)
        let trouble = scene.run(seconds: 305) { snapshot, _ in snapshot.info.evictedKeys = .max }.first
        #expect(trouble?.sentence.hasPrefix("Redis evicted 9,223,372,036,854,775,807 keys") == true)
    }

    @Test("Cron entries: late, without enqueueing, twice, missing")
    mutating func cron() {
        func entries(_ count: Int, _ seconds: UInt64, isLate: Bool = false) -> [SchedulerEntrySnapshot] {
            let now = Scene.wallStart + Int64(seconds)
            return (0..<count).map {
                Self.entry("e\($0)", next: isLate ? now - 300 : now + 30, previous: now - 30, enqueued: now - 30)
            }
        }
        #expect(scene.run(seconds: 600) { $0.schedulerEntries = entries(3, $1) }.isEmpty)
        var troubles = scene.run(seconds: 125) { $0.schedulerEntries = entries(1, $1, isLate: true) }
        #expect(
            troubles.only(.schedulerEntryOverdue)?.sentence
                == "cron @every 1m (report) is 5 min late; its scheduler is alive and does not enqueue")
        #expect(troubles.only(.schedulerEntryOverdue)?.severity == .critical)
        #expect(
            troubles.only(.schedulerEntriesMissing)?.sentence == "2 of 3 cron entries are missing: is a scheduler gone?"
        )
        troubles = scene.run(seconds: 605) { snapshot, seconds in
            let now = Scene.wallStart + Int64(seconds)
            snapshot.schedulerEntries = [
                Self.entry("a", next: now + 60, previous: now - 200, enqueued: now - 4000),
                Self.entry("b", next: now + 60, previous: now - 200, enqueued: now - 203),
                Self.entry("c", scheduler: "other", next: now + 60),
            ]
        }
        let idle = troubles.filter { $0.condition == .schedulerNotEnqueueing }
        #expect(idle.sentences == ["cron @every 1m (report) ticked 3 min ago, and no task was enqueued for 66 min"])
        #expect(idle[0].isFiring)
        #expect(
            troubles.only(.schedulerEntryTwice)?.sentence
                == "cron @every 1m (report): 2 schedulers have it, and each of them enqueues at each tick")
        #expect(scene.run(seconds: 5) { snapshot, _ in snapshot.schedulerEntries = nil }.count == troubles.count)
    }

    @Test("A tick is overdue as the alert judges it, and not just after it was due", arguments: [-30, 0, 3, 120, 121])
    func overdue(late: Int64) {
        let entry = Self.entry("e", next: Scene.wallStart - late)
        #expect(entry.isOverdue(at: WallTime(seconds: Scene.wallStart)) == (late > 120))
        #expect(!Self.entry("e").isOverdue(at: WallTime(seconds: Scene.wallStart)))
    }

    @Test("Cron entries tell by their ticks for how long they are late or idle, at the first look")
    mutating func cronFirstLook() {
        let now = Scene.wallStart + 5
        let troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.schedulerEntries = [
                Self.entry("late", next: now - 6000, previous: now - 6060, enqueued: now - 6060),
                Self.entry("just", scheduler: "s2", next: now - 239, previous: now - 299, enqueued: now - 299),
                Self.entry("idle", scheduler: "s3", next: now + 60, previous: now - 1800),
                Self.entry("idle now", scheduler: "s4", next: now + 60, previous: now - 60),
            ]
        }
        let late = troubles.filter { $0.condition == .schedulerEntryOverdue }
        #expect(late.map(\.since) == [now - 5880, now - 119].map { WallTime(seconds: $0) })
        #expect(late.map(\.isFiring) == [true, false])
        let idle = troubles.filter { $0.condition == .schedulerNotEnqueueing }
        #expect(idle.map(\.since) == [now - 1800, now - 60].map { WallTime(seconds: $0) })
        #expect(idle.map(\.isFiring) == [true, false])
    }

    @Test("An entry counts as idle since the first tick after its last task, not since its last tick")
    mutating func idleSince() {
        let now = Scene.wallStart + 5
        func entry(_ id: String, every interval: Int64, ticked: Int64, enqueued: Int64?) -> SchedulerEntrySnapshot {
            Self.entry(
                id, scheduler: id, next: now - ticked + interval, previous: now - ticked,
                enqueued: enqueued.map { now - $0 })
        }
        let troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.schedulerEntries = [
                entry("minute", every: 60, ticked: 10, enqueued: 3 * 3600),
                entry("five minutes", every: 300, ticked: 240, enqueued: 3 * 3600),
                entry("hour", every: 3600, ticked: 1200, enqueued: 3 * 3600),
                entry("now and then", every: 60, ticked: 20, enqueued: 80),
                entry("just ticked", every: 60, ticked: 2, enqueued: 7 * 86_400),
                entry("enqueued", every: 60, ticked: 10, enqueued: 10),
            ]
        }.filter { $0.condition == .schedulerNotEnqueueing }
        #expect(
            troubles.filter(\.isFiring).sentences == [
                "cron @every 1m (report) ticked 10 s ago, and no task was enqueued for 3 h",
                "cron @every 1m (report) ticked 4 min ago, and no task was enqueued for 3 h",
                "cron @every 1m (report) ticked 20 min ago, and no task was enqueued for 3 h",
            ])
        #expect(
            troubles.filter { !$0.isFiring }.sentences == [
                "cron @every 1m (report) ticked 20 s ago, and no task was enqueued for 80 s"
            ])
    }

    @Test("Servers and cron entries that can't be read are told of at once, with the key; what they hold is unknown")
    mutating func unreadable() {
        var troubles = scene.run(seconds: 5) { snapshot, _ in
            snapshot.add("q") { $0.size[.pending] = 4 }
            snapshot.serversProblem = "asynq:servers: Redis: WRONGTYPE no"
            snapshot.cronProblem = "asynq:schedulers: Redis: NOPERM no"
        }
        #expect(
            troubles.sentences == [
                "The servers can't be read: asynq:servers: Redis: WRONGTYPE no",
                "The cron entries can't be read: asynq:schedulers: Redis: NOPERM no",
            ])
        #expect(troubles.allSatisfy { $0.severity == .warning && $0.isFiring && $0.condition.alert == nil })
        #expect(troubles.map(\.condition.subject) == [.server, .cron])
        // The servers that can be read serve another queue: who serves this one is unknown.
        func partial(_ snapshot: inout RedisSnapshot, problem: String?) {
            snapshot.add("other")
            snapshot.serve()
            snapshot.add("q") { $0.size[.pending] = 4 }
            snapshot.serversProblem = problem
        }
        troubles = scene.run(seconds: 600) { snapshot, _ in
            partial(&snapshot, problem: "asynq:servers:{x}: a ServerInfo: truncated")
        }
        #expect(troubles.sentences == ["The servers can't be read in full: asynq:servers:{x}: a ServerInfo: truncated"])
        troubles = scene.run(seconds: 600) { snapshot, _ in partial(&snapshot, problem: nil) }
        #expect(troubles.only(.queueWithoutConsumers)?.isFiring == true && troubles.only(.serversUnreadable) == nil)
    }

    @Test(
        "An entry whose last enqueueing can't be read has not enqueued nothing, and one that can't be read is not missing"
    )
    mutating func unreadableEntries() {
        func entries(_ seconds: UInt64, _ count: Int) -> [SchedulerEntrySnapshot] {
            let now = Scene.wallStart + Int64(seconds)
            return (0..<count).map { number in
                var entry = Self.entry("e\(number)", next: now + 30, previous: now - 1800)
                entry.isLastEnqueuedUnknown = true
                return entry
            }
        }
        var troubles: [Trouble] = []
        for count in [2, 1] {
            troubles = scene.run(seconds: 1200) { snapshot, seconds in
                snapshot.schedulerEntries = entries(seconds, count)
                snapshot.cronProblem = "asynq:scheduler_history:e0: Redis: WRONGTYPE no"
            }
        }
        #expect(
            troubles.sentences == [
                "The cron entries can't be read in full: asynq:scheduler_history:e0: Redis: WRONGTYPE no"
            ])
    }

    @Test("Metrics that can't be pushed tell for how long and why, and pushes that fail now and then which share")
    mutating func pushes() {
        scene.pushes = Backend(isUp: nil, lastFailure: nil, requests: 0, failedRequests: 0)
        #expect(scene.run(seconds: 60, .off).isEmpty)
        scene.pushes = Backend(isUp: false, lastFailure: "401: no token", requests: 2, failedRequests: 2)
        #expect(scene.run(seconds: 10, .off).isEmpty, "it may pass by itself")
        let trouble = scene.run(seconds: 240, .off).only(.metricsNotPushed)
        #expect(trouble?.sentence == "No metrics could be pushed for 4 min (401: no token)")
        #expect(trouble?.severity == .info && trouble?.condition.subject == .collector)
        #expect(scene.run(seconds: 600, .off).only(.metricsNotPushed)?.severity == .warning)
        scene.pushes = Backend(isUp: false, lastFailure: "413", requests: 2, failedRequests: 2)
        scene.pushes?.isPartlyUp = true
        #expect(
            scene.run(seconds: 5, .off).only(.metricsNotPushed)?.sentence.hasPrefix(
                "A part of the metrics could not be pushed for 14 min (413)") == true)
        scene.pushes = Backend(isUp: true, lastFailure: nil, requests: 100, failedRequests: 2)
        #expect(scene.run(seconds: 5, .off).isEmpty)
        scene.pushes = Backend(isUp: true, lastFailure: nil, requests: 600, failedRequests: 402)
        #expect(scene.run(seconds: 30, .off).sentences == ["67 % of the pushes of metrics fail"])
    }

    @Test("Tempo that is down tells for how long, how full the spool is, and when it will be full")
    mutating func tempo() {
        let capacity = 1_000_000
        scene.spans.backend = Backend(isUp: true, lastFailure: nil, requests: 1000, failedRequests: 1)
        scene.spans.spool = SpanPath.Spool(bytes: 30_000, capacityBytes: capacity, dropped: [:])
        for _ in 0..<12 {
            scene.spans.spool?.bytes += 140
            #expect(scene.run(seconds: 5, .off).isEmpty)
        }
        scene.spans.backend = Backend(
            isUp: false, lastFailure: "connection refused", requests: 1002, failedRequests: 3)
        var troubles: [Trouble] = []
        for _ in 1...49 {
            scene.spans.spool?.bytes += 140
            troubles = scene.run(seconds: 5, .off)
        }
        let trouble = troubles.only(.forwardingFails)
        #expect(trouble?.severity == .info && trouble?.condition.subject == .tempo)
        let sentence = trouble?.sentence ?? ""
        #expect(
            sentence.hasPrefix(
                "Tempo has been unreachable for 4 min (connection refused); spool 4 % full, full in 9 h"),
            "\(sentence)")
        for _ in 0..<120 { troubles = scene.run(seconds: 5, .off) }
        #expect(troubles.only(.forwardingFails)?.severity == .warning)
    }

    @Test(
        "When the spool will be full is told up to 30 days ahead",
        arguments: [(2_500_000_000, true), (2_700_000_000, false)])
    mutating func farForecast(capacity: Int, isTold: Bool) {
        scene.spans.backend = Backend(isUp: true, lastFailure: nil, requests: 10, failedRequests: 0)
        scene.spans.spool = SpanPath.Spool(bytes: 0, capacityBytes: capacity, dropped: [:])
        #expect(scene.run(seconds: 5, .off).isEmpty)
        scene.spans.backend?.isUp = false
        var troubles: [Trouble] = []
        for _ in 0..<6 {
            scene.spans.spool?.bytes += 5000
            troubles = scene.run(seconds: 5, .off)
        }
        let sentence = troubles.only(.forwardingFails)?.sentence ?? ""
        #expect(
            sentence.hasSuffix(" % full" + (isTold ? ", full in 28 days" : "")),
            "\(sentence)")
    }

    @Test("When the spool will be full is told at the rate of the outage, not of the quiet time before it")
    mutating func outageRate() {
        scene.spans.backend = Backend(isUp: true, lastFailure: nil, requests: 10, failedRequests: 0)
        scene.spans.spool = SpanPath.Spool(bytes: 0, capacityBytes: 1_000_000, dropped: [:])
        #expect(scene.run(seconds: 1700, .off).isEmpty)
        scene.spans.backend?.isUp = false
        var troubles: [Trouble] = []
        for _ in 0..<6 {
            troubles = scene.run(seconds: 5, .off)
            scene.spans.spool?.bytes += 6000
        }
        #expect(troubles.sentences == ["Tempo has been unreachable for 25 s; spool 3 % full, full in 13 min"])
        scene.spans.backend?.isUp = true
        #expect(scene.run(seconds: 5, .off).isEmpty)
    }

    @Test("Requests that fail are told of while they fail, not until those that failed are ten minutes old")
    mutating func requests() {
        func run(_ seconds: Int, failing: UInt64, of all: UInt64) -> [Trouble] {
            var troubles: [Trouble] = []
            for _ in 0..<seconds / 5 {
                scene.spans.backend?.requests += all
                scene.spans.backend?.failedRequests += failing
                troubles = scene.run(seconds: 5, .off)
            }
            return troubles
        }
        scene.spans.backend = Backend(isUp: true, lastFailure: "503", requests: 100, failedRequests: 0)
        #expect(run(60, failing: 1, of: 2).isEmpty)
        #expect(run(600, failing: 4, of: 5).sentences == ["80 % of the requests to Tempo fail (503)"])
        scene.spans.backend?.lastFailure = nil
        #expect(run(30, failing: 0, of: 1).sentences.count == 1)
        #expect(run(45, failing: 0, of: 1).isEmpty)
    }

    @Test("The spool: full to four fifths, or full within four hours")
    mutating func spool() {
        func spool(_ bytes: Int) -> SpanPath.Spool {
            SpanPath.Spool(bytes: bytes, capacityBytes: 10_000_000, dropped: [:])
        }
        scene.spans.spool = spool(8_000_000)
        #expect(scene.run(seconds: 400, .off).isEmpty)
        scene.spans.spool = spool(8_100_000)
        #expect(scene.run(seconds: 305, .off).only(.spoolFilling)?.isFiring == true)
        var filling = Scene()
        var troubles: [Trouble] = []
        for step in 0..<240 {
            filling.spans.spool = spool(1_000_000 + 5000 * step)
            troubles = filling.run(seconds: 5, .off)
        }
        #expect(troubles.only(.spoolWillBeFull)?.isFiring == true)
        #expect(troubles.only(.spoolWillBeFull)?.sentence == "The spool is 22 % full, full in 2 h")
        filling.spans.isDiskHanging = true
        filling.spans.spool = nil
        troubles = filling.run(seconds: 15, .off)
        #expect(troubles.only(.spoolStalled)?.severity == .critical && troubles.only(.spoolWillBeFull) != nil)
    }

    @Test("Spans that are dropped, rejected, refused or not kept, each by its reason")
    mutating func losses() {
        scene.spans.spool = SpanPath.Spool(bytes: 1, capacityBytes: 100, dropped: [:])
        scene.spans.refused = ["bad_id": 7]
        #expect(scene.run(seconds: 30, .off).isEmpty)
        scene.spans.spool?.dropped = ["evicted": 12, "rejected": 1, "unsynced": 3]
        scene.spans.refused = ["bad_id": 9, "spool_full": 40]
        let troubles = scene.run(seconds: 125, .off)
        #expect(
            Set(troubles.sentences) == [
                "12 accepted spans were dropped in 2 min (evicted); traces have holes",
                "Tempo refused 1 span in 2 min (rejected); sending again does not help",
                "The disk did not keep 3 spans in 2 min (unsynced); senders that stop retrying lose them",
                "40 spans were refused in 2 min (spool_full); senders that stop retrying lose them",
            ])
        #expect(troubles.allSatisfy { $0.isFiring && $0.severity == .warning })
        #expect(
            scene.run(seconds: 300, .off).sentences.contains(
                "12 accepted spans were dropped in 7 min (evicted); traces have holes"))
        #expect(scene.run(seconds: 610, .off).isEmpty)
    }
}
