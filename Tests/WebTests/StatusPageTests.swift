import Foundation
import Model
import Testing

@testable import WaitTime
@testable import Web

@Suite("The status page")
struct StatusPageTests {
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
        accepted: 10, refused: 2, spooled: SpanTotals.Spooled(forwarded: 5, inSpool: 4, dropped: 1))
    private static let trace = TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C)

    private func page(
        _ redis: RedisReading = .off, _ rows: [QueueRow] = [], letters: [DeadLetter] = [], waits: [SlowWait] = [],
        spans: SpanTotals? = spans, state: String = "off", grafana: String = "", dataSource: String = ""
    ) -> String {
        var content = StatusContent(
            version: "1.2.3", redis: redis, spans: spans, forwarderState: state,
            links: TraceLinks(grafana: grafana, dataSource: dataSource), now: Self.now)
        content.rows = rows
        content.deadLetters = letters
        content.slowestWaits = waits
        return String(decoding: StatusPage.html(content), as: UTF8.self)
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
            QueueRow(name: QueueName(evil), snapshot: snapshot, wait: [0.1, 0.2, 0.3]),
            QueueRow(name: QueueName([0xFF]), snapshot: nil, wait: nil),
        ]
        let wait = SlowWait(
            seconds: 7, queue: QueueName(evil), type: TaskType(evil), span: nil,
            observedAt: MonotonicTime(nanoseconds: 0))
        let page = page(.unread(evil), rows, letters: [letter(evil)], waits: [wait], state: evil)
        #expect(!page.contains("<script") && !page.contains("alert('"))
        #expect(page.components(separatedBy: "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;").count == 9)
        #expect(page.contains("<em>paused</em>") && page.contains("<td>3 s</td>") && page.contains("<td>200 ms</td>"))
        #expect(page.contains("<td class=\"bad\">2</td>") && page.contains("<td>7 s</td><td>60 s ago</td>"))
        #expect(page.contains("<td>90 s ago</td><td>25</td>"))
        for part in ["src=", "http://", "https://", "@import", "url("] { #expect(!page.contains(part), "\(part)") }
    }

    @Test("A status page without Redis, queues or spool is a page")
    func emptyPage() {
        let noSpool = SpanTotals(accepted: 0, refused: 0, spooled: nil)
        for spans in [noSpool, nil] {
            let page = page(spans: spans)
            #expect(page.hasPrefix("<!doctype html>") && page.hasSuffix("</html>\n"))
            #expect(page.contains("No queues yet"))
            #expect(page.contains("does not answer") == (spans == nil))
        }
    }

    @Test("The page says which Redis and database are read, also where it has no queues")
    func location() {
        var content = StatusContent(
            version: "1.2.3", redis: .off, spans: nil, forwarderState: "off",
            links: TraceLinks(grafana: "", dataSource: ""),
            now: Self.now)
        content.redisURL = "redis-sentinel://a:1/5?master=<m>"
        let page = String(decoding: StatusPage.html(content), as: UTF8.self)
        #expect(page.contains("<p>Redis: redis-sentinel://a:1/5?master=&lt;m&gt;</p>"))
        #expect(page.contains("No queues yet in redis-sentinel://a:1/5?master=&lt;m&gt;."))
    }

    @Test("The page says what was received and what became of it, and its version")
    func spanTable() {
        let page = page()
        for (name, count) in [
            ("received", 12), ("accepted", 10), ("refused", 2), ("forwarded", 5), ("in the spool", 4), ("dropped", 1),
        ] { #expect(page.contains("<tr><th>\(name)</th><td>\(count)</td></tr>")) }
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
            return page(.read(read)).components(separatedBy: "<div><b>").filter { $0.contains("oldest") }
                .map { $0.components(separatedBy: "</div>")[0] }
        }
        #expect(tiles([]) == ["0</b>oldest"])
        #expect(tiles([(3, false), (2, nil), (90, true), (60, true)]) == ["3 s</b>oldest", "90 s</b>oldest, paused"])
        #expect(tiles([(3, nil), (0, true)]) == ["3 s</b>oldest"])
    }

    @Test("Why Redis can't be read stands on the page; where it is off, nothing does")
    func redisReading() {
        #expect(page(.unread(nil)).contains("Redis can't be read: not scraped yet"))
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

    @Test("A sparkline has its newest value on the right, and gaps where nothing is known")
    func sparkline() {
        #expect(Sparkline.svg([], title: "x").isEmpty && Sparkline.svg([1], title: "x").isEmpty)
        #expect(
            Sparkline.svg([nil, 3, nil], title: "x").isEmpty && Sparkline.svg([.infinity, .nan], title: "x").isEmpty)
        let line = Sparkline.svg([0, 4, nil, 2, 2, nil, 1], title: "x")
        #expect(line.contains("<polyline points=\"53,15.0 54,1.0\"/><polyline points=\"56,8.0 57,8.0\"/></svg>"))
        #expect(Sparkline.svg([0, 0], title: "x").contains("58,15.0 59,15.0"))
    }

    @Test("History keeps ten minutes of the queues that are there")
    func history() {
        let history = QueueHistory()
        var snapshot = QueueSnapshot(name: QueueName("a"))
        for number in 0..<70 {
            snapshot.size[.pending] = Int64(number)
            history.record([
                QueueRow(name: QueueName("a"), snapshot: snapshot, wait: [1, Double(number), 3]),
                QueueRow(name: QueueName("b"), snapshot: nil, wait: nil),
            ])
        }
        let points = history.all[QueueName("a")]
        #expect(points?.count == 60 && points?.first?.pending == 10 && points?.last?.waitP95 == 69)
        history.record((0..<300).map { QueueRow(name: QueueName("q\($0)"), snapshot: nil, wait: nil) })
        #expect(history.all.count == QueueHistory.maxQueues && history.all[QueueName("a")] == nil)
    }

    @Test("Queues that Redis or spans name are one list, sorted, each once")
    func rows() {
        let snapshot = RedisSnapshot(
            queues: [QueueSnapshot(name: QueueName("b")), QueueSnapshot(name: QueueName("c"))],
            takenAt: WallTime(nanoseconds: 0), partialErrors: [])
        let rows = QueueRow.all(snapshot, waits: [QueueName("a"): [1, 2, 3], QueueName("b"): [4, 5, 6]])
        #expect(rows.map(\.name.text) == ["a", "b", "c"])
        #expect(rows.map { $0.snapshot != nil } == [false, true, true])
        #expect(rows.map { $0.wait?[0] } == [1, 4, nil])
    }
}
