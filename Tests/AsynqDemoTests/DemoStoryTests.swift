import Testing

@testable import AsynqDemo

@Suite struct DemoStoryTests {
    @Test func eachEventHappensOnceInItsOrder() {
        var story = DemoStory(hasBackend: true)
        let told = stride(from: 0.0, through: 179.9, by: 0.1).flatMap { story.due(at: $0) }
        #expect(told == DemoStory.script.map(\.event))
    }

    @Test func nothingHappensBeforeItsTime() {
        var story = DemoStory(hasBackend: true)
        #expect(story.due(at: 5.9).isEmpty)
        #expect(story.due(at: 6) == [.burst])
        #expect(story.due(at: 6).isEmpty)
        #expect(story.due(at: 54.9) == [.mailServerFails])
    }

    @Test func theStoryRepeats() {
        var story = DemoStory(hasBackend: true)
        _ = story.due(at: 185.9)
        #expect(story.due(at: 186) == [.burst])
    }

    @Test func timeThatWasMissedIsMadeUpFor() {
        var story = DemoStory(hasBackend: true)
        #expect(story.due(at: 2 * DemoStory.roundSeconds - 1).count == 2 * DemoStory.script.count)
    }

    @Test func aBackendOfTheUserIsLeftAlone() {
        var story = DemoStory(hasBackend: false)
        let told = story.due(at: 179)
        #expect(!told.contains(.backendDown) && !told.contains(.backendUp))
        #expect(told.count == DemoStory.script.count - 2)
    }

    /// What an event begins, another one ends, within the same round.
    @Test func whatBreaksIsPutRightInTheSameRound() {
        let seconds = Dictionary(uniqueKeysWithValues: DemoStory.script.map { ("\($0.event)", $0.second) })
        let pairs: [(DemoStory.Event, DemoStory.Event)] = [
            (.mailServerFails, .mailServerWorks), (.pause, .resume), (.workerKilled, .workerStarted),
            (.backendDown, .backendUp),
        ]
        for (first, last) in pairs {
            #expect((seconds["\(first)"] ?? .infinity) < (seconds["\(last)"] ?? 0))
        }
        // Leases last 30 s: until then what the killed worker ran is no orphan.
        #expect((seconds["\(DemoStory.Event.workerKilled)"] ?? 0) + 31 < seconds["\(DemoStory.Event.recovery)"] ?? 0)
        #expect(DemoStory.script.allSatisfy { $0.second < DemoStory.roundSeconds })
    }

    @Test func theSharesOfTheTasksAddUpToOne() {
        #expect(abs(DemoTaskKind.all.map(\.share).reduce(0, +) - 1) < 1e-9)
        for kind in DemoTaskKind.all {
            #expect(abs(kind.steps.map(\.share).reduce(0, +) - 1) < 1e-9, "\(kind.type)")
            #expect(!kind.failures.isEmpty)
        }
    }

    /// The worker that is killed is the one that the burst and the failing emails are seen at.
    @Test func everyQueueHasAWorker() {
        let served = Set(DemoServerPlan.all.flatMap { $0.queues.map(\.name) })
        #expect(served == Set(DemoTaskKind.all.map(\.queue)))
        #expect(DemoServerPlan.all.contains { $0.host == "worker-2" && $0.queues.contains { $0.name == "emails" } })
    }
}
