import Foundation
import Model
import Testing
import Text

@testable import Attention
@testable import WaitTime
@testable import Web

@Suite("The status page without script")
struct PlainPageTests {
    @Test(
        "Seconds as people say them",
        arguments: [
            (0, "0"), (-5, "0"), (5e-7, "0"), (1e-6, "1 µs"), (8.5e-4, "850 µs"), (0.0123, "12.3 ms"),
            (0.012, "12 ms"), (0.9994, "999 ms"), (0.999_96, "1 s"), (9.994e-4, "999 µs"), (0.999_96e-3, "1 ms"),
            (1, "1 s"), (3.44, "3.4 s"), (119, "119 s"), (120, "2 min"),
            (300, "5 min"), (7199, "120 min"), (7200, "2 h"), (36_000, "10 h"),
        ])
    func seconds(value: Double, text: String) {
        #expect(humanSeconds(value) == text)
    }

    @Test(
        "No number crashes what people read",
        arguments: [.nan, .infinity, -.infinity, 1e300, .greatestFiniteMagnitude, 1e-300])
    func extremeSeconds(value: Double) {
        #expect(!humanSeconds(value).isEmpty)
    }

    private static let now = (
        wall: WallTime(seconds: 1_700_000_000), monotonic: MonotonicTime(nanoseconds: 60_000_000_000)
    )
    private static let spans = SpanTotals(
        accepted: 10, duplicates: 0, refused: ["bad_id": 2],
        spooled: SpanTotals.Spooled(forwarded: 5, inSpool: 4, dropped: ["evicted": 1]))
    private static let trace = TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C)

    private func page(
        _ redis: RedisReading = .off, _ rows: [QueueReading] = [], lastKnown: RedisSnapshot? = nil,
        letters: [DeadLetter] = [], waits: [SlowWait] = [], troubles: [Trouble] = [], spans: SpanTotals? = spans,
        state: String = "off", grafana: String = "", dataSource: String = "", all: Bool = false
    ) -> String {
        var content = OverviewContent.sample
        content.now = Self.now
        content.collector.version = "1.2.3"
        content.links = TraceLinks(grafana: grafana, dataSource: dataSource)
        content.redis = redis
        content.lastKnown = lastKnown ?? redis.snapshot
        content.rows = rows
        content.deadLetters = letters
        content.slowestWaits = waits
        content.troubles = troubles
        content.spans = spans
        content.forwarder = ForwarderState(text: state, isUp: nil, since: nil)
        return PlainPage(content, showsAllQueues: all).html
    }

    private func letter(_ text: String, trace: TraceID? = nil) -> DeadLetter {
        let context = trace.map {
            TraceContext(reference: SpanReference(trace: $0, span: SpanID(1)), isSampled: true)
        }
        return DeadLetter(
            task: TaskName(queue: QueueName(text), id: Array(text.utf8)), type: TaskType(text),
            archivedAt: WallTime(seconds: 1_700_000_000 - 90), errorMessage: ForeignText(text), retried: 25,
            lastFailedAt: nil, context: context, isArrival: true)
    }

    @Test("The status page shows foreign texts as text")
    func statusPage() throws {
        let evil = "<script>alert('x')</script>&\"\u{0}"
        var snapshot = QueueSnapshot(name: QueueName(evil))
        snapshot.size = [.pending: 5, .archived: 2]
        snapshot.latencyNanoseconds = 3_000_000_000
        snapshot.isPaused = true
        let rows = [
            QueueReading(name: QueueName(evil), snapshot: snapshot, wait: [0.1, 0.2, 0.3]),
            QueueReading(name: QueueName([0xFF]), snapshot: nil, wait: nil),
        ]
        let wait = SlowWait(
            seconds: 7, queue: QueueName(evil), type: TaskType(evil), span: nil,
            observedAt: MonotonicTime(nanoseconds: 0))
        let page = page(.unread(evil), rows, letters: [letter(evil)], waits: [wait], state: evil)
        #expect(!page.contains("<script") && !page.contains("alert('"))
        #expect(page.components(separatedBy: "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;").count == 10)
        #expect(page.contains("</bdi></a> <em>paused</em>") && page.contains("<td class=\"n\">3 s</td>"))
        #expect(page.contains("<td class=\"n\">200 ms</td>") && page.contains("<td class=\"n\">2</td>"))
        #expect(page.contains("<td class=\"n\">7 s</td><td class=\"n\">60 s ago</td>"))
        #expect(page.contains("<td class=\"n\">90 s ago</td><td class=\"n\">25</td>"))
        for part in ["src=", "http://", "https://", "@import", "url("] { #expect(!page.contains(part), "\(part)") }
    }

    @Test(
        "A name that is turned around stays within itself; a long one ends in an ellipsis, with the whole as its tooltip"
    )
    func names() {
        let long = String(repeating: "x", count: 3000)
        let page = page(
            .off,
            [
                QueueReading(name: QueueName("rtl\u{202E}abc"), snapshot: nil, wait: nil),
                QueueReading(name: QueueName(long), snapshot: nil, wait: nil),
            ])
        #expect(page.contains("<bdi>rtl\u{202E}abc</bdi>"))
        let cut = String(repeating: "x", count: 59)
        #expect(page.contains("<bdi title=\"\(long)\">\(cut)…</bdi>"))
    }

    @Test(
        "Names that can't be seen are escaped, and each leads to the document of its queue",
        arguments: [
            ("a/b c", "a%2Fb%20c", "a/b c"), ("\u{3164}", "%E3%85%A4", "\\u{3164}"), ("\u{A0}", "%C2%A0", "\\u{A0}"),
            ("a\nb", "a%0Ab", "a\\u{A}b"), ("a+b", "a%2Bb", "a+b"), ("   ", "%20%20%20", "\\u{20}\\u{20}\\u{20}"),
        ])
    func links(name: String, encoded: String, shown: String) {
        let page = page(.off, [QueueReading(name: QueueName(name), snapshot: nil, wait: nil)])
        #expect(page.contains("<a href=\"api/v1/queues/\(encoded)\"><bdi>\(shown)</bdi></a>"))
    }

    @Test("A browser takes two dots in a path for a folder, so that they stand in the query")
    func dots() {
        let page = page(.off, [QueueReading(name: QueueName(".."), snapshot: nil, wait: nil)])
        #expect(page.contains("<a href=\"api/v1/queues?name=..\"><bdi>..</bdi></a>"))
    }

    @Test("A queue without a name says so, and its link leads to it")
    func noName() {
        let page = page(.off, [QueueReading(name: QueueName(""), snapshot: nil, wait: nil)])
        #expect(page.contains("<a href=\"api/v1/queues?name=\">(no name)</a>"))
    }

    @Test("What needs attention comes first; where nothing is wrong, the page says what was looked at")
    func attention() {
        #expect(page().contains("Nothing is wrong. Looked at: 0 queues and Redis."))
        var content = OverviewContent.sample
        content.hasLookedLongEnough = false
        let early = PlainPage(content).html
        #expect(early.contains("some conditions take a minute to tell. Looking at: 0 queues and Redis."))
        #expect(!early.contains("Nothing is wrong"))
        let trouble = Trouble(
            condition: .queuePausedWithBacklog, queue: QueueName("imports"), severity: .warning, isFiring: true,
            sentence: "imports <b> has been paused for 30 min; 5,377 tasks wait",
            since: WallTime(seconds: 1_700_000_000 - 1800))
        let page = page(troubles: [trouble])
        #expect(
            page.contains(
                "<th scope=\"row\">warning</th><td><bdi>imports &lt;b&gt; has been paused for 30 min; 5,377 tasks wait</bdi>"
                    + "</td><td class=\"n\">30 min</td><td><a href=\"runbook#asynqqueuepausedwithbacklog\">runbook</a></td>"
            ))
    }

    @Test(
        "A spool is full by its share, and its oldest span has an age; without a capacity there is nothing to be full of",
        arguments: [(0, nil), (400, "25 %"), (100, "100 %")] as [(Int, String?)])
    func spoolShare(capacity: Int, share: String?) {
        var content = OverviewContent.sample
        content.spans = Self.spans
        content.spool = SpoolState(bytes: 100, capacityBytes: capacity, oldestAgeSeconds: 90, fullInSeconds: nil)
        let page = PlainPage(content).html
        #expect(page.contains("spool full") == (share != nil) && page.contains("oldest span") == (share != nil))
        if let share { #expect(page.contains("<th scope=\"row\">spool full</th><td class=\"n\">\(share)</td>")) }
        content.spool = nil
        #expect(!PlainPage(content).html.contains("spool full"))
    }

    @Test(
        "Cron entries have their times, and a dash where there is none; memory has each part, with its limit if it has one"
    )
    func cronAndMemory() {
        func entry(_ id: String, next: Int64?, previous: Int64?, enqueued: Int64?) -> SchedulerEntrySnapshot {
            var entry = SchedulerEntrySnapshot(
                id: ForeignText(id), spec: ForeignText("@\(id)"), taskType: ForeignText("type-\(id)"), scheduler: [1],
                nextEnqueue: next.map { WallTime(seconds: 1_700_000_000 + $0) },
                previousEnqueue: previous.map { WallTime(seconds: 1_700_000_000 + $0) })
            entry.lastEnqueued = enqueued.map { WallTime(seconds: 1_700_000_000 + $0) }
            return entry
        }
        var content = OverviewContent.sample
        var known = RedisSnapshot(queues: [], takenAt: content.now.wall, partialErrors: [])
        known.schedulerEntries = [
            entry("b", next: nil, previous: nil, enqueued: nil), entry("a", next: 60, previous: -30, enqueued: 5),
        ]
        content.lastKnown = known
        content.memory = [
            MemoryPart(part: "process", bytes: 1 << 20, limitBytes: nil),
            MemoryPart(part: "pages", bytes: 2 << 20, limitBytes: 3 << 20),
        ]
        let page = PlainPage(content).html
        let first = page.range(of: "type-a")
        let second = page.range(of: "type-b")
        if let first, let second { #expect(first.lowerBound < second.lowerBound) } else { Issue.record("\(page)") }
        func cells(_ row: String) -> [String] {
            let line = page.split(separator: "\n").first { $0.contains(row) }.map(String.init) ?? ""
            return line.components(separatedBy: "<td").dropFirst().map { cell in
                let text = cell.drop { $0 != ">" }.dropFirst()
                return String(text.prefix { $0 != "<" })
            }
        }
        #expect(cells("type-a").suffix(3) == ["2023-11-14T22:14:20.000Z", "30 s ago", "0 ago"])
        #expect(cells("type-b").suffix(3) == ["–", "–", "–"])
        #expect(page.contains("1.0 MiB") || page.contains("1 MiB"))
        #expect(cells(">pages<").suffix(2) == ["2 MiB", "3 MiB"] && cells(">process<").last == "–")
    }

    @Test("While Redis can't be read, the last known state stays, with its age")
    func stale() {
        var queue = QueueSnapshot(name: QueueName("emails"))
        queue.size = [.pending: 42]
        let known = RedisSnapshot(queues: [queue], takenAt: WallTime(seconds: 1_700_000_000 - 90), partialErrors: [])
        let rows = QueueReading.all(known, waits: [:])
        let page = page(.unread("connection refused"), rows, lastKnown: known)
        #expect(page.contains("Redis can't be read: connection refused"))
        #expect(page.contains("What follows is what was read 90 s ago, at 2023-11-14T22:11:50.000Z."))
        #expect(page.contains("<bdi>emails</bdi>") && page.contains("<td class=\"n\">42</td>"))
        #expect(!page.contains("No queues yet"))
    }

    @Test("Of very many queues the worst stand on the page, and a link leads to all")
    func manyQueues() {
        let rows = (0..<5000).map { QueueReading(name: QueueName("q\($0)"), snapshot: nil, wait: nil) }
        let trouble = Trouble(
            condition: .deadLetters, queue: QueueName("q4999"), severity: .warning, isFiring: true, sentence: "",
            since: WallTime(seconds: 0))
        let first = page(.off, rows, troubles: [trouble])
        #expect(first.components(separatedBy: "<bdi>q").count - 1 == 500 && first.contains("<bdi>q4999</bdi>"))
        #expect(first.contains("<a href=\"?queues=all\">4,500 more queues</a>"))
        #expect(page(.off, rows, all: true).components(separatedBy: "<bdi>q").count - 1 == 5000)
    }

    @Test("A status page without Redis, queues or spool is a page")
    func emptyPage() {
        let noSpool = SpanTotals(accepted: 0, duplicates: 0, refused: [:], spooled: nil)
        for spans in [noSpool, nil] {
            let page = page(spans: spans)
            #expect(page.contains("No queues yet"))
            #expect(page.contains("does not answer") == (spans == nil))
        }
    }

    @Test("The page says which Redis and database are read, also where it has no queues")
    func location() {
        var content = OverviewContent.sample
        content.collector.redis = "redis-sentinel://a:1/5?master=<m>"
        let page = PlainPage(content).html
        #expect(page.contains("<p>Redis: redis-sentinel://a:1/5?master=&lt;m&gt;</p>"))
        #expect(page.contains("No queues yet in redis-sentinel://a:1/5?master=&lt;m&gt;."))
    }

    @Test("Where there are no queues and no spans, the page has the lines that help")
    func hints() {
        var content = OverviewContent.sample
        content.collector.redis = "redis://10.0.0.7:6380/3"
        content.collector.receivesAt = ["[::]:4317", "unix:///run/<otlp>.sock"]
        content.spans = SpanTotals(accepted: 0, duplicates: 0, refused: [:], spooled: nil)
        var page = PlainPage(content).html
        #expect(page.contains("asynq.RedisClientOpt{Addr: &quot;10.0.0.7:6380&quot;, DB: 3})"))
        #expect(page.contains("Spans are received at [::]:4317, unix:///run/&lt;otlp&gt;.sock."))
        #expect(page.contains("exportgrpc.New(ctx, &quot;[::1]:4317&quot;)"))
        content.collector.receivesAt = []
        page = PlainPage(content).html
        #expect(page.contains("otlp.listen and otlp.socket are none") && !page.contains("exportgrpc"))
        content.spans?.accepted = 1
        #expect(!PlainPage(content).html.contains("No span has arrived"))
    }

    @Test(
        "The lines have the addresses at hand",
        arguments: [
            (nil, ["127.0.0.1:4317"], "Addr: \"127.0.0.1:6379\"", "127.0.0.1:4317"),
            ("redis://r:6379/0", [":4317"], "Addr: \"r:6379\"", "127.0.0.1:4317"),
            ("rediss://r/1", ["0.0.0.0:1", "[::]:1"], "Addr: \"r:6379\", DB: 1", "127.0.0.1:1"),
            ("redis://[::1]/", ["[fd00::1]:4317"], "Addr: \"[::1]:6379\"", "[fd00::1]:4317"),
            ("unix:///r.sock?db=2", ["unix:///s.sock"], "Network: \"unix\", Addr: \"/r.sock\", DB: 2", "/s.sock"),
            ("redis-cluster://a:1,b:2", ["unix:@s"], "Addr: \"127.0.0.1:6379\"", "unix-abstract:s"),
            ("redis://r:6379/0", ["unix:///s.sock", "127.0.0.1:4317"], "Addr: \"r:6379\"", "127.0.0.1:4317"),
        ] as [(String?, [String], String, String)])
    func lines(redis: String?, addresses: [String], options: String, target: String) {
        var collector = OverviewContent.sample.collector
        (collector.redis, collector.receivesAt) = (redis, addresses)
        let hints = Hints(collector)
        #expect(hints.firstTask.contains("RedisClientOpt{\(options)})"))
        #expect(hints.worker?.contains("exportgrpc.New(ctx, \"\(target)\")") == true)
    }

    @Test("Errors and running tasks stand on the page, the longest running first")
    func details() {
        var content = OverviewContent.sample
        var group = ErrorGroup(
            queue: QueueName("q"), taskType: TaskType("mail"), error: ForeignText("smtp <n>"),
            example: ErrorGroup.Example(
                error: ForeignText("smtp 1"), taskID: ForeignText("i"), trace: nil, span: nil, at: Self.now.wall),
            seenAt: Self.now.wall)
        (group.attempts, group.deadLetters) = (1234, 2)
        content.errors = [group]
        func task(_ id: String, _ seconds: Int64) -> RunningTask {
            RunningTask(
                queue: QueueName("q"), id: ForeignText(id), type: TaskType("mail"),
                startedAt: Self.now.wall.advanced(by: .seconds(-seconds)), deadlineAt: nil)
        }
        var snapshot = RedisSnapshot(queues: [], takenAt: Self.now.wall, partialErrors: [])
        var server = ServerSnapshot(
            host: ForeignText("h"), pid: 7, id: ForeignText("s"), concurrency: 10,
            queues: (100..<250).map { QueueName("q\($0)") }, status: ForeignText("active"), busyWorkers: 2)
        server.running = [task("young", 5), task("old", 90)]
        snapshot.servers = [server]
        content.lastKnown = snapshot
        let page = PlainPage(content).html
        #expect(page.contains("<bdi>smtp &lt;n&gt;</bdi></td><td class=\"n\">1,234</td><td class=\"n\">2</td>"))
        #expect(page.contains("<bdi>old</bdi></td><td class=\"n\">90 s</td><td><bdi>h</bdi>, process 7</td>"))
        #expect(page.contains("<bdi>q198</bdi>, <bdi>q199</bdi> and 50 more queues</td>"))
        let places = ["<bdi>old</bdi>", "<bdi>young</bdi>"].map { page.firstRange(of: $0)?.lowerBound }
        #expect(places.allSatisfy { $0 != nil } && places[0] ?? page.endIndex < places[1] ?? page.startIndex)
    }

    @Test("A tick that was due a moment ago is not overdue, nor is one that can't be read since")
    func overdue() {
        func due(_ late: Int64, isStale: Bool = false) -> String {
            var content = OverviewContent.sample
            let next = content.now.wall.advanced(by: .seconds(-late))
            var known = RedisSnapshot(
                queues: [], takenAt: isStale ? next : content.now.wall, partialErrors: [])
            known.schedulerEntries = [
                SchedulerEntrySnapshot(
                    id: ForeignText("e"), spec: ForeignText("@hourly"), taskType: TaskType("cron"), scheduler: [],
                    nextEnqueue: next, previousEnqueue: nil)
            ]
            content.lastKnown = known
            content.redis = isStale ? .unread("no") : .read(known)
            let row = PlainPage(content).html.components(separatedBy: "<bdi>@hourly</bdi></td>").last ?? ""
            return row.components(separatedBy: "</td>")[0]
        }
        #expect(due(-30) == "<td class=\"n\">in 30 s" && due(3) == "<td class=\"n\">3 s ago")
        #expect(due(119) == "<td class=\"n\">119 s ago" && due(300, isStale: true) == "<td class=\"n\">5 min ago")
        #expect(due(300) == "<td class=\"n\"><span class=\"bad\">5 min overdue</span>")
    }

    @Test("Dead letters that no group of errors has are told of")
    func unreadLetters() {
        var queue = QueueSnapshot(name: QueueName("bil<ing"))
        queue.deadLettered = 30
        func page() -> String { self.page(.off, [QueueReading(name: queue.name, snapshot: queue, wait: nil)]) }
        #expect(!page().contains("dead letters were read"))
        queue.unreadDeadLetters = 9
        #expect(
            page().contains(
                "<bdi>bil&lt;ing</bdi></a>: 21 of 30 dead letters were read; the others came too fast, and are in no group"
            )
        )
    }

    @Test("Waits that were sampled in Redis have a mark, and a paused or empty queue drains in no time that is known")
    func marks() {
        func row(_ name: String, _ origin: WaitOrigin, pending: Int64, isPaused: Bool = false) -> QueueReading {
            var queue = QueueSnapshot(name: QueueName(name))
            queue.size = [.pending: pending]
            queue.isPaused = isPaused
            return QueueReading(name: queue.name, snapshot: queue, wait: [0.1, 0.2, 0.3], waitOrigin: origin)
        }
        let sampled = page(.off, [row("a", .redis, pending: 0)])
        #expect(sampled.contains("<td class=\"n\">≈ 200 ms</td>") && sampled.contains("≈ sampled in Redis"))
        let spans = page(.off, [row("a", .spans, pending: 1, isPaused: true)])
        #expect(!spans.contains("≈") && spans.contains("<td class=\"n\">paused</td>"))
    }

    @Test("The page says what was received and what became of it, and its version")
    func spanTable() {
        let page = page()
        for (name, count) in [
            ("received", 12), ("accepted", 10), ("refused", 2), ("forwarded", 5), ("in the spool", 4), ("dropped", 1),
        ] { #expect(page.contains("<tr><th scope=\"row\">\(name)</th><td class=\"n\">\(count)")) }
        #expect(page.contains("2 (bad_id 2)") && page.contains("1 (evicted 1)"))
        #expect(page.contains("<small>1.2.3</small>"))
    }

    @Test("The oldest task is that of queues which run, as in the alert; that of paused ones stands beside it")
    func oldest() {
        func tiles(_ queues: [(seconds: Int64, isPaused: Bool?)]) -> [String] {
            let snapshots = queues.map { queue in
                var snapshot = QueueSnapshot(name: QueueName("q"))
                snapshot.latencyNanoseconds = queue.seconds * 1_000_000_000
                snapshot.isPaused = queue.isPaused
                return snapshot
            }
            let read = RedisSnapshot(queues: snapshots, takenAt: WallTime(seconds: 0), partialErrors: [])
            return page(.read(read)).components(separatedBy: "<tr><th scope=\"row\">").filter {
                $0.hasPrefix("oldest<") || $0.hasPrefix("oldest,")
            }
            .map { $0.components(separatedBy: "</td>")[0].replacing("</th><td class=\"n\">", with: ": ") }
        }
        #expect(tiles([]) == ["oldest: 0"])
        #expect(tiles([(3, false), (2, nil), (90, true), (60, true)]) == ["oldest: 3 s", "oldest, paused: 90 s"])
        #expect(tiles([(3, nil), (0, true)]) == ["oldest: 3 s"])
    }

    @Test("Why Redis can't be read stands on the page; where it is off, nothing does")
    func redisReading() {
        let unread = page(.unread(nil))
        #expect(unread.contains("This collector has not read Redis yet: the first scrape takes place within 5 s."))
        #expect(
            !unread.contains("can't be read") && !unread.contains("No queues yet")
                && !unread.contains("Nothing is wrong"))
        #expect(page(.unread("NOAUTH")).contains("Redis can't be read: NOAUTH"))
        let snapshot = RedisSnapshot(queues: [], takenAt: WallTime(seconds: 0), partialErrors: [])
        for redis in [.off, .read(snapshot)] as [RedisReading] {
            #expect(!page(redis).contains("can't be read") && redis.unreadReason == nil)
        }
    }

    @Test("Trace ids are links where there is a Grafana, and nothing can leave the link")
    func traceLinks() {
        let letters = [letter("a", trace: Self.trace), letter("b")]
        #expect(page(letters: letters).contains("<td><code>\(Self.trace.hex)</code></td>"))
        let linked = page(letters: letters, grafana: "https://g.example/x/\"><b>/", dataSource: "u\"i'd")
        let start = "<a href=\"https://g.example/x/&quot;&gt;&lt;b&gt;/explore?schemaVersion=1&amp;panes=%7B%22t%22"
        #expect(linked.contains("<td>\(start)"))
        #expect(linked.contains("u%5C%22i%27d") && linked.contains("%22query%22%3A%22\(Self.trace.hex)%22"))
        #expect(linked.components(separatedBy: "<a href=\"https:").count == 2)
    }

    @Test("Where trace ids are plain text, a line names both keys that make them links; else there is none")
    func traceHint() {
        let letters = [letter("a", trace: Self.trace)]
        let plain = page(letters: letters)
        for key in ["external-url.grafana", "traces.recent-max-bytes"] { #expect(plain.contains(key)) }
        for page in [page(letters: letters, grafana: "https://g.example"), page(letters: [letter("b")]), page()] {
            #expect(!page.contains("traces.recent-max-bytes"))
        }
        let kept = TraceLinks(grafana: "", dataSource: "", hasOwnPage: true)
        #expect(kept.hint == nil && kept.nothingKept(of: Self.trace) == nil)
    }

    @Test("The page of a trace says that no spans are kept, and leads to Grafana without its credentials in the text")
    func nothingKept() throws {
        let links = TraceLinks(grafana: "https://joe:hush@g.example/", dataSource: "")
        #expect(links.hint == nil)
        let found = try #require(links.nothingKept(of: Self.trace))
        let text = found.replacing(/<[^>]*>/, with: "")
        #expect(text == "No spans are kept in memory (traces.recent-max-bytes is 0). Open the trace in Grafana")
        #expect(found.contains("<a href=\"https://joe:hush@g.example/explore?") && found.contains(Self.trace.hex))
        #expect(links.nothingKept(of: nil)?.hasSuffix(" A trace id is 32 hex digits, not all of them 0.") == true)
        let neither = TraceLinks(grafana: "", dataSource: "")
        for trace in [Self.trace, nil] {
            #expect(neither.nothingKept(of: trace)?.contains("external-url.grafana") == true)
        }
    }

    @Test("Errors without spans have no number of attempts, and the page says why")
    func attemptsWithoutSpans() {
        func page(attempts: UInt64) -> String {
            var content = OverviewContent.sample
            let example = ErrorGroup.Example(
                error: ForeignText("no"), taskID: ForeignText("i"), trace: nil, span: nil, at: Self.now.wall)
            var group = ErrorGroup(
                queue: QueueName("q"), taskType: TaskType("t"), error: ForeignText("no"), example: example,
                seenAt: Self.now.wall)
            group.attempts = attempts
            group.deadLetters = 20
            content.errors = [group]
            return PlainPage(content).html
        }
        let why = "Attempts are counted from spans, dead letters from Redis; a panic may have another text in each."
        func cells(_ attempts: String) -> String { "<td class=\"n\">\(attempts)</td><td class=\"n\">20</td>" }
        #expect(page(attempts: 0).contains(cells("–")) && page(attempts: 0).contains(why))
        #expect(page(attempts: 3).contains(cells("3")) && page(attempts: 3).contains(why))
        #expect(page(attempts: 20).contains(cells("20")) && !page(attempts: 20).contains(why))
    }

    @Test("Queues that Redis or spans name are one list, sorted, each once")
    func rows() {
        let snapshot = RedisSnapshot(
            queues: [QueueSnapshot(name: QueueName("b")), QueueSnapshot(name: QueueName("c"))],
            takenAt: WallTime(nanoseconds: 0), partialErrors: [])
        let rows = QueueReading.all(
            snapshot,
            waits: [
                QueueName("a"): MeasuredWaits(quantiles: [1, 2, 3]),
                QueueName("b"): MeasuredWaits(quantiles: [4, 5, 6]),
            ])
        #expect(rows.map(\.name.text) == ["a", "b", "c"])
        #expect(rows.map { $0.snapshot != nil } == [false, true, true])
        #expect(rows.map { $0.wait?[0] } == [1, 4, nil])
        // Samples of Redis make no queue: it may be gone.
        let sampled = MeasuredWaits(quantiles: [7, 8, 9], origin: .redis)
        let others = QueueReading.all(snapshot, waits: [QueueName("a"): sampled, QueueName("c"): sampled])
        #expect(others.map(\.name.text) == ["b", "c"] && others.map(\.wait) == [nil, [7, 8, 9]])
        #expect(others[1].waitOrigin == .redis)
    }
}
