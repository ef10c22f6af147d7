import Model
import Redis
import TestSupport
import Testing

@testable import AsynqDemo

@Suite struct DemoShopTests {
    private let redis = ShopRedis()
    private let clock = TestClock()

    private func withShop(
        _ tasksPerSecond: Double, hasBackend: Bool = false, _ body: (inout DemoShop) throws -> Void
    ) throws {
        let exporters = try ["a", "b"].map { name in
            try #require(SpanExporter(socket: "/no/such/socket", bearerToken: nil, service: name))
        }
        try redis.withStore(clock) { store in
            var shop = DemoShop(
                store: store, producer: exporters[0], worker: exporters[1], tasksPerSecond: tasksPerSecond,
                story: DemoStory(hasBackend: hasBackend), clock: clock.clock)
            try body(&shop)
        }
    }

    @Test func tasksArriveAtARateThatSwingsFromHalfToOneAndAHalfOfTheMean() throws {
        try withShop(100) { shop in
            try shop.tick()
            #expect(redis.takeCommands().produced.isEmpty)
            // The swing is 0.05 of the way up after a second, and 0.1 after two; what is no whole task is owed.
            for count in [55, 60, 65] {
                clock.advance(seconds: 1)
                try shop.tick()
                #expect(redis.takeCommands().produced.count == count)
            }
        }
    }

    @Test func whatIsNoWholeTaskIsOwed() throws {
        try withShop(1) { shop in
            var total = 0
            for _ in 0..<5 {
                clock.advance(seconds: 1)
                try shop.tick()
                total += redis.takeCommands().produced.count
            }
            // 0.55 + 0.6 + 0.65 + 0.7 + 0.75.
            #expect(total == 3)
        }
    }

    @Test func serversAndTheSchedulerBeatEachFiveSeconds() throws {
        try withShop(1) { shop in
            for (milliseconds, isDue) in [(0, true), (4999, false), (1, true)] as [(Int64, Bool)] {
                clock.advance(milliseconds: milliseconds)
                try shop.tick()
                let commands = redis.takeCommands()
                let beats = commands.filter { $0[0] == "ZADD" && $0[1] == "asynq:servers" }
                #expect(beats.count == (isDue ? 3 : 0) && Set(beats.map(\.last)).count == beats.count)
                #expect(commands.contains { $0[0] == "ZADD" && $0[1] == "asynq:schedulers" } == isDue)
            }
        }
    }

    @Test func tasksThatAreDueAreForwardedOnceASecond() throws {
        try withShop(1) { shop in
            for (milliseconds, isDue) in [(0, true), (999, false), (1, true)] as [(Int64, Bool)] {
                clock.advance(milliseconds: milliseconds)
                try shop.tick()
                let looks = redis.takeCommands().filter { $0[0] == "ZRANGEBYSCORE" }
                #expect(
                    looks.count == (isDue ? 6 * 3 : 0), "of each queue those ahead, those to retry and those to delete")
            }
        }
    }

    /// Ticks of a second, over a whole round.
    @Test func theStoryIsPlayedWithALineEach() throws {
        try withShop(5, hasBackend: true) { shop in
            var lines: [String] = []
            var (running, recovered, beats) = (0, -1, [Int]())
            for _ in 0..<180 {
                clock.advance(seconds: 1)
                try shop.tick()
                let commands = redis.takeCommands()
                for (event, text) in shop.takeEvents() {
                    lines.append("\(event)")
                    let number = text.split { !("0"..."9").contains($0) }.compactMap { Int($0) }.last
                    switch event {
                    case .burst:
                        #expect(text == "the newsletter goes out: 60 emails at once" && commands.produced.count >= 60)
                    case .pause: #expect(redis.isPaused("imports"))
                    case .resume: #expect(!redis.isPaused("imports"))
                    case .workerKilled:
                        running = number ?? -1
                        #expect(text == "worker-2 is killed while it runs \(running) task\(running == 1 ? "" : "s")")
                    case .recovery:
                        recovered = number ?? -1
                        #expect(
                            text == "the recoverer takes back \(recovered) orphaned task\(recovered == 1 ? "" : "s")")
                    case .deadLetter: #expect(commands.produced.contains { $0.hasPrefix("asynq:{reports}:t:") })
                    default: #expect(!text.isEmpty)
                    }
                }
                #expect(shop.takeEvents().isEmpty)
                let servers = commands.count { $0[0] == "ZADD" && $0[1] == "asynq:servers" }
                if servers > 0 { beats.append(servers) }
            }
            #expect(lines == DemoStory.script.map { "\($0.event)" })
            #expect(running == recovered, "all that the killed worker ran")
            #expect(Set(beats) == [2, 3], "a worker that is killed beats no more, until a new one starts")
        }
    }
}

@Suite struct DemoWorkerTests {
    private let redis = ShopRedis()
    private let clock = TestClock()
    private let plan = DemoServerPlan(host: "w", concurrency: 2, queues: [("q", 1)])
    private let origin = TaskOrigin(
        producer: SpanReference(trace: TraceID(high: 1, low: 2), span: SpanID(3)),
        enqueuedAt: WallTime(seconds: 1_799_999_000), processAt: nil)

    private func kind(failureShare: Double = 0) -> DemoTaskKind {
        DemoTaskKind(
            queue: "q", type: "a:b", request: "POST /x", steps: [("one", 0.25), ("two", 0.5), ("three", 0.25)],
            share: 1,
            meanSeconds: 1, failureShare: failureShare, maxRetries: 1,
            failures: [.init(type: "*a.Error", message: "broken")])
    }

    private func tasks(_ ids: [String], _ change: (inout DemoTasks.Entry) -> Void = { _ in }) -> DemoTasks {
        var tasks = DemoTasks()
        for id in ids {
            let message = TaskMessage(type: "a:b", payload: [], id: id, queue: "q", retry: 1)
            var entry = DemoTasks.Entry(message: message, kind: kind(), origin: origin, fate: nil)
            change(&entry)
            tasks.add(entry)
            redis.push(id, to: "asynq:{q}:pending")
        }
        return tasks
    }

    /// The worker takes what it can, and ends it a minute later; the spans, and the commands of the end.
    private func run(_ tasks: inout DemoTasks) throws -> (spans: [DemoSpan], commands: [[String]]) {
        var result: ([DemoSpan], [[String]]) = ([], [])
        try redis.withStore(clock) { store in
            var worker = DemoWorker(plan, id: "s", clock: clock.clock)
            try worker.takeTasks(store, &tasks, clock: clock.clock, slowdown: 1, mailServerFails: false)
            #expect(try worker.finishTasks(store, &tasks, clock: clock.clock).isEmpty && worker.runningCount > 0)
            clock.advance(seconds: 60)
            _ = redis.takeCommands()
            let spans = try worker.finishTasks(store, &tasks, clock: clock.clock)
            #expect(worker.runningCount == 0)
            result = (spans, redis.takeCommands())
        }
        return result
    }

    @Test func aWorkerRunsAsManyTasksAsItHasSlotsAndBeatsForThem() throws {
        var tasks = tasks(["t1", "t2", "t3"])
        try redis.withStore(clock) { store in
            var worker = DemoWorker(plan, id: "s", clock: clock.clock)
            try worker.takeTasks(store, &tasks, clock: clock.clock, slowdown: 1, mailServerFails: false)
            #expect(worker.runningCount == 2)
            _ = redis.takeCommands()
            try worker.beat(store)
            #expect(worker.info.activeWorkers == 2)
            let leases = redis.takeCommands().filter { $0[0] == "ZADD" && $0[1] == "asynq:{q}:lease" }
            #expect(leases.map(\.last) == ["t1", "t2"])
        }
    }

    @Test func aTaskThatEndsWellIsCompletedAndItsStepsFillItsSpan() throws {
        var tasks = tasks(["t1"])
        let (spans, commands) = try run(&tasks)
        #expect(spans.map(\.name) == ["one", "two", "three", "process q"] && spans.allSatisfy { $0.failure == nil })
        let process = try #require(spans.last)
        #expect(process.kind == .consumer && process.parent == origin.producer.span)
        #expect(spans.allSatisfy { $0.reference.trace == origin.producer.trace })
        #expect(spans.dropLast().allSatisfy { $0.parent == process.reference.span && $0.kind == .client })
        #expect(process.end.nanoseconds - process.start.nanoseconds == 60_000_000_000)
        let ends = spans.map { ($0.start.nanoseconds - process.start.nanoseconds) / 1_000_000_000 }
        #expect(ends == [0, 15, 45, 0] && spans[2].end == process.end && spans[0].end == spans[1].start)
        #expect(commands.contains(["DEL", "asynq:{q}:t:t1"]) && tasks["t1"] == nil)
    }

    @Test func anAttemptThatFailsEndsInItsLongestStepAndIsTriedAgainWithinSeconds() throws {
        var tasks = tasks(["t1"]) { $0.fate = .init(type: "*b.Error", message: "no luck") }
        let (spans, commands) = try run(&tasks)
        #expect(spans.map(\.name) == ["one", "two", "process q"])
        #expect(spans.map(\.failure?.message) == [nil, "no luck", "no luck"] && spans[1].end == spans[2].end)
        let retry = try #require(commands.first { $0[0] == "ZADD" && $0[1] == "asynq:{q}:retry" })
        let delay = try #require(Int64(retry[2])) - clock.now.wholeSeconds
        #expect((2...8).contains(delay))
        let left = try #require(tasks["t1"]).message
        #expect(left.retried == 1 && left.errorMessage == "no luck" && left.lastFailedAt == clock.now.wholeSeconds)
    }

    @Test func anAttemptWithoutRetriesLeftIsADeadLetter() throws {
        var tasks = tasks(["t1"]) { entry in
            entry.message.retried = 1
            entry.fate = .init(type: "*b.Error", message: "no luck")
        }
        let (_, commands) = try run(&tasks)
        #expect(commands.contains { $0[0] == "ZADD" && $0[1] == "asynq:{q}:archived" } && tasks["t1"] == nil)
        // It was tried again once, and not a second time.
        var written = TaskMessage(type: "a:b", payload: [], id: "t1", queue: "q", retry: 1)
        (written.retried, written.errorMessage, written.timeoutSeconds) = (1, "no luck", 0)
        let begins = String(decoding: written.encoded, as: UTF8.self)
        #expect(commands.contains { $0[0] == "HSET" && $0[2] == "msg" && $0[3].hasPrefix(begins) })
    }

    @Test func aTaskThatWasScheduledSaysWhenItWasDue() throws {
        for due in [nil, WallTime(seconds: 1_799_999_500)] {
            var tasks = tasks(["t1"]) { entry in
                let origin = TaskOrigin(producer: origin.producer, enqueuedAt: origin.enqueuedAt, processAt: due)
                entry = DemoTasks.Entry(message: entry.message, kind: entry.kind, origin: origin, fate: nil)
            }
            let process = try #require(try run(&tasks).spans.last)
            let times = process.attributes.compactMap { name, value in
                if case .int(let number) = value, name == "asynq.task.process_at" { number } else { nil }
            }
            #expect(times == (due.map { [$0.nanoseconds] } ?? []))
        }
    }

    @Test func runTimesSpreadAroundTheMeanOfTheirKindAndNotWithoutBound() throws {
        var tasks = tasks((0..<200).map { "t\($0)" })
        let wide = DemoServerPlan(host: "w", concurrency: 200, queues: [("q", 1)])
        try redis.withStore(clock) { store in
            var worker = DemoWorker(wide, id: "s", clock: clock.clock)
            try worker.takeTasks(store, &tasks, clock: clock.clock, slowdown: 1, mailServerFails: false)
            var left: [Int] = []
            // The mean is a second, and the logarithm of a run time is between -3 and 3.
            for milliseconds in [49, 951, 20_000] as [Int64] {
                clock.advance(milliseconds: milliseconds)
                _ = try worker.finishTasks(store, &tasks, clock: clock.clock)
                left.append(worker.runningCount)
            }
            #expect(left[0] == 200 && (20...180).contains(left[1]) && left[2] == 0, "\(left)")
        }
    }
}
