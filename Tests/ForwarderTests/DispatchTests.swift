import CCurl
import Model
import TestSupport
import Testing

@testable import Forwarder
@testable import OTLPClient
@testable import Spool

/// What an operator expects of a forwarder, on hours of a modelled backend.
@Suite("Dispatch")
struct DispatchTests {
    private static func batches(_ count: Int, frames: Int = 1, spansPerFrame: Int = 1) -> ArraySlice<SpoolBatch> {
        ArraySlice((0..<count).map { makeBatch($0 * frames + 1...($0 + 1) * frames, spansPerFrame: spansPerFrame) })
    }

    private static func outcome(_ status: Int, _ text: String = "", retryAfter: UInt64 = 0) -> OTLPOutcome {
        OTLPOutcome.of(OTLPAnswer(status: status, body: Array(text.utf8), retryAfterSeconds: retryAfter), for: .traces)
    }

    private static let accepted = outcome(200)

    private static let broken: OTLPOutcome = {
        var answer = OTLPAnswer()
        answer.failure = TransferFailure(
            CURLE_RECV_ERROR, for: .traces, text: "connection reset", sentBytes: 1, connectStatus: 0, proxyVariable: nil
        )
        return OTLPOutcome.of(answer, for: .traces)
    }()

    /// Until when there is nothing to do; nil where there is.
    private static func waitsUntil(_ dispatch: inout Dispatch, at now: MonotonicTime) -> MonotonicTime? {
        if case .wait(let moment) = dispatch.next(at: now, freshAt: nil) { return moment }
        return nil
    }

    private static func sent(_ dispatch: inout Dispatch, at now: MonotonicTime) -> Delivery? {
        if case .send(let delivery) = dispatch.next(at: now, freshAt: nil) { return delivery }
        return nil
    }

    private static func holds(_ batch: SpoolBatch, _ sequences: UInt64...) -> Bool {
        batch.frames.contains { sequences.contains($0.sequence) }
    }

    @Test("What passed before a request's last try says nothing of its next failure")
    func passedBefore() throws {
        var dispatch = Dispatch(try ForwarderOptions.test("http://h"))
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        let deliveries = [1, 2].compactMap { dispatch.begin(makeBatch([$0]).frames, at: now) }
        _ = dispatch.finish(deliveries[1], Self.accepted, at: now, jitter: 0)
        _ = dispatch.finish(deliveries[0], Self.outcome(503), at: now, jitter: 0)
        let later = now.advanced(by: .seconds(60))
        let again = try #require(Self.sent(&dispatch, at: later))
        let effects = dispatch.finish(again, Self.broken, at: later, jitter: 0)
        #expect(effects.count == 1 && dispatch.isProbing)
        guard case .failing = effects.first else {
            Issue.record("a suspect, though nothing passed since: \(effects)")
            return
        }
    }

    @Test(
        "In an outage two requests may be on their way or wait, also where one at a time is sent", arguments: [1, 2, 4])
    func fewInOutage(maxInFlight: Int) throws {
        var options = try ForwarderOptions.test("http://h")
        options.maxInFlight = maxInFlight
        var dispatch = Dispatch(options)
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        var batches = 0
        for number in 1...6 {
            guard case .read(isLone: false) = dispatch.next(at: now, freshAt: now),
                let delivery = dispatch.begin(makeBatch([number]).frames, at: now)
            else { break }
            batches += 1
            _ = dispatch.finish(delivery, Self.outcome(503), at: now, jitter: 0)
            now = now.advanced(by: .seconds(60))
        }
        #expect(batches == max(2, maxInFlight))
    }

    @Test(
        "An hour in which every request is answered so loses nothing, and holds a handful of batches",
        arguments: [
            500, 599, 503, 429, 401, 403, 404, 302, 502, 504, 408, 0,
        ])
    func outage(status: Int) throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(5000, frames: 3)
        model.run(seconds: 3600) { _, _ in status == 0 ? Self.broken : Self.outcome(status) }
        #expect(model.delivered.isEmpty && model.refused.isEmpty)
        #expect(model.held <= Dispatch.maxProbes + Dispatch.maxWaiting + 1)
        #expect(model.heldBytes <= 4 * 3 * 100, "what is on its way")
        #expect(model.requests >= 100 && model.requests < 300, "\(model.requests) requests in an hour")
        #expect(model.pauses.allSatisfy { $0 <= .seconds(30) })
        model.run { _, _ in Self.accepted }
        #expect(model.delivered.count == 15_000 && model.refused.isEmpty)
    }

    @Test(
        "Of two backends behind a balancer one is broken: every second request fails, nothing is lost",
        arguments: 1...4 as ClosedRange<UInt64>, [500, 403, 502])
    func halfBroken(seed: UInt64, status: Int) throws {
        var model = try ModelledForwarder(seed: seed)
        model.spooled = seed % 2 == 0 ? Self.batches(2000) : Self.batches(400, frames: 5, spansPerFrame: 2)
        let spans = model.spooled.reduce(0) { $0 + $1.spanCount }
        var random = SeededGenerator(seed: seed)
        model.run { _, _ in random.next() % 2 == 0 ? Self.outcome(status) : Self.accepted }
        #expect(model.deliveredSpans == spans)
        #expect(model.refused.isEmpty)
    }

    @Test("One request that always gets 500 is found, dropped alone, and stops nobody", arguments: [1, 8, 30])
    func poison(frames: Int) throws {
        var model = try ModelledForwarder()
        model.arrive(batches: 600, frames: frames, from: 1)
        let poison = UInt64(50 * frames)
        var firstFault: MonotonicTime?
        var longest = Duration.zero
        var last = model.now
        model.run(seconds: 700) { batch, now in
            if Self.holds(batch, poison) {
                firstFault = firstFault ?? now
                return Self.outcome(500, "no")
            }
            longest = max(longest, now.duration(since: last))
            last = now
            return Self.accepted
        }
        #expect(model.refused.values.flatMap { $0 } == [poison])
        #expect(model.refused.keys.allSatisfy { $0.hasPrefix("500: no (") })
        #expect(model.droppedSpans == [.refused: 1])
        #expect(model.deliveredSpans == 600 * frames - 1)
        #expect(longest < .seconds(4), "the others had to wait")
    }

    @Test(
        "One request that is always told to come later is kept, and seldom keeps the others waiting",
        arguments: [429, 503])
    func neverNow(status: Int) throws {
        var model = try ModelledForwarder()
        model.arrive(batches: 6000, frames: 1, from: 1, perSecond: 10)
        var tries = 0
        model.run(seconds: 600) { batch, _ in
            if !Self.holds(batch, 100) { return Self.accepted }
            tries += 1
            return Self.outcome(status)
        }
        #expect(model.deliveredSpans == 5999 && model.droppedSpans.isEmpty)
        #expect(model.dispatch.waitingCount == 1)
        #expect((15...60).contains(tries), "\(tries) tries in ten minutes")
    }

    @Test("What takes the backend down is not all that it gets to see after each restart")
    func crasher() throws {
        var model = try ModelledForwarder { $0.maxInFlight = 1 }
        model.spooled = Self.batches(100)
        var downUntil = MonotonicTime(nanoseconds: 0)
        model.run(seconds: 4000) { batch, now in
            if now < downUntil { return Self.broken }
            if Self.holds(batch, 1) {
                downUntil = now.advanced(by: .seconds(1))
                return Self.broken
            }
            return Self.accepted
        }
        #expect(model.delivered.count == 99, "all but the one, which is kept")
        #expect(model.refused.isEmpty)
    }

    @Test("Requests that never get an answer while others pass are kept, and block nobody")
    func blackHoles() throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(300)
        model.run(seconds: 600) { batch, _ in Self.holds(batch, 7, 70, 170) ? Self.broken : Self.accepted }
        #expect(model.delivered.count == 297)
        #expect(model.refused.isEmpty)
        model.run { _, _ in Self.accepted }
        #expect(model.delivered.count == 300)
    }

    @Test(
        "Many requests that never get an answer while others pass: a few are kept, the rest is given up and counted",
        arguments: [Duration.seconds(10), .milliseconds(5)])
    func manyBlackHoles(answerTime: Duration) throws {
        var model = try ModelledForwarder()
        model.arrive(batches: 3000, frames: 1, from: 1)
        let isBlackHole = { (batch: SpoolBatch) in
            batch.frames.contains { $0.sequence <= 1200 && $0.sequence % 20 == 0 }
        }
        model.answerTime = { isBlackHole($0) ? answerTime : .milliseconds(5) }
        var longest = 0.0
        model.run(seconds: 4000) { batch, now in
            if isBlackHole(batch) { return Self.broken }
            let arrived = 1 + Double(batch.frames[0].sequence - 1)
            longest = max(longest, now.seconds(since: MonotonicTime(nanoseconds: UInt64(arrived * 1e9))))
            return Self.accepted
        }
        #expect(model.deliveredSpans == 3000 - 60)
        #expect(longest < 10, "the others had to wait \(longest) s")
        #expect(model.droppedSpans.keys.allSatisfy { $0 == .unanswered })
        #expect(model.dispatch.waitingCount <= Dispatch.maxWaiting, "\(model.dispatch.waitingCount) wait")
        #expect(model.delivered.count + model.dispatch.waitingCount == 3000, "nothing is gone without a count")
    }

    @Test(
        "Some bad requests in a row, when nothing else is on its way, do not block what comes later for ever",
        arguments: [
            (500, 4), (500, 40), (502, 4), (502, 40), (403, 10),
        ])
    func badRequestsInARow(status: Int, count: Int) throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(count)
        model.run(seconds: 60) { _, _ in Self.outcome(status) }
        model.arrive(batches: 3000, frames: 1, from: count + 1)
        model.run(seconds: 7200) { batch, _ in
            batch.frames.contains { $0.sequence <= count } ? Self.outcome(status) : Self.accepted
        }
        #expect(model.deliveredSpans == 3000)
        #expect(model.delivered.count + model.dispatch.waitingCount == 3000 + count)
        if status == 502 {
            #expect(model.refused.isEmpty == (count < Dispatch.maxWaiting))
        } else {
            #expect(model.delivered.count == 3000 + count)
        }
    }

    @Test("Where too many wait, sixteen new requests are tried in their place, and as many again once one has passed")
    func looksBeyond() throws {
        var dispatch = Dispatch(try ForwarderOptions.test("http://h"))
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        var sequence = 0
        /// Sends new requests, which all fail, as long as new ones are taken. Returns how many.
        func sendFresh() throws -> Int {
            var count = 0
            while true {
                now = now.advanced(by: .seconds(3600))
                guard dispatch.wantsFresh(at: now), count < 1000 else { return count }
                count += 1
                sequence += 1
                let begun = dispatch.begin(makeBatch([sequence]).frames, at: now)
                let delivery = try #require(begun)
                _ = dispatch.finish(delivery, .retry(afterSeconds: 0, reason: "503"), at: now, jitter: 0)
            }
        }
        #expect(try sendFresh() == Dispatch.maxProbes + Dispatch.maxWaiting)
        #expect(try sendFresh() == 0)
        for outcome in [Self.accepted, .retry(afterSeconds: 0, reason: "503")] {
            now = now.advanced(by: .seconds(3600))
            guard case .send(let delivery) = dispatch.next(at: now, freshAt: nil) else {
                Issue.record("one that waits is to be sent")
                return
            }
            _ = dispatch.finish(delivery, outcome, at: now, jitter: 0)
        }
        #expect(dispatch.isProbing && dispatch.waitingCount == Dispatch.maxProbes + Dispatch.maxWaiting - 1)
        #expect(try sendFresh() == Dispatch.maxWaiting)
    }

    @Test(
        "Of large requests, as many as come, memory holds those on their way only",
        arguments: [
            500, 503, 502, 401,
        ])
    func largeRequests(status: Int) throws {
        let bytes = 15 << 20
        for isLarge in [true, false] {
            var model = try ModelledForwarder()
            // Of one span, so that they can't be halved, or of many.
            let spans = isLarge ? 1 : 150
            let batch = makeBatch(1...1, spansPerFrame: spans, nameBytes: bytes / spans)
            model.spooled = ArraySlice((1...8).map { batch.renamed(UInt64($0)) })
            let start = model.now
            model.run(seconds: 7200) { _, now in
                now.seconds(since: start) < 3600 ? Self.outcome(status) : Self.accepted
            }
            #expect(model.heldBytes <= 4 * (bytes + 4096))
            #expect(model.delivered == Set(1...8))
        }
    }

    @Test("Two large requests that are never taken don't keep the others waiting", arguments: [500, 502])
    func neverTakenLarge(status: Int) throws {
        var model = try ModelledForwarder()
        let large = makeBatch(1...1, spansPerFrame: 150, nameBytes: 100_000)
        model.spooled = [large.renamed(101), large.renamed(102)] + Self.batches(50)
        model.run(seconds: 3600) { batch, _ in batch.bytes.count > 5 << 20 ? Self.outcome(status) : Self.accepted }
        #expect(model.delivered == Set(1...50).union([101, 102]))
    }

    @Test(
        "Large requests of which every part is bad don't keep the others waiting",
        arguments: [(500, 2), (502, 2), (500, 3)])
    func allBadAndLarge(status: Int, count: UInt64) throws {
        var model = try ModelledForwarder()
        let large = makeBatch(1...1, spansPerFrame: 290, nameBytes: 30_000)
        model.spooled = ArraySlice((1...count).map { large.renamed(100 + $0) }) + Self.batches(50)
        model.run(seconds: 3600) { batch, _ in batch.frames[0].sequence > 100 ? Self.outcome(status) : Self.accepted }
        #expect(model.delivered.isSuperset(of: Set(1...50)))
    }

    @Test(
        "A request so large that it breaks the connection is halved, though nothing else passes; others are not",
        arguments: [
            (10, 100_000, 1 << 20), (30, 100_000, 1 << 20),
        ])
    func brokenBySize(spans: Int, spanBytes: Int, limit: Int) throws {
        var model = try ModelledForwarder()
        model.spooled = [makeBatch(1...1, spansPerFrame: spans, nameBytes: spanBytes)]
        var smallest = Int.max
        model.run(seconds: 600) { batch, _ in
            smallest = min(smallest, batch.spanCount)
            return batch.bytes.count > limit ? Self.broken : Self.accepted
        }
        #expect(model.delivered == [1] && model.deliveredSpans == spans)
        #expect(smallest == (spans == 10 ? 10 : 7), "spans of the smallest request")
    }

    @Test("An outage of hours divides batches into a bounded number of parts, and no request that is not large")
    func outageDividesLittle() throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(10, frames: 100, spansPerFrame: 10)
        var smallest = Int.max
        model.run(seconds: 36_000) { batch, _ in
            smallest = min(smallest, batch.spanCount)
            return Self.broken
        }
        #expect(smallest >= 10)
        #expect(model.held <= Dispatch.maxProbes + Dispatch.maxWaiting + 1)
        model.run { _, _ in Self.accepted }
        #expect(model.deliveredSpans == 10_000)
    }

    @Test(
        "Good requests that share every batch with a bad one get through though nothing else comes",
        arguments: [500, 502])
    func shared(status: Int) throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(3, frames: 10)
        model.run(seconds: 1800) { batch, _ in Self.holds(batch, 5, 11, 30) ? Self.outcome(status) : Self.accepted }
        #expect(model.deliveredSpans == 27)
    }

    @Test(
        "Before the end one more request is sent at once, unless the backend asked for a longer pause",
        arguments: [0, 20])
    func hurry(retryAfter: UInt64) throws {
        var dispatch = try ModelledForwarder { $0.retryInitial = .seconds(30) }.dispatch
        let start = MonotonicTime(nanoseconds: 1_000_000_000)
        let later = start.advanced(by: .seconds(1))
        let begun = dispatch.begin(makeBatch(1...1).frames, at: start)
        let first = try #require(begun)
        _ = dispatch.finish(first, Self.outcome(503, retryAfter: retryAfter), at: start, jitter: 0)
        let due = start.advanced(by: .seconds(retryAfter == 0 ? 30 : 20))
        #expect(Self.waitsUntil(&dispatch, at: start) == due)
        dispatch.hurry(at: later)
        #expect(Self.waitsUntil(&dispatch, at: start) == (retryAfter == 0 ? later : due))
    }

    @Test("A pause that the backend has asked for stays, whatever becomes of requests that were on their way")
    func askedPauseStays() throws {
        var dispatch = try ModelledForwarder().dispatch
        let start = MonotonicTime(nanoseconds: 1_000_000_000)
        let begun = try (1...3).map { number in
            let delivery = dispatch.begin(makeBatch([number]).frames, at: start)
            return try #require(delivery)
        }
        let outcomes = [Self.outcome(503, retryAfter: 60), Self.accepted, Self.outcome(503)]
        for (delivery, outcome) in zip(begun, outcomes) {
            _ = dispatch.finish(delivery, outcome, at: start, jitter: 0)
        }
        #expect(Self.waitsUntil(&dispatch, at: start) == start.advanced(by: .seconds(60)))
    }

    @Test("What the spool need not send is forgotten, what it can't read waits; neither says anything of the backend")
    func unsent() throws {
        var dispatch = try ModelledForwarder { $0.maxInFlight = 1 }.dispatch
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        let later = now.advanced(by: .seconds(1))
        let begun = dispatch.begin(makeBatch(1...1, spansPerFrame: 4).frames, at: now)
        let whole = try #require(begun)
        _ = dispatch.finish(whole, Self.outcome(413), at: now, jitter: 0)
        let part = try #require(Self.sent(&dispatch, at: now))
        #expect(part.spanCount == 2)
        #expect(Self.waitsUntil(&dispatch, at: now) == nil, "one at a time")
        dispatch.postpone(part, until: later)
        let other = try #require(Self.sent(&dispatch, at: now))
        #expect(other.address != part.address)
        dispatch.forget(other)
        #expect(Self.waitsUntil(&dispatch, at: now) == later && !dispatch.isProbing)
        let again = try #require(Self.sent(&dispatch, at: later))
        #expect(again.address == part.address && again.failures == 0)
        dispatch.forget(again)
        #expect(dispatch.isIdle)
    }

    @Test("What is left of a request that an earlier process sent in part is sent in the parts in which it is left")
    func begunBefore() throws {
        var dispatch = try ModelledForwarder().dispatch
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        let frame = makeBatch([7], spansPerFrame: 10).frames[0]
        #expect(dispatch.begin([frame], unsentSpans: [6..<10, 0..<2], at: now) == nil)
        for range in [0..<2, 6..<10] {
            let part = try #require(Self.sent(&dispatch, at: now))
            #expect(part.address == .spans(range, of: frame), "the smaller first")
            guard
                case .settle(let address, dropped: 0, _)? =
                    dispatch.finish(part, Self.accepted, at: now, jitter: 0).last
            else {
                Issue.record("expected a settlement")
                return
            }
            #expect(address == part.address)
        }
        #expect(dispatch.isIdle)
    }

    @Test("A firewall that takes offence at one request refuses that one")
    func forbidden() throws {
        var model = try ModelledForwarder()
        model.arrive(batches: 400, frames: 4, from: 1)
        model.run(seconds: 500) { batch, _ in Self.holds(batch, 40) ? Self.outcome(403) : Self.accepted }
        #expect(model.refused.values.flatMap { $0 } == [40])
        #expect(model.deliveredSpans == 1599)
    }

    @Test("400 drops the culprits alone, in about as many requests as it takes to find them")
    func refused() throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(10, frames: 64)
        model.run { batch, _ in Self.holds(batch, 1, 100, 101, 640) ? Self.outcome(400) : Self.accepted }
        #expect(model.refused.values.flatMap { $0 }.sorted() == [1, 100, 101, 640])
        #expect(model.deliveredSpans == 636)
        #expect(model.droppedSpans == [.refused: 4])
        #expect(model.requests <= 10 + 4 * 2 * 6)
        #expect(model.pauses.isEmpty, "the backend answers: nobody has to wait")
    }

    @Test("Too large is halved by requests, then by spans, until it passes", arguments: [1, 3, 7, 1000])
    func tooLarge(most: Int) throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(2, frames: 10, spansPerFrame: 25)
        model.run { batch, _ in
            batch.spanCount > most ? Self.outcome(413) : Self.accepted
        }
        #expect(model.delivered.count == 20 && model.deliveredSpans == 500)
        #expect(model.droppedSpans.isEmpty && model.refused.isEmpty)
    }

    @Test("A single span that is too large is dropped, its neighbours are not")
    func tooLargeSpan() throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(1, frames: 2, spansPerFrame: 8)
        model.run { batch, _ in Self.holds(batch, 2) ? Self.outcome(400, "request body too large") : Self.accepted }
        #expect(model.deliveredSpans == 8)
        #expect(model.droppedSpans == [.refused: 8])
        #expect(model.refused["400: request body too large"]?.count == 8)
    }

    @Test("A resource larger than what the backend takes is not repeated for each span", arguments: [true, false])
    func hugeResource(isAnswered: Bool) throws {
        var model = try ModelledForwarder()
        let huge = makeBatch(100...100, spansPerFrame: 512, resourceBytes: 3 << 20)
        model.spooled = [huge] + Self.batches(20)
        let start = model.now
        // Without an answer, an hour in which nothing passes comes first, and this one is kept for ever.
        model.run(seconds: 7200) { batch, now in
            if isAnswered { return batch.bytes.count > 1 << 20 ? Self.outcome(413) : Self.accepted }
            return now.seconds(since: start) < 3600 || batch.bytes.count > 1 << 20 ? Self.broken : Self.accepted
        }
        #expect(model.requests < (isAnswered ? 50 : 600), "a few megabytes, not 512 times three")
        #expect(model.delivered.isSuperset(of: 1...20))
        #expect(model.droppedSpans == (isAnswered ? [.refused: 512] : [:]))
    }

    @Test(
        "However often a request is halved, few of its parts wait, and what is sent is a few times its bytes",
        arguments: [
            (200, 1), (3000, 2), (100_000, 100),
        ])
    func partsThatWait(resourceBytes: Int, spans: Int) throws {
        var model = try ModelledForwarder()
        let whole = makeBatch(1...1, spansPerFrame: 1024, nameBytes: 2000, resourceBytes: resourceBytes)
        model.spooled = [whole]
        var sentBytes = 0
        model.run { batch, _ in
            sentBytes += batch.bytes.count
            return batch.spanCount > spans ? .tooLarge(reason: "413") : .accepted(rejected: 0, message: "")
        }
        #expect(model.deliveredSpans == 1024 && model.droppedSpans.isEmpty)
        #expect(model.held <= 4 * 10)
        #expect(sentBytes <= whole.bytes.count * 2 * 10)
    }

    @Test("Parts of a request that fare differently are counted each by itself")
    func mixedParts() throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(1, frames: 1, spansPerFrame: 4)
        var answers = 0
        model.run { batch, _ in
            if batch.spanCount > 1 { return Self.outcome(413) }
            answers += 1
            switch answers {
            case 1: return Self.accepted
            case 2: return .accepted(rejected: 1, message: "late")
            case 3: return Self.outcome(503)
            default: return Self.outcome(400)
            }
        }
        #expect(model.delivered == [1])
        #expect(model.deliveredSpans == 1)
        #expect(model.droppedSpans == [.rejected: 1, .refused: 2])
        #expect(model.settledSpans.isEmpty)
    }

    @Test(
        "Retry-After is heeded whatever the status and the words, but for a faster pace of what is misconfigured",
        arguments: [200, 307, 400, 401, 403, 404, 413, 415, 422, 429, 500, 502, 503], ["<p>", "request too large"])
    func retryAfterOfAnyAnswer(status: Int, text: String) throws {
        for (asked, expected) in [(300, 300), (.max, 3600)] as [(UInt64, Double)] {
            var dispatch = Dispatch(try ForwarderOptions.test("http://h"))
            let now = MonotonicTime(nanoseconds: 1_000_000_000)
            let begun = dispatch.begin(makeBatch([1, 2]).frames, at: now)
            let delivery = try #require(begun)
            let effects = dispatch.finish(
                delivery, Self.outcome(status, text, retryAfter: asked), retryAfterSeconds: asked, at: now, jitter: 0)
            let pauses = effects.compactMap { effect in
                switch effect {
                case .failing(_, _, let pause), .paused(_, let pause): pause
                default: nil
                }
            }
            #expect(pauses == [.seconds(expected)], "\(effects)")
            #expect(dispatch.gate.seconds(since: now) == expected)
            #expect(!dispatch.wantsFresh(at: now.advanced(by: .seconds(expected - 1))))
        }
    }

    @Test("What is misconfigured is tried at the slowest pace, also where the backend asks for a shorter pause")
    func misconfiguredPace() throws {
        var dispatch = Dispatch(try ForwarderOptions.test("http://h"))
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        let begun = dispatch.begin(makeBatch([1]).frames, at: now)
        let delivery = try #require(begun)
        _ = dispatch.finish(delivery, Self.outcome(401), retryAfterSeconds: 1, at: now, jitter: 0)
        #expect(dispatch.gate.seconds(since: now) > 5)
    }

    @Test("Retry-After is obeyed to the second, by all")
    func retryAfter() throws {
        var model = try ModelledForwarder()
        model.spooled = Self.batches(8)
        var first: MonotonicTime?
        var next: MonotonicTime?
        model.run { _, now in
            if let first, now.seconds(since: first) > 0.1 {
                next = next ?? now
                return Self.accepted
            }
            first = first ?? now
            return Self.outcome(429, retryAfter: 20)
        }
        #expect(try #require(next).seconds(since: try #require(first)) >= 20)
        #expect(model.delivered.count == 8)
    }

    @Test(
        "However answers come, every span is delivered, dropped, or still there",
        arguments: 1...60 as ClosedRange<UInt64>)
    func books(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var model = try ModelledForwarder(seed: seed) { $0.maxInFlight = Int(1 + seed % 4) }
        let frames = Int(1 + seed % 7)
        model.spooled = Self.batches(100, frames: frames, spansPerFrame: Int(1 + seed % 5))
        let total = model.spooled.reduce(0) { $0 + $1.spanCount }
        let outcomes: [OTLPOutcome] = [
            Self.outcome(500), Self.outcome(503), Self.outcome(429, retryAfter: 2), Self.outcome(413),
            Self.outcome(400),
            Self.outcome(403), Self.broken, .accepted(rejected: 1, message: ""), Self.outcome(504),
        ]
        model.run { _, _ in
            let draw = Int(random.next() % 30)
            return draw < outcomes.count ? outcomes[draw] : Self.accepted
        }
        #expect(model.dispatch.isIdle && model.spooled.isEmpty)
        #expect(model.delivered.count == 100 * frames, "each frame is settled")
        #expect(model.deliveredSpans + model.droppedSpans.values.reduce(0, +) == total)
        #expect(model.held <= Dispatch.maxWaiting + 4 + 12)
    }
}
