import Model
import Testing

@testable import Forwarder
@testable import Spool

@Suite("What is read from the spool next")
struct ReadTurnsTests {
    private static func options(_ change: (inout ForwarderOptions) -> Void = { _ in }) throws -> ForwarderOptions {
        var options = try ForwarderOptions.test("http://h")
        change(&options)
        return options
    }

    /// Two sections of a spool, and a backend that takes so many requests at a time, each for so long.
    private struct Flow {
        var turns: ReadTurns
        var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        var waiting = SpoolWaiting()
        var read: [SpoolSection: Int] = [:]
        /// The time since which the newest section has an unread batch.
        var readySince: MonotonicTime?
        var longestWait = Duration.zero
        private let options: ForwarderOptions
        private let requestTime: Duration
        private var ends: [MonotonicTime] = []

        init(_ options: ForwarderOptions, backlog: Int, requestTime: Duration) {
            self.options = options
            turns = ReadTurns(options)
            self.requestTime = requestTime
            waiting.backlog = SpoolUnread(spans: backlog, bytes: 0, since: now)
        }

        mutating func run(seconds: Int, arrivingPerSecond: Int) {
            for millisecond in 0..<seconds * 1000 {
                now = now.advanced(by: .milliseconds(1))
                let before = arrivingPerSecond * (millisecond % 1000) / 1000
                let arriving = arrivingPerSecond * (millisecond % 1000 + 1) / 1000 - before
                if arriving > 0 && waiting.newest.spans == 0 { waiting.newest.since = now }
                waiting.newest.spans += arriving
                ends.removeAll { $0 <= now }
                let due = turns.moment(of: .newest, waiting, at: now, flushing: false, isProbing: false)
                readySince = due.map { $0 <= now } ?? false ? readySince ?? now : nil
                while ends.count < options.maxInFlight,
                    let section = turns.choose(waiting, at: now, flushing: false, isProbing: false)
                {
                    take(from: section)
                    ends.append(now.advanced(by: requestTime))
                }
            }
        }

        private mutating func take(from section: SpoolSection) {
            var unread = (section == .newest ? waiting.newest : waiting.backlog) ?? SpoolUnread()
            let spans = min(turns.maxSpans(of: section), unread.spans)
            unread.spans -= spans
            unread.since = unread.spans == 0 ? nil : now
            if section == .newest {
                waiting.newest = unread
            } else {
                waiting.backlog = unread.spans == 0 ? nil : unread
            }
            read[section, default: 0] += spans
            turns.recordRead(spans, from: section, at: now)
            if section == .newest, let since = readySince {
                longestWait = max(longestWait, now.duration(since: since))
                readySince = nil
            }
        }
    }

    @Test(
        "Where as much arrives as the backend takes, or more, every fourth request is the backlog's",
        arguments: [8000, 50_000])
    func quarters(arriving: Int) throws {
        // Four requests of 1,000 spans at a time, half a second each: 8,000 a second.
        var flow = Flow(try Self.options(), backlog: 1_000_000, requestTime: .milliseconds(500))
        flow.run(seconds: 30, arrivingPerSecond: arriving)
        #expect(abs(flow.read[.oldest, default: 0] - 60_000) <= 4000, "\(flow.read)")
        #expect(abs(flow.read[.newest, default: 0] - 180_000) <= 4000, "\(flow.read)")
    }

    @Test(
        "New spans wait for one request at most, and the backlog has all that they leave",
        arguments: [10, 300, 2000, 5500])
    func newAtOnce(arriving: Int) throws {
        var flow = Flow(try Self.options(), backlog: 1_000_000, requestTime: .milliseconds(500))
        flow.run(seconds: 30, arrivingPerSecond: arriving)
        #expect(flow.longestWait <= .milliseconds(500))
        #expect(flow.read[.newest, default: 0] >= 29 * arriving, "\(flow.read)")
        // Every second request at most has few new spans only.
        let left = 8000 - max(4000, arriving)
        #expect(flow.read[.oldest, default: 0] >= 30 * left - 4000, "\(flow.read)")
    }

    @Test("The limit holds for the backlog, whatever arrives; what is new has none", arguments: [0, 500, 50_000])
    func limit(arriving: Int) throws {
        var flow = Flow(
            try Self.options { $0.maxDrainSpansPerSecond = 2000 }, backlog: 1_000_000, requestTime: .milliseconds(10))
        flow.run(seconds: 20, arrivingPerSecond: arriving)
        #expect(abs(flow.read[.oldest, default: 0] - 40_000) <= 2000, "\(flow.read)")
        #expect(abs(flow.read[.newest, default: 0] - 20 * arriving) <= 2000)
    }

    @Test("The moment at which the backlog may be read is when it may be read", arguments: [1, 7, 1000])
    func moment(perSecond: Int) throws {
        var turns = ReadTurns(try Self.options { $0.maxDrainSpansPerSecond = perSecond })
        let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        let waiting = SpoolWaiting(backlog: SpoolUnread(spans: 100_000, bytes: 0, since: now))
        #expect(turns.choose(waiting, at: now, flushing: false, isProbing: false) == .oldest)
        #expect(turns.maxSpans(of: .oldest) == perSecond && turns.maxSpans(of: .newest) == 1000)
        turns.recordRead(3 * perSecond, from: .oldest, at: now)
        let opens = try #require(turns.moment(of: .oldest, waiting, at: now, flushing: false, isProbing: false))
        #expect(opens.nanoseconds(since: now) == 3_000_000_000)
        let before = MonotonicTime(nanoseconds: opens.nanoseconds - 1)
        #expect(turns.choose(waiting, at: before, flushing: false, isProbing: false) == nil)
        #expect(
            turns.choose(waiting, at: before, flushing: false, isProbing: true) == .oldest,
            "probes are others each time")
        #expect(turns.choose(waiting, at: opens, flushing: false, isProbing: false) == .oldest)
        // An hour in which nothing was read is not made up for.
        let late = opens.advanced(by: .seconds(3600))
        turns.recordRead(perSecond, from: .oldest, at: late)
        #expect(turns.choose(waiting, at: late, flushing: false, isProbing: false) == nil)
    }

    @Test(
        "The backlog has every fourth request beside full new batches, and every second one beside others",
        arguments: [(1000, 3), (999, 1)])
    func inARow(newSpans: Int, newest: Int) throws {
        var turns = ReadTurns(try Self.options())
        let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        let old = MonotonicTime(nanoseconds: 0)
        let waiting = SpoolWaiting(
            newest: SpoolUnread(spans: newSpans, bytes: 0, since: old),
            backlog: SpoolUnread(spans: 100_000, bytes: 0, since: old))
        for turn in 0..<3 {
            for section in [SpoolSection](repeating: .newest, count: newest) + [.oldest] {
                #expect(
                    turns.choose(waiting, at: now, flushing: false, isProbing: false) == section, "turn \(turn)")
                turns.recordRead(1, from: section, at: now)
            }
        }
    }

    @Test("One section is read when a batch is full, or its first span has waited, or at the end")
    func oneSection() throws {
        let turns = ReadTurns(try Self.options())
        let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        let choose = { (spans: Int, bytes: Int, age: UInt64, flushing: Bool) in
            let since = MonotonicTime(nanoseconds: now.nanoseconds - age)
            let waiting = SpoolWaiting(newest: SpoolUnread(spans: spans, bytes: bytes, since: spans > 0 ? since : nil))
            return turns.choose(waiting, at: now, flushing: flushing, isProbing: false)
        }
        #expect(choose(0, 0, 0, true) == nil)
        #expect(choose(999, 1000, 199_999_999, false) == nil)
        #expect(choose(1000, 1000, 0, false) == .newest)
        #expect(choose(1, 1 << 20, 0, false) == .newest)
        #expect(choose(1, 1, 200_000_000, false) == .newest)
        #expect(choose(1, 1, 0, true) == .newest)
    }

    @Test(
        "A new section is begun when spans have waited too long for their order to matter, and more than one batch of them"
    )
    func sections() throws {
        let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        let unread = { (spans: Int, age: UInt64) in
            SpoolUnread(spans: spans, bytes: 0, since: now, oldest: MonotonicTime(nanoseconds: now.nanoseconds - age))
        }
        var turns = ReadTurns(try Self.options())
        let wants = { (unread: SpoolUnread, isBlocked: Bool) in
            turns.wantsSection(unread, isBlocked: isBlocked, at: now)
        }
        #expect(!wants(unread(1_000_000, 9_999_999_999), false))
        #expect(wants(unread(1001, 10_000_000_000), false))
        #expect(!wants(unread(1000, 10_000_000_000), false))
        #expect(!wants(unread(1_000_000, 10_000_000_000), true))
        #expect(!wants(unread(1_000_000, 0), false), "a short outage keeps the order")
        let large = SpoolUnread(spans: 2, bytes: 2 << 20, since: now)
        #expect(wants(large, false))
        #expect(!wants(SpoolUnread(), false))
    }

    @Test("With a limit, what waits when an outage ends is a backlog, however short it was; a burst is none")
    func sectionsWithLimit() throws {
        let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        let unread = SpoolUnread(spans: 600, bytes: 0, since: now, oldest: now)
        var turns = ReadTurns(try Self.options { $0.maxDrainSpansPerSecond = 500 })
        let wants = { (isBlocked: Bool) in turns.wantsSection(unread, isBlocked: isBlocked, at: now) }
        #expect(!wants(false), "a burst")
        #expect(!wants(true))
        #expect(wants(false))
        #expect(!wants(false), "once")
    }

    @Test("A read that failed stops its section for a second, and not the other one")
    func failure() throws {
        var turns = ReadTurns(try Self.options())
        let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        let full = SpoolUnread(spans: 100_000, bytes: 0, since: now)
        let waiting = SpoolWaiting(newest: full, backlog: full)
        turns.recordFailure(of: .oldest, at: now)
        for _ in 0..<3 {
            #expect(turns.choose(waiting, at: now, flushing: false, isProbing: false) == .newest)
            turns.recordRead(1000, from: .newest, at: now)
        }
        #expect(turns.isPaused(.oldest, at: now) && !turns.isPaused(.newest, at: now))
        let later = now.advanced(by: .seconds(1))
        #expect(turns.choose(waiting, at: later, flushing: false, isProbing: false) == .oldest)
        #expect(!turns.isPaused(.oldest, at: later))
    }

    @Test("An append wakes a sleeping forwarder exactly if it makes a batch ready that was not")
    func wakes() throws {
        let options = try Self.options { ($0.maxBatchSpans, $0.maxBatchBytes) = (10, 1000) }
        let turns = ReadTurns(options)
        let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        let unread = { (spans: Int, bytes: Int) in SpoolUnread(spans: spans, bytes: bytes, since: spans > 0 ? now : nil)
        }
        for before in 1..<30 {
            for bytes in [0, 500, 1500] {
                let rule = turns.wakeRule(unread(before, bytes), at: now)
                for after in before..<30 {
                    for moreBytes in [bytes, bytes + 600] {
                        let waiting = SpoolWaiting(newest: unread(after, moreBytes))
                        let isReady = turns.choose(waiting, at: now, flushing: false, isProbing: false) != nil
                        #expect(
                            rule.isMet(by: waiting.newest, options) == isReady,
                            "\(before) and \(bytes), then \(after) and \(moreBytes)")
                    }
                }
            }
        }
        let empty = turns.wakeRule(SpoolUnread(), at: now)
        #expect(empty.isMet(by: unread(1, 1), options), "its batch's time begins")
        var paused = turns
        paused.recordFailure(of: .newest, at: now)
        #expect(paused.wakeRule(unread(1, 1), at: now) == .never)
    }
}
