import Metrics
import Model
import Platform
import TestSupport
import Testing
import WaitTime

@testable import AsynqRedis
@testable import Collector

/// The collector beside a model of Asynq's rules for what runs again: 100,000 attempts of every kind.
@Suite("First attempts, retries and their waits beside a model of Asynq's rules")
struct RetryRulesTests {
    /// What the page says of one queue, or should say.
    private struct Numbers: Equatable {
        var first: [Bool: UInt64] = [:]
        var retries: [Bool: UInt64] = [:]
        var waits: UInt64 = 0
        var unknown: [String: UInt64] = [:]
        /// Milliseconds: a sum of doubles is as exact as that.
        var waitMilliseconds: Int64 = 0

        mutating func count(_ attempt: ModelledAttempt, isFirst: Bool) {
            if isFirst {
                first[attempt.isError, default: 0] += 1
            } else {
                retries[attempt.isError, default: 0] += 1
            }
        }

        mutating func addWait(of attempt: ModelledAttempt, since ready: Int64?, isLater: Bool) {
            if let ready {
                waits += 1
                sum += attempt.start - ready
            } else {
                unknown[isLater ? "retry" : "no_source", default: 0] += 1
            }
        }

        private var sum: Int64 = 0
        mutating func close() {
            waitMilliseconds = (sum + 500_000) / 1_000_000
            sum = 0
        }
    }

    private static let origin = RetryRulesModel.origin
    private static func queue(_ number: Int) -> String { "queue-\(number)" }
    private static func time(_ nanoseconds: Int64) -> WallTime { WallTime(nanoseconds: origin + nanoseconds) }

    // MARK: What is sent

    private static func span(_ attempt: ModelledAttempt, _ number: Int, in body: inout [UInt8]) -> TaskSpan {
        func range(_ text: String) -> ByteRange {
            body += text.utf8
            return ByteRange(offset: body.count - text.utf8.count, count: text.utf8.count)
        }
        var span = TaskSpan()
        span.reference = SpanReference(
            trace: TraceID(high: 1, low: UInt64(number) + 1), span: SpanID(UInt64(number) + 1))
        span.queue = range(queue(attempt.queue))
        span.taskID = range(attempt.id)
        span.taskType = range("t")
        span.startNanoseconds = UInt64(origin + attempt.start)
        span.endNanoseconds = UInt64(origin + attempt.end)
        span.isError = attempt.isError
        span.retryCount = .integer(attempt.retryCount)
        switch attempt.name {
        case .stamp(let stamp, let due):
            span.stamp = attempt.id.utf8.count % 2 == 0 ? .integer(origin + stamp) : .string(range("\(origin + stamp)"))
            if let due { span.processAt = .integer((origin + due) / 1_000_000_000) }
        case .producer(let id, _):
            span.reference = SpanReference(trace: TraceID(high: 2, low: id), span: span.reference.span)
            span.parent = SpanID(id)
        case .none: break
        }
        return span
    }

    private static func producer(_ id: UInt64, end: Int64) -> TaskSpan {
        var span = TaskSpan()
        span.role = .produce
        span.reference = SpanReference(trace: TraceID(high: 2, low: id), span: SpanID(id))
        span.startNanoseconds = UInt64(origin + end - 1000)
        span.endNanoseconds = UInt64(origin + end)
        return span
    }

    /// A collector's path of accepted spans.
    private struct Path {
        let seen = SeenTasks()
        let sink: IngestSink

        init() throws {
            let aggregator = LockedAggregator(
                TaskAggregatorOptions(
                    bounds: HistogramBounds(ascending: 1), maxTaskTypes: 1, maxQueues: 9, quantileWindow: .seconds(1)),
                clock: .system)
            sink = IngestSink(aggregator: aggregator, seenTasks: seen, spool: nil, forwarder: nil)
        }

        func send(_ spans: [TaskSpan], in body: [UInt8]) {
            var spans = spans
            body.withUnsafeBytes { body in
                seen.look(for: &spans, in: body)
                _ = sink.observe(spans, in: body)
            }
        }

        func numbers() -> [String: Numbers] {
            var found: [String: Numbers] = [:]
            for family in TaskMetrics(
                aggregator: sink.aggregator, errors: RecentErrors(clock: .system), clock: .system
            ).metricFamilies() {
                for sample in family.samples {
                    let labels = RetryRulesTests.labels(sample.labels)
                    guard let queue = labels["queue"] else { continue }
                    switch (family.name, sample.value) {
                    case ("asynq_task_attempts_total", .number(let number)):
                        let isError = labels["status"] == "failed"
                        if labels["attempt"] == "first" {
                            found[queue, default: Numbers()].first[isError] = UInt64(number)
                        } else {
                            found[queue, default: Numbers()].retries[isError] = UInt64(number)
                        }
                    case ("asynq_task_wait_unknown_total", .number(let number)) where number > 0:
                        found[queue, default: Numbers()].unknown[labels["reason"] ?? ""] = UInt64(number)
                    case ("asynq_task_wait_duration_seconds", .histogram(let histogram)):
                        found[queue, default: Numbers()].waits = histogram.count
                        found[queue, default: Numbers()].waitMilliseconds = Int64((histogram.sum * 1000).rounded())
                    default: break
                    }
                }
            }
            return found
        }
    }

    private static func labels(_ set: LabelSet) -> [String: String] {
        let pairs = String(decoding: set.encoded, as: UTF8.self).split(separator: ",").map { $0.split(separator: "=") }
        return Dictionary(uniqueKeysWithValues: pairs.map { (String($0[0]), String($0[1].dropFirst().dropLast())) })
    }

    // MARK: In the order of time

    private enum Event {
        /// The look-ahead sees the attempt's task pending; sees it run; sees it gone.
        case pending(Int)
        case running(Int)
        case gone(Int)
        case span(Int)
        case producer(UInt64, end: Int64)
    }

    /// A worker's exporter sends within five seconds, and at once when it stops.
    private static func events(
        _ attempts: [ModelledAttempt], _ random: inout SeededGenerator
    ) -> [(at: Int64, event: Event)] {
        var events: [(at: Int64, event: Event)] = []
        var producers: Set<UInt64> = []
        for (number, attempt) in attempts.enumerated() {
            if case .producer(let id, let end) = attempt.name, producers.insert(id).inserted {
                events.append((end, .producer(id, end: end)))
            }
            if attempt.hasSpan {
                let sent = attempt.end + (attempt.isPutBack ? 0 : Int64.random(in: 0...5_000_000_000, using: &random))
                events.append((sent, .span(number)))
                // Its answer was lost.
                if Int.random(in: 1...30, using: &random) == 1 { events.append((sent + 3_000_000_000, .span(number))) }
            }
            guard attempt.isSeen else { continue }
            events.append((attempt.start - 1, .pending(number)))
            events.append((attempt.start + 300_000_000, .running(number)))
            events.append((attempt.end + 400_000_000, .gone(number)))
        }
        return events.sorted { $0.at < $1.at }
    }

    private static func show(_ attempt: ModelledAttempt, _ event: Event, to seen: SeenTasks) {
        let (queue, id) = (QueueName(queue(attempt.queue)), Array(attempt.id.utf8))
        switch event {
        case .pending:
            var task = StoredTask(retried: Int32(attempt.retryCount))
            if case .stamp(let stamp, _) = attempt.name { task.enqueuedAt = time(stamp) }
            task.lastFailedAt = attempt.lastFailedAt.map { WallTime(seconds: time($0).wholeSeconds) }
            seen.record(queue: queue, id: id, ready: attempt.pendingSince.map(time), task: task)
        case .running:
            seen.recordStarted(queue: queue, [id], by: time(attempt.start + 300_000_000))
            guard let ready = attempt.pendingSince else { return }
            let window = LookWindow(from: time(attempt.start - 700_000_000), to: time(attempt.start + 300_000_000))
            seen.recordGone(queue: queue, id: id, ready: time(ready), window)
        case .gone: seen.recordLeft(queue: queue, [id])
        case .span, .producer: break
        }
    }

    @Test("Spans that come in the order of time, shuffled within a request and with repetitions: all is exact")
    func inOrder() throws {
        var random = SeededGenerator(seed: 14)
        let attempts = RetryRulesModel(seed: 1, attempts: 100_000).attempts
        let path = try Path()
        var request: (spans: [TaskSpan], body: [UInt8]) = ([], [])
        func send() {
            request.spans.shuffle(using: &random)
            path.send(request.spans, in: request.body)
            request = ([], [])
        }
        for (_, event) in Self.events(attempts, &random) {
            switch event {
            case .span(let number): request.spans.append(Self.span(attempts[number], number, in: &request.body))
            case .producer(let id, let end): request.spans.append(Self.producer(id, end: end))
            case .pending(let number), .running(let number), .gone(let number):
                Self.show(attempts[number], event, to: path.seen)
            }
            if request.spans.count == 100 { send() }
        }
        send()
        var expected: [String: Numbers] = [:]
        for attempt in attempts where attempt.hasSpan {
            let exact = attempt.isSeen ? attempt.pendingSince : nil
            let name = Self.queue(attempt.queue)
            expected[name, default: Numbers()].count(attempt, isFirst: attempt.isFirst)
            expected[name, default: Numbers()].addWait(
                of: attempt, since: exact ?? (attempt.isFirst ? attempt.saidReady : nil), isLater: !attempt.isFirst)
        }
        check(path.numbers(), expected)
        #expect(path.sink.aggregator.losses.evictedAttempts == 0)
    }

    private func check(_ found: [String: Numbers], _ expected: [String: Numbers]) {
        #expect(Set(found.keys) == Set(expected.keys))
        for (queue, numbers) in expected {
            var numbers = numbers
            numbers.close()
            #expect(found[queue] == numbers, "\(queue)")
        }
    }

    // MARK: In any order

    /// Then a later attempt may be the first that comes: it counts as the first, and its stamp's wait with it. What is exact even
    /// so: one first attempt for each enqueueing, and the wait of each that comes before those that started before it.
    @Test(
        "Spans in any order: one first attempt for each enqueueing, and each wait of one that none before it was there for"
    )
    func shuffled() throws {
        var random = SeededGenerator(seed: 15)
        let attempts = RetryRulesModel(seed: 2, attempts: 100_000).attempts.enumerated()
            .filter { $0.element.hasSpan && $0.element.name != .none }
        let path = try Path()
        var producers: [UInt64: Int64] = [:]
        for (_, attempt) in attempts {
            if case .producer(let id, let end) = attempt.name { producers[id] = end }
        }
        var sent = (attempts + attempts.filter { $0.offset % 50 == 0 }).shuffled(using: &random)
        path.send(producers.prefix(producers.count / 2).map { Self.producer($0.key, end: $0.value) }, in: [])
        var expected: [String: Numbers] = [:]
        var earliest: [String: [ModelledAttempt.Name: Int64]] = [:]
        var seen: Set<Int> = []
        while !sent.isEmpty {
            var body: [UInt8] = []
            let request = sent.suffix(100)
            sent.removeLast(request.count)
            path.send(request.map { Self.span($0.element, $0.offset, in: &body) }, in: body)
            for (number, attempt) in request.sorted(by: { $0.element.start < $1.element.start })
            where seen.insert(number).inserted {
                let (name, task) = (Self.queue(attempt.queue), attempt.id)
                let known = attempt.retryCount == 0 ? earliest[name + task]?[attempt.name] : nil
                let isFirst = attempt.retryCount == 0 && known == nil
                let isLater = attempt.retryCount > 0 || known ?? .max < attempt.start
                expected[name, default: Numbers()].count(attempt, isFirst: isFirst)
                expected[name, default: Numbers()].addWait(
                    of: attempt, since: isLater ? nil : attempt.saidReady, isLater: isLater)
                if attempt.retryCount == 0 {
                    earliest[name + task, default: [:]][attempt.name] = min(known ?? .max, attempt.start)
                }
            }
        }
        path.send(producers.map { Self.producer($0.key, end: $0.value) }, in: [])
        check(path.numbers(), expected)
    }
}
