import Model
import Platform
import Synchronization
import Testing

@testable import Top

@Suite struct TopFeedTests {
    @Test func aQuestionHasItsPath() {
        #expect(TopQuestion.overview.path == "/api/v1/overview")
        #expect(TopQuestion.queue("a/b c").path == "/api/v1/queues/a%2Fb%20c")
        #expect(TopQuestion.queue("..").path == "/api/v1/queues?name=..")
        #expect(TopQuestion.queue("").path == "/api/v1/queues?name=")
        #expect(TopQuestion.queue("a+b").path == "/api/v1/queues/a%2Bb")
    }

    private func failure(_ text: String) -> String? {
        do throws(TopFailure) {
            _ = try TopFeed.overview { _ throws(TopFailure) in .document(Array(text.utf8)) }
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func anAnswerThatIsNoDocumentSaysWhy() throws {
        #expect(failure("{}") == nil)
        #expect(failure("[1]") == "/api/v1/overview is not a JSON object")
        let other = "/api/v1/overview comes from another program, or from a collector of another version"
        #expect(failure("{\"error\":\"please log in\"}") == other)
        #expect(failure("{\"error\":\"please log in\",\"queues\":[]}") == nil)
        #expect(failure("{\"a\":!}")?.hasPrefix("/api/v1/overview is not JSON: ") == true)
        #expect(failure("{\"a\":!}")?.hasSuffix(" (byte 5)") == true)
        #expect(try TopFeed.overview { _ throws(TopFailure) in .unchanged } == nil)
        #expect(throws: TopFailure("no route")) {
            try TopFeed.overview { _ throws(TopFailure) in throw TopFailure("no route") }
        }
    }

    /// What a feed reports, as words, once it has asked for `count` documents.
    private func news(
        _ count: Int, opening queue: String? = nil, _ source: @escaping TopSource
    ) throws -> (words: [String], paths: [String]) {
        let paths = Mutex<[String]>([])
        let feed = try TopFeed(
            { question throws(TopFailure) in
                paths.withLock { $0.append(question.path) }
                return try source(question)
            }, every: .seconds(3600), clock: .system)
        if let queue { feed.open(queue) }
        try feed.start()
        var words: [String] = []
        let deadline = Clock.system.monotonic().advanced(by: .seconds(30))
        while words.count < count, feed.arrival.sleep(until: deadline, clock: .system) {
            for news in feed.takeNews() {
                switch news {
                case .overview(let document): words.append("overview \(document?.queues.first?.name ?? "unchanged")")
                case .queue(let name, let document): words.append("queue \(name) \(document.queue.name)")
                case .failure(let reason): words.append("failure \(reason)")
                case .queueFailure(let name, let reason): words.append("failure of \(name) \(reason)")
                }
            }
        }
        feed.stop()
        #expect(feed.takeNews().isEmpty)
        return (words, paths.withLock { $0 })
    }

    private static func answer(_ question: TopQuestion) -> TopReply {
        switch question {
        case .overview: .document(Array(#"{"queues":[{"queue":"q"}]}"#.utf8))
        case .queue: .document(Array(#"{"queue":"r"}"#.utf8))
        }
    }

    @Test func anOverviewIsNews() throws {
        #expect(try news(1) { question throws(TopFailure) in Self.answer(question) }.words == ["overview q"])
        #expect(try news(1) { _ throws(TopFailure) in .unchanged }.words == ["overview unchanged"])
    }

    /// It was opened before the thread began, which then asks twice.
    @Test func anOpenedQueueIsAskedForAfterTheOverview() throws {
        let (words, paths) = try news(2, opening: "r") { question throws(TopFailure) in Self.answer(question) }
        #expect(words.prefix(2) == ["overview q", "queue r r"])
        #expect(paths.prefix(2) == ["/api/v1/overview", "/api/v1/queues/r"])
    }

    @Test func aFailureIsNewsAndEndsTheRound() throws {
        let (words, paths) = try news(1, opening: "r") { _ throws(TopFailure) in throw TopFailure("no route") }
        #expect(words.allSatisfy { $0 == "failure no route" } && !paths.contains("/api/v1/queues/r"))
        let ofQueue = try news(2, opening: "r") { question throws(TopFailure) in
            if case .queue = question { throw TopFailure("404") }
            return Self.answer(question)
        }
        #expect(ofQueue.words.prefix(2) == ["overview q", "failure of r 404"])
    }

    /// Zones differ by minutes, so the seconds are those of UTC.
    @Test func aClockOfTheEnvironmentsZoneHasTheSameSeconds() {
        for seconds in [0, 59, 86_399, 1_800_000_007] as [Int64] {
            let (local, utc) = (TopClock.local(WallTime(seconds: seconds)), TopClock.utc(WallTime(seconds: seconds)))
            #expect(local.count == 8 && local.suffix(3) == utc.suffix(3), "\(local), \(utc)")
        }
    }

    @Test func aClockOnTheWallHasTwoDigits() {
        #expect(TopClock.utc(WallTime(seconds: 0)) == "00:00:00")
        #expect(TopClock.utc(WallTime(seconds: 86_399)) == "23:59:59")
        #expect(TopClock.utc(WallTime(seconds: 86_400 + 3600 * 9 + 60 * 8 + 7)) == "09:08:07")
    }
}
