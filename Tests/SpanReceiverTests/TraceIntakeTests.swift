import Model
import NIOCore
import NIOEmbedded
import NIOPosix
import OTLP
import Platform
import ProtobufWire
import Synchronization
import Testing

@testable import SpanReceiver

@Suite("From a request's bytes to what became of it")
struct TraceIntakeTests {
    /// A request of so many spans with good ids, and so many with bad ones among them.
    private func request(_ good: Int, bad: Int = 0) -> [UInt8] {
        var maker = RequestMaker()
        for number in 0..<max(good, bad) {
            if number < bad { maker.badSpan() }
            if number < good { maker.span(UInt64(number) + 1) }
        }
        return maker.bytes
    }

    @Test("what is accepted is kept byte for byte, and counted by how it came")
    func accepted() {
        let stage = IntakeStage()
        let body = request(3)
        #expect(stage.take(body).badIDs == 0)
        #expect(stage.take(body, from: .grpcProtobuf).badIDs == 0)
        #expect(stage.sink.kept == [body, body] && stage.sink.state.withLock { $0.spanCounts } == [3, 3])
        #expect(stage.values.received == [.httpProtobuf: 3, .grpcProtobuf: 3])
        #expect(stage.values.accepted == 6 && stage.values.refused.isEmpty)
    }

    @Test("logs and metrics have no span that could be read: a success with a warning, counted as that")
    func otherSignals() {
        // A LogRecord with a time, and a Metric with a name and a gauge of one empty data point.
        let time: [UInt8] = [0x09, 1, 0, 0, 0, 0, 0, 0, 0]
        let gauge: [UInt8] = [0x0A, 1, 0x71, 0x2A, 2, 0x0A, 0]
        for (record, name) in [(time, "logs"), (gauge, "metrics")] {
            let stage = IntakeStage()
            let scope = [0x12, UInt8(record.count)] + record
            let resource = [0x12, UInt8(scope.count)] + scope
            let outcome = stage.take([0x0A, UInt8(resource.count)] + resource)
            #expect(
                outcome.partial?.warning
                    == "no span could be read: this body has \(name), and /v1/traces takes spans only")
            #expect(outcome.refusal == nil && outcome.badIDs == 0 && stage.sink.kept == [])
            #expect(stage.values.emptyRequests == 1 && stage.values.received.values.allSatisfy { $0 == 0 })
            #expect(stage.values.refused.isEmpty && stage.values.accepted == 0)
        }
    }

    @Test("spans with bad ids are cut out and counted; the others are kept")
    func badIDs() throws {
        let stage = IntakeStage()
        #expect(stage.take(request(2, bad: 3)).badIDs == 3)
        let kept = try #require(stage.sink.kept.first)
        #expect(try scan(kept).spanCount == 2 && scan(kept).refused.isEmpty)
        #expect(stage.values.received == [.httpProtobuf: 5])
        #expect(stage.values.accepted == 2 && stage.values.refused == [.badID: 3])
    }

    @Test("a span with a number that is none is cut out, counted and told with its place; the others are kept")
    func badValues() throws {
        let stage = IntakeStage()
        var maker = RequestMaker()
        maker.span(1)
        maker.span(2) { span in
            let endless: [UInt8] = [0x50] + [UInt8](repeating: 0xFF, count: 11)
            endless.withUnsafeBytes { span.raw($0) }
        }
        maker.badSpan()
        let outcome = stage.take(maker.bytes)
        #expect(outcome.badIDs == 1)
        #expect(
            outcome.partial?.badValues == 1
                && outcome.partial?.firstProblem.hasPrefix("resource_spans[0].scope_spans[0].spans[1]") == true)
        #expect(try scan(#require(stage.sink.kept.first)).spanCount == 1)
        #expect(stage.values.refused == [.badID: 1, .badValue: 1] && stage.values.accepted == 1)
    }

    @Test("of a request without a good span nothing is kept, observed or waited for", arguments: [0, 2])
    func nothingToKeep(bad: Int) {
        let stage = IntakeStage(sink: FakeSink(acknowledgesAfterSync: true))
        #expect(stage.take(request(0, bad: bad)).badIDs == bad)
        #expect(stage.take([]).badIDs == 0)
        #expect(stage.sink.kept.isEmpty && stage.sink.observed.isEmpty)
        #expect(stage.values.accepted == 0)
    }

    @Test("bytes that are no request are refused, counted as such, and keep nothing")
    func malformed() {
        let stage = IntakeStage()
        let bodies: [([UInt8], BodyCoding, SpanSource)] = [
            ([0x0A, 9], .identity, .httpProtobuf), (Array("{".utf8), .identity, .httpJSON),
            ([1, 2, 3], .deflated, .httpProtobuf), ([1, 2, 3], .zstd, .grpcProtobuf),
        ]
        for (body, coding, source) in bodies {
            #expect(stage.take(body, coding, from: source).refusal?.reason == .malformed)
        }
        #expect(stage.values.badRequests == [.malformed: 4])
        #expect(stage.sink.kept.isEmpty && stage.values.received.isEmpty)
    }

    @Test("100,000 spans are taken in one request, one more is too large")
    func tooManySpans() {
        let stage = IntakeStage()
        func empty(_ count: Int) -> [UInt8] {
            var maker = RequestMaker()
            for _ in 0..<count { maker.badSpan() }
            return maker.bytes
        }
        #expect(stage.take(empty(SpanScanner.maxSpans)).badIDs == SpanScanner.maxSpans)
        #expect(stage.take(empty(SpanScanner.maxSpans + 1)).refusal?.reason == .tooLarge)
        #expect(stage.values.badRequests == [.tooLarge: 1])
    }

    @Test(
        "what a request becomes counts for as long as it is there, and one that becomes more than there is memory is too large"
    )
    func memory() throws {
        let trace = String(repeating: "1", count: 32)
        let json = Array(
            #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"\#(trace)","spanId":"1111111111111111"}]}]}]}"#
                .utf8)
        let roomy = IntakeStage(memoryBytes: 1000)
        #expect(roomy.take(json, from: .httpJSON).badIDs == 0 && roomy.take(request(3, bad: 1)).badIDs == 1)
        #expect(roomy.memory.heldBytes == 0)
        let narrow = IntakeStage(memoryBytes: 20)
        let refusal = narrow.take(json, from: .httpJSON).refusal
        #expect(refusal?.reason == .tooLarge && refusal?.message.hasSuffix("(memory.limit)") == true)
        // What is neither converted nor rewritten takes none.
        #expect(narrow.take(request(3)).badIDs == 0)
        #expect(narrow.take(request(3, bad: 1)).refusal?.reason == .tooLarge)
        #expect(narrow.memory.heldBytes == 0 && narrow.sink.kept.count == 1)
    }

    @Test("what is noted of task spans is bounded by the memory for it")
    func taskSpans() {
        var maker = RequestMaker()
        for number in 1...20 { maker.process(UInt64(number)) }
        #expect(IntakeStage(memoryBytes: 20 * MemoryLayout<TaskSpan>.stride).take(maker.bytes).refusal == nil)
        let narrow = IntakeStage(memoryBytes: 20 * MemoryLayout<TaskSpan>.stride - 1)
        #expect(narrow.take(maker.bytes).refusal?.reason == .tooLarge && narrow.sink.kept.isEmpty)
    }

    @Test("JSON is kept as the protobuf that it stands for, within the limit of the body")
    func json() throws {
        let trace = String(repeating: "1", count: 32)
        let body = Array(
            #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"\#(trace)","spanId":"1111111111111111"}]}]}]}"#
                .utf8)
        let stage = IntakeStage()
        #expect(stage.take(body, from: .httpJSON).badIDs == 0)
        let kept = try #require(stage.sink.kept.first)
        #expect(try scan(kept).spanCount == 1)
        #expect(stage.values.received == [.httpJSON: 1])
        // What it becomes takes a few tens of bytes.
        let small = IntakeStage(maxBodyBytes: 10)
        #expect(small.take(body, from: .httpJSON).refusal?.reason == .tooLarge)
        #expect(small.values.badRequests == [.tooLarge: 1])
    }

    @Test(
        "what the sink does not keep is counted as refused under its reason, is not observed, and its sender is told so",
        arguments: [
            (RefusalReason.spoolFull, TraceRefusal.Reason.full), (.tooLarge, .tooLarge), (.unavailable, .unavailable),
        ])
    func refusedBySink(reason: RefusalReason, told: TraceRefusal.Reason) {
        let stage = IntakeStage(
            knows: ["t": CarriedMessage(context: context(5))], sink: FakeSink(acknowledgesAfterSync: true))
        stage.sink.state.withLock { $0.refusal = SinkRefusal(reason, "because") }
        var maker = RequestMaker()
        maker.process(1)
        maker.badSpan()
        let refusal = stage.take(maker.bytes).refusal
        #expect(refusal?.reason == told && refusal?.message == "because")
        #expect(stage.values.received == [.httpProtobuf: 2] && stage.values.accepted == 0)
        #expect(stage.values.refused == [reason: 1, .badID: 1] && stage.values.badRequests.isEmpty)
        #expect(stage.sink.observed.isEmpty)
        #expect(stage.relinker.counts.links == 0, "it comes again, and is counted then")
    }

    @Test("where the disk is waited for, the answer comes with it, and says whether it has the spans")
    func durable() {
        for isDurable in [true, false] {
            let stage = IntakeStage(sink: FakeSink(acknowledgesAfterSync: true))
            let outcome = stage.take(request(1, bad: 1))
            #expect(!outcome.isKnown && stage.sink.kept.count == 1 && stage.sink.observed.count == 1)
            stage.sink.state.withLock { $0.whenDurable }?(isDurable)
            stage.loop.run()
            if isDurable {
                #expect(outcome.badIDs == 1)
            } else {
                #expect(outcome.refusal?.reason == .unavailable)
            }
        }
    }

    @Test("spans that were made of a request are kept behind it, and counted on their own")
    func madeSpans() {
        let stage = IntakeStage()
        stage.sink.state.withLock {
            $0.made = [MadeRequest(payload: [1], spanCount: 4), MadeRequest(payload: [2], spanCount: 1)]
        }
        let body = request(2)
        #expect(stage.take(body).badIDs == 0)
        #expect(stage.sink.kept == [body, [1], [2]])
        #expect(stage.values.received == [.httpProtobuf: 2, .made: 5] && stage.values.accepted == 7)
    }

    @Test("made spans that find no space are refused, and the request is accepted all the same")
    func madeSpansRefused() {
        let stage = IntakeStage()
        stage.sink.state.withLock { $0.refusal = SinkRefusal(.spoolFull, "full") }
        stage.counters.keep(MadeRequest(payload: [1], spanCount: 4), in: stage.sink)
        #expect(stage.values.received == [.made: 4] && stage.values.refused == [.spoolFull: 4])
    }
}

@Suite("Requests that the thread appends", .timeLimit(.minutes(1)))
struct AppendThreadTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    private func request(_ number: UInt64) -> [UInt8] {
        var maker = RequestMaker()
        maker.process(number)
        maker.badSpan()
        return maker.bytes
    }

    private func started() throws -> AppendThread {
        let appends = AppendThread(clock: .system)
        try appends.start()
        return appends
    }

    private func makeStage(_ appends: AppendThread, acknowledgesAfterSync: Bool = false) -> IntakeStage {
        let stage = IntakeStage(sink: FakeSink(acknowledgesAfterSync: acknowledgesAfterSync), appends: appends)
        stage.knowledge.state.withLock { $0.answers = false }
        return stage
    }

    private func take(_ body: [UInt8], _ stage: IntakeStage) async throws -> Outcome {
        try await loop.submit { stage.take(body, on: loop) }.get()
    }

    private func awaitAnswer(_ outcome: Outcome) async throws {
        while !outcome.isKnown { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test("What is accepted is kept, counted and observed before its sender hears so", arguments: [false, true])
    func accepted(awaitsSync: Bool) async throws {
        let appends = try started()
        let stage = makeStage(appends, acknowledgesAfterSync: awaitsSync)
        var outcomes: [Outcome] = []
        for number in 1...3 { outcomes.append(try await take(request(UInt64(number)), stage)) }
        appends.stop(until: MonotonicTime(nanoseconds: .max))
        #expect(stage.sink.kept.count == 3 && stage.sink.observed.map(\.count) == [1, 1, 1])
        #expect(stage.sink.state.withLock { $0.taskIDs } == ["t", "t", "t"])
        if awaitsSync {
            #expect(!outcomes[2].isKnown)
            stage.sink.state.withLock { $0.whenDurable }?(true)
        }
        try await awaitAnswer(outcomes[2])
        #expect(outcomes[2].badIDs == 1)
        #expect(stage.values.received == [.httpProtobuf: 6] && stage.values.refused == [.badID: 3])
        #expect(try await take(request(4), stage).refusal?.message == "the program is ending")
        #expect(stage.values.refused == [.badID: 4, .unavailable: 1])
    }

    @Test("What the sink refuses is told as it says")
    func refused() async throws {
        let appends = try started()
        let stage = makeStage(appends)
        stage.sink.state.withLock { $0.refusal = SinkRefusal(.spoolFull, "full") }
        let outcome = try await take(request(1), stage)
        try await awaitAnswer(outcome)
        #expect(outcome.refusal?.reason == .full && stage.values.refused == [.badID: 1, .spoolFull: 1])
        appends.stop(until: MonotonicTime(nanoseconds: .max))
    }

    @Test("While a disk hangs, senders are refused within a second, and nothing of theirs is kept when it is back")
    func hanging() async throws {
        let appends = try started()
        let stage = makeStage(appends)
        let disk = Semaphore()
        stage.sink.state.withLock { $0.disk = disk }
        let began = ContinuousClock.now
        let outcomes = [try await take(request(1), stage), try await take(request(2), stage)]
        for outcome in outcomes {
            try await awaitAnswer(outcome)
            #expect(outcome.refusal?.reason == .unavailable && outcome.refusal?.message == AppendThread.stalled)
        }
        #expect(ContinuousClock.now - began >= .milliseconds(500))
        // Those that come now need not wait.
        #expect(try await take(request(3), stage).refusal?.message == AppendThread.stalled)
        #expect(stage.values.received == [.httpProtobuf: 6] && stage.values.accepted == 0)
        #expect(stage.values.refused == [.badID: 3, .unavailable: 3])
        stage.sink.state.withLock { $0.disk = nil }
        disk.post()
        var last: Outcome
        repeat {
            last = try await take(request(4), stage)
            try await awaitAnswer(last)
        } while last.refusal != nil
        #expect(last.badIDs == 1 && stage.sink.kept.count == 1 && stage.values.accepted == 1)
        appends.stop(until: MonotonicTime(nanoseconds: .max))
    }

    @Test("A thread that does not get to its work, or hangs in it, is overdue")
    func overdue() async throws {
        let appends = AppendThread(clock: .system)
        let later = Clock.system.monotonic().advanced(by: .seconds(60))
        #expect(!appends.heartbeat.isOverdue(at: later))
        let stage = makeStage(appends)
        let outcome = try await take(request(1), stage)
        #expect(appends.heartbeat.isOverdue(at: later) && !appends.heartbeat.isOverdue(at: Clock.system.monotonic()))
        let disk = Semaphore()
        stage.sink.state.withLock { $0.disk = disk }
        try appends.start()
        try await Task.sleep(for: .milliseconds(20))
        #expect(appends.heartbeat.isOverdue(at: later))
        disk.post()
        try await awaitAnswer(outcome)
        appends.stop(until: MonotonicTime(nanoseconds: .max))
        #expect(!appends.heartbeat.isOverdue(at: later))
    }

    @Test("16 MiB wait for the disk at most, or one request that is larger")
    func space() async throws {
        // Not started yet: nothing has its turn.
        let appends = AppendThread(clock: .system)
        let stage = makeStage(appends)
        func padded(_ bytes: Int) async throws -> Outcome {
            var maker = RequestMaker()
            maker.span(1) { $0.string(5, String(repeating: "x", count: bytes)) }
            return try await take(maker.bytes, stage)
        }
        let large = try await padded(17 << 20)
        #expect(!large.isKnown)
        #expect(try await padded(1).refusal?.message.hasPrefix("more requests wait") == true)
        try await Task.sleep(for: .seconds(1))
        #expect(!large.isKnown, "it is behind no append that hangs")
        try appends.start()
        try await awaitAnswer(large)
        #expect(large.badIDs == 0 && stage.sink.kept.count == 1 && stage.values.refused == [.unavailable: 1])
        let next = try await padded(1 << 20)
        try await awaitAnswer(next)
        #expect(next.badIDs == 0)
        appends.stop(until: MonotonicTime(nanoseconds: .max))
    }
}

@Suite("Requests that would hold the event loop", .timeLimit(.minutes(1)))
struct LongRequestTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    private func padded(_ bytes: Int) -> [UInt8] {
        var maker = RequestMaker()
        maker.process(1) { $0.string(5, String(repeating: "x", count: bytes)) }
        return maker.bytes
    }

    private func awaitAnswer(_ outcome: Outcome) async throws {
        while !outcome.isKnown { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test("A thread reads those of 256 KiB and more, and packed ones of 16 KiB; others are read at once")
    func length() async throws {
        let worker = SerialThread(name: "test", clock: .system)
        let stage = IntakeStage(worker: worker)
        stage.knowledge.state.withLock { $0.answers = false }
        func take(_ body: [UInt8], _ coding: BodyCoding = .identity) async throws -> Outcome {
            try await loop.submit { stage.take(body, coding, on: loop) }.get()
        }
        #expect(try await take(padded(200 << 10)).badIDs == 0)
        #expect(try await take([UInt8](repeating: 7, count: 16_383), .deflated).refusal?.reason == .malformed)
        let long = [try await take(padded(256 << 10)), try await take([UInt8](repeating: 7, count: 16_384), .deflated)]
        #expect(!long[0].isKnown && !long[1].isKnown && stage.sink.kept.count == 1, "the thread has not begun")
        try worker.start()
        for outcome in long { try await awaitAnswer(outcome) }
        #expect(long[0].badIDs == 0 && long[1].refusal?.reason == .malformed && stage.sink.kept.count == 2)
        worker.stop(until: MonotonicTime(nanoseconds: .max))
        #expect(try await take(padded(256 << 10)).refusal?.message == "the program is ending")
    }

    @Test("One that waits for Redis goes on by the thread")
    func asked() async throws {
        let worker = SerialThread(name: "test", clock: .system)
        try worker.start()
        let stage = IntakeStage(worker: worker)
        let body = padded(300 << 10)
        let outcome = try await loop.submit { stage.take(body, on: loop) }.get()
        while stage.knowledge.state.withLock({ $0.whenDone == nil }) { try await Task.sleep(for: .milliseconds(1)) }
        #expect(!outcome.isKnown)
        stage.knowledge.answer(["t": CarriedMessage(context: context(5))])
        try await awaitAnswer(outcome)
        #expect(outcome.badIDs == 0 && stage.relinker.counts.links == 1)
        worker.stop(until: MonotonicTime(nanoseconds: .max))
    }
}

@Suite("Requests whose tasks Redis knows")
struct TraceIntakeRelinkTests {
    private let message = CarriedMessage(context: context(5), enqueuedAt: WallTime(seconds: 7))

    private func orphan(_ id: String = "t", padding: Int = 0) -> [UInt8] {
        var maker = RequestMaker()
        maker.process(1, id: id) { span in
            if padding > 0 { span.string(5, String(repeating: "x", count: padding)) }
        }
        return maker.bytes
    }

    private func links(in payload: [UInt8]) throws -> [SpanReference] { try scan(payload).taskSpans.map(\.link) }

    @Test("a task that is known is linked at once; the metrics get what its message says")
    func known() throws {
        let stage = IntakeStage(knows: ["t": message])
        #expect(stage.take(orphan()).badIDs == 0)
        #expect(try links(in: #require(stage.sink.kept.first)) == [context(5).reference])
        let observed = try #require(stage.sink.observed.first?.first)
        #expect(observed.link == context(5).reference && observed.knowledge.message == message)
        #expect(stage.relinker.counts.links == 1)
        #expect(stage.knowledge.state.withLock { $0.looks } == 1)
        #expect(stage.knowledge.state.withLock { $0.questions.isEmpty })
    }

    @Test("a task that is not known is asked for; the request goes on with the answer, and looks once more")
    func asked() throws {
        let stage = IntakeStage()
        let outcome = stage.take(orphan())
        #expect(!outcome.isKnown && stage.sink.kept.isEmpty && stage.values.received.isEmpty)
        #expect(stage.knowledge.state.withLock { $0.questions.count } == 1)
        // Another request comes meanwhile: the bytes of the first are its own.
        var other = RequestMaker()
        other.span(9)
        #expect(stage.take(other.bytes).badIDs == 0)
        stage.knowledge.answer(["t": message])
        stage.loop.run()
        #expect(outcome.badIDs == 0)
        #expect(try links(in: #require(stage.sink.kept.last)) == [context(5).reference])
        #expect(stage.sink.observed.last?.first?.knowledge.message == message)
        #expect(stage.knowledge.state.withLock { $0.looks } == 2)
    }

    @Test("an answer that knows nothing, or no answer in time, lets the request go on as it came")
    func askedInVain() {
        let stage = IntakeStage()
        let body = orphan()
        let outcome = stage.take(body)
        stage.knowledge.answer([:])
        stage.loop.run()
        #expect(outcome.badIDs == 0 && stage.sink.kept == [body])
        #expect(stage.relinker.counts.notFound == 1)
    }

    @Test("where Redis is not asked, the request does not wait")
    func notAsked() {
        let stage = IntakeStage()
        stage.knowledge.state.withLock { $0.answers = false }
        let body = orphan()
        #expect(stage.take(body).badIDs == 0 && stage.sink.kept == [body])
        #expect(stage.relinker.counts.notFound == 1 && stage.relinker.counts.overLimit == 0)
    }

    @Test("after the answer the disk is waited for as well")
    func askedAndDurable() {
        let stage = IntakeStage(sink: FakeSink(acknowledgesAfterSync: true))
        let outcome = stage.take(orphan())
        stage.knowledge.answer(["t": message])
        stage.loop.run()
        #expect(!outcome.isKnown && stage.sink.kept.count == 1)
        stage.sink.state.withLock { $0.whenDurable }?(true)
        stage.loop.run()
        #expect(outcome.badIDs == 0)
    }

    @Test("16 MiB of requests wait for Redis at most; what is beyond goes on without asking, and is counted")
    func space() {
        let stage = IntakeStage()
        let waiting = stage.take(orphan(padding: 10 << 20))
        #expect(!waiting.isKnown)
        #expect(stage.take(orphan("u", padding: 7 << 20)).badIDs == 0)
        #expect(stage.relinker.counts.overLimit == 1)
        #expect(stage.knowledge.state.withLock { $0.questions.count } == 1)
        // Its space is free again when it has gone on.
        stage.knowledge.answer([:])
        stage.loop.run()
        #expect(waiting.badIDs == 0)
        #expect(!stage.take(orphan("u", padding: 7 << 20)).isKnown)
        #expect(stage.relinker.counts.overLimit == 1)
    }

    @Test("a request that Redis is not asked for takes none of the space")
    func refusedSpace() {
        let stage = IntakeStage()
        stage.knowledge.state.withLock { $0.answers = false }
        for _ in 0..<3 { #expect(stage.take(orphan(padding: 9 << 20)).badIDs == 0) }
        #expect(stage.relinker.counts.overLimit == 0)
    }

    @Test("a bad span and a lost context in one request: one is cut out, the other restored")
    func both() throws {
        let stage = IntakeStage(knows: ["t": message])
        var maker = RequestMaker()
        maker.badSpan()
        maker.process(1)
        maker.badSpan()
        #expect(stage.take(maker.bytes).badIDs == 2)
        let kept = try #require(stage.sink.kept.first)
        #expect(try links(in: kept) == [context(5).reference] && scan(kept).spanCount == 1)
        // The ranges of the spans refer to the request as it came.
        #expect(stage.sink.state.withLock { $0.taskIDs } == ["t"])
    }
}
