import Foundation
import Logging
import Model
import Platform
import Testing

@testable import AsynqRedis
@testable import Collector
@testable import SpanReceiver
@testable import Spool
@testable import WaitTime

@Suite("Texts for people and machines")
struct TextOutputTests {
    private static let awkward = [
        "", "plain", "\"", "\\", "\n\r\t", "\u{0}\u{1}\u{1F}\u{7F}", "é€😀", "\u{2028}\u{2029}", "</script>", "a\u{301}",
    ]

    @Test("What is escaped for JSON is read back as it was", arguments: awkward)
    func json(text: String) throws {
        let document = Data(("[\"" + escapedJSON(text) + "\"]").utf8)
        let read = try #require(try JSONSerialization.jsonObject(with: document) as? [String])
        #expect(read == [text] && read[0].utf8.elementsEqual(text.utf8))
        #expect(!escapedJSON(text).unicodeScalars.contains { $0.value < 32 })
    }

    private static func handler(_ format: LogFormat, nanoseconds: Int64) -> CollectorLogHandler {
        let clock = Clock(
            wall: { WallTime(nanoseconds: nanoseconds) }, monotonic: { MonotonicTime(nanoseconds: 0) })
        return CollectorLogHandler(label: "a\"b", level: .init(.info), format: format, clock: clock)
    }

    @Test("A log line in JSON is one line and one object, whatever is in it", arguments: awkward)
    func logLine(text: String) throws {
        let handler = Self.handler(.json, nanoseconds: 1_700_000_000_123_000_000)
        let line = handler.line(.warning, text, [text: "\(text)", "error": "two\nlines"])
        #expect(!line.contains("\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(object["message"] == text && object["level"] == "warning" && object["component"] == "a\"b")
        #expect(object["time"] == "2023-11-14T22:13:20.123Z" && object["error"] == "two\nlines")
        if !text.isEmpty { #expect(object[text] == text) }
    }

    @Test("A log line as text is one line, whatever is in its metadata", arguments: awkward)
    func textLine(text: String) {
        let line = Self.handler(.text, nanoseconds: -1).line(.error, "message", ["key": "\(text)"])
        #expect(!line.unicodeScalars.contains { $0.value < 32 })
        #expect(line.hasPrefix("1969-12-31T23:59:59.999Z error a\"b: message key=\""))
    }

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
    private static let books = Books(received: ReceiverCounters.Values(), spooled: SpoolStatistics())
    private static let trace = TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C)

    private func page(
        _ redis: RedisStatus? = nil, _ rows: [QueueRow] = [], history: [QueueName: [QueueHistory.Point]] = [:],
        letters: [DeadLetter] = [], waits: [SlowWait] = [], books: Books? = books, state: String = "off",
        grafana: String = "", dataSource: String = ""
    ) -> String {
        let content = StatusContent(
            redis: redis, rows: rows, history: history, deadLetters: letters, slowestWaits: waits, books: books,
            forwarderState: state, links: TraceLinks(grafana: grafana, dataSource: dataSource), now: Self.now)
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
        var redis = RedisStatus()
        redis.lastError = evil
        let wait = SlowWait(
            seconds: 7, queue: QueueName(evil), type: TaskType(evil), span: nil,
            observedAt: MonotonicTime(nanoseconds: 0))
        let page = page(redis, rows, letters: [letter(evil)], waits: [wait], state: evil)
        #expect(!page.contains("<script") && !page.contains("alert('"))
        #expect(page.components(separatedBy: "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;").count == 9)
        #expect(page.contains("<em>paused</em>") && page.contains("<td>3 s</td>") && page.contains("<td>200 ms</td>"))
        #expect(page.contains("<td class=\"bad\">2</td>") && page.contains("<td>7 s</td><td>60 s ago</td>"))
        #expect(page.contains("<td>90 s ago</td><td>25</td>"))
        for part in ["src=", "http://", "https://", "@import", "url("] { #expect(!page.contains(part), "\(part)") }
    }

    @Test("A status page without Redis, queues or spool is a page")
    func emptyPage() {
        let noSpool = Books(received: ReceiverCounters.Values(), spooled: nil)
        for books in [noSpool, nil] {
            let page = page(books: books)
            #expect(page.hasPrefix("<!doctype html>") && page.hasSuffix("</html>\n"))
            #expect(page.contains("No queues yet"))
            #expect(page.contains("does not answer") == (books == nil))
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
            history.note([
                QueueRow(name: QueueName("a"), snapshot: snapshot, wait: [1, Double(number), 3]),
                QueueRow(name: QueueName("b"), snapshot: nil, wait: nil),
            ])
        }
        let points = history.all[QueueName("a")]
        #expect(points?.count == 60 && points?.first?.pending == 10 && points?.last?.waitP95 == 69)
        history.note((0..<300).map { QueueRow(name: QueueName("q\($0)"), snapshot: nil, wait: nil) })
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

    @Test("Help names every key, and each of its texts")
    func help() {
        for key in ConfigurationKey.all { #expect(Help.text.contains("  \(key.flag)\n      \(key.help)")) }
    }
}
