import Testing

@testable import Top

/// Colours and weights, which say again what the text says; and lines that only some states have.
@Suite struct TopStylesTests {
    private func frame(_ text: String, columns: Int = 200) throws -> [Line] {
        TopFrame(try Samples.state(text), columns: columns, rows: 24, at: try Samples.now()).lines
    }

    /// The style of the piece that has a text in it.
    private func style(_ text: String, in lines: [Line]) -> Style? {
        lines.flatMap(\.runs).first { $0.text.contains(text) }?.style
    }

    @Test func theTotalsWarnOfRetriesDeadTasksAndFailures() throws {
        let lines = try frame(Samples.overview)
        #expect(style("pending", in: lines) == .dim && style(" retry", in: lines) == .warning)
        #expect(style(" dead", in: lines) == .critical && style("0.8/s", in: lines) == .warning)
        let none = try frame(#"{"totals":{"retry":0,"archived":0,"failed_per_second":0}}"#)
        #expect(style(" retry", in: none) == .dim && style(" dead", in: none) == .dim)
        #expect(none[2].runs.last?.style == .plain && none[2].text.hasSuffix("failed 0/s"))
    }

    @Test(
        arguments: [
            ("off", "Redis is not read", .dim), ("stale", "Redis can't be read: no reason known", .critical),
            ("unread", "Redis was not read yet: refused", .warning), ("read", "Redis, read 4 s ago", .dim),
        ] as [(String, String, Style)])
    func whatRedisIs(_ state: String, _ text: String, _ look: Style) throws {
        let error = state == "unread" ? #","error":"refused""# : ""
        let readAt = state == "read" ? #","read_at":"2026-11-28T14:02:07Z""# : ""
        let lines = try frame(
            #"{"now":"2026-11-28T14:02:11Z","redis":{"state":"\#(state)"\#(error)\#(readAt)}}"#)
        #expect(lines[1].text == text && lines[1].runs[0].style == look)
    }

    @Test(
        arguments: [
            (#""up":true"#, "traces are forwarded", .dim), (#""up":false"#, "trace backend down", .critical),
            (#""state":"starting""#, "traces: starting", .dim),
        ] as [(String, String, Style)])
    func whatTracesDo(_ members: String, _ text: String, _ look: Style) throws {
        let lines = try frame(#"{"collector":{"tempo":"http://t"},"forwarder":{\#(members)}}"#)
        #expect(lines[1].text == "Redis · \(text)" && lines[1].runs.last { $0.text != " · " }?.style == look)
    }

    @Test func withoutABackendNothingIsSaidOfTraces() throws {
        #expect(try frame("{}")[1].text == "Redis")
        #expect(try frame(#"{"collector":{"tempo":"t"}}"#)[1].text == "Redis · traces: unknown")
    }

    @Test(
        arguments: [
            (0, "spool 0 % full", .dim), (9, "spool <1 % full", .dim), (10, "spool 1 % full", .dim),
            (499, "spool 49 % full", .dim), (500, "spool 50 % full", .warning), (2000, "spool 100 % full", .warning),
        ] as [(Int, String, Style)])
    func howFullTheSpoolIs(_ bytes: Int, _ text: String, _ look: Style) throws {
        let lines = try frame(#"{"forwarder":{"up":true},"spool":{"bytes":\#(bytes),"capacity_bytes":1000}}"#)
        #expect(lines[1].text.hasSuffix(text))
        #expect(style("spool", in: lines) == look)
        #expect(try !frame(#"{"forwarder":{"up":true},"spool":{"bytes":5,"capacity_bytes":0}}"#)[1].text.contains("%"))
    }

    @Test func whatNeedsAttentionHasTheColourOfItsSeverityOnceItFires() throws {
        let lines = try frame(
            #"""
            {"attention":[{"severity":"critical","sentence":"alpha"},{"severity":"warning","sentence":"beta"},
              {"severity":"info","sentence":"gamma"},{"severity":"critical","firing":false,"sentence":"delta"},
              {"severity":"other","sentence":"epsilon"},{"severity":"info","sentence":""},{"severity":"info"}]}
            """#)
        let looks: [(String, Style)] = [
            ("alpha", .critical), ("beta", .warning), ("gamma", .plain), ("delta", .plain), ("epsilon", .warning),
        ]
        for (text, look) in looks { #expect(style(text, in: lines) == look, "\(text)") }
        #expect(lines[4].text == "!! alpha" && lines[6].text == " · gamma" && lines[7].text == "!! delta")
        #expect(lines[6].runs[0].style == .info && lines[7].runs[0].style == .critical)
    }

    @Test func aRowWarnsOfWhatIsWrong() throws {
        let queue = #""retry":1,"archived":2,"pending":7,"failed_per_second":0.5,"drains":"no","enqueued_per_second":3"#
        let lines = try frame(
            #"{"queues":[{"queue":"a",\#(queue)},{"queue":"b","paused":true,"pending":7,"retry":0}]}"#)
        let row = try #require(lines.first { $0.text.hasPrefix("   a") })
        #expect(style("1", in: [row]) == .warning && style("2", in: [row]) == .critical)
        #expect(style("0.5", in: [row]) == .warning && style("never", in: [row]) == .warning)
        let paused = try #require(lines.first { $0.text.hasPrefix("   b") })
        #expect(style("paused", in: [paused]) == .warning && style("█", in: [paused]) == .warning)
        #expect(style("█", in: [row]) == .info)
    }

    @Test(
        arguments: [
            ("DRAINS", 80), ("IN/s", 72), ("DONE/s", 72), ("FAIL/s", 104), ("SLOTS", 120), ("LATER", 128), ("p50", 140),
            ("p99", 148),
        ])
    func aColumnIsThereFromAWidthOn(_ title: String, _ columns: Int) throws {
        func heading(_ columns: Int) throws -> String {
            try frame(Samples.overview, columns: columns).map(\.text).first { $0.contains("QUEUE") } ?? ""
        }
        #expect(try heading(columns).contains(title) && !heading(columns - 1).contains(title))
    }

    @Test func theColumnOfTheOrderStandsOut() throws {
        var state = try Samples.state()
        let titles: [TopState.Order: String] = [
            .name: "QUEUE", .pending: "PENDING", .retry: "RETRY", .dead: "DEAD", .oldest: "OLDEST", .wait: "WAIT95",
            .arrivals: "IN/s", .failures: "FAIL/s",
        ]
        for order in TopState.Order.allCases {
            #expect(state.order == order)
            let lines = TopFrame(state, columns: 200, rows: 24, at: try Samples.now()).lines
            let heading = try #require(lines.first { $0.text.contains("QUEUE") })
            let bold = heading.runs.filter { $0.style == .bold }.map { $0.text.filter { $0 != " " } }
            #expect(bold == [titles[order]].compactMap(\.self))
            _ = state.handle(.character("s"), page: 3)
        }
    }

    @Test func howOldTheDataIs() throws {
        func right(_ time: String) throws -> String {
            let frame = TopFrame(try Samples.state("{}"), columns: 60, rows: 24, at: try Samples.time(time))
            return String(frame.lines[0].text.drop { $0 != "u" })
        }
        #expect(try right("2026-11-28T14:02:11.900Z") == "updated now")
        #expect(try right("2026-11-28T14:02:12.000Z") == "updated 1 s ago")
        #expect(try right("2026-11-28T14:02:10.000Z") == "updated now")
        #expect(try right("2026-11-28T14:05:11.000Z") == "updated 3 min ago")
        let waiting = TopFrame(TopState(), columns: 60, rows: 24, at: try Samples.now()).lines
        #expect(waiting[0].text == "asynq-collector" && waiting[1].text == "waiting for the first answer")
        var failed = TopState()
        failed.recordFailure("no route")
        #expect(TopFrame(failed, columns: 60, rows: 24, at: try Samples.now()).lines[1].text == "no route")
        var lost = try Samples.state()
        lost.recordFailure("no route")
        #expect(
            style("connection lost", in: TopFrame(lost, columns: 80, rows: 24, at: try Samples.now()).lines)
                == .critical)
    }

    @Test func theFooterSaysWhichQueuesAreShown() throws {
        func footer(_ text: String, _ keys: TopKey...) throws -> String? {
            var state = try Samples.state(text)
            for key in keys { _ = state.handle(key, page: 3) }
            return TopFrame(state, columns: 120, rows: 24, at: try Samples.now()).lines.last?.text
        }
        #expect(try footer(#"{"queues":[{"queue":"a"}]}"#)?.hasSuffix("  1 queue by trouble") == true)
        #expect(try footer("{}", .character("s"))?.hasSuffix("  0 queues by name") == true)
        let filtered = try footer(Samples.overview, .character("/"), .character("p"))
        #expect(filtered?.hasPrefix("filter: p_  enter keeps it, esc ends it") == true)
        #expect(filtered?.hasSuffix("  3 of 5 queues by trouble") == true)
        #expect(try footer(Samples.overview, .enter) == "esc back  ↑↓ scroll  ? help  q quit")
    }

    @Test(arguments: [(12, 2), (20, 2), (24, 3), (51, 9), (56, 10), (100, 10)])
    func noticesTakeAFewLines(_ rows: Int, _ count: Int) throws {
        var state = try Samples.state("{}")
        state.notices = (10...30).map { .init(time: "t", text: "event \($0)") }
        let lines = TopFrame(state, columns: 80, rows: rows, at: try Samples.now()).lines
        let shown = lines.filter { $0.text.hasPrefix("t event") }
        #expect(shown.count == count && shown.last?.text == "t event 30")
        #expect(shown.last?.runs.last?.style == .bold && shown.first?.runs.last?.style == .plain)
    }

    @Test(
        arguments: [
            (512.0, "512 B"), (999, "999 B"), (999.6, "1 KiB"), (1024, "1 KiB"), (1536, "1.5 KiB"),
            (16_777_216, "16 MiB"),
            (1_099_511_627_776, "1 TiB"), (5_629_499_534_213_120, "5120 TiB"), (-1, "–"), (.infinity, "–"),
        ] as [(Double, String)])
    func bytes(_ bytes: Double, _ text: String) {
        #expect(Quantity.bytes(bytes) == text)
    }

    @Test func whatIsSelectedIsNotFaint() {
        var line = Line("a", .dim)
        line.add("b", .info)
        var writer = FrameWriter(.init(hasColours: true, isUTF8: true))
        #expect(writer.update(to: [line], columns: 9).contains("\u{1B}[2ma\u{1B}[m\u{1B}[36mb"))
        line.isSelected = true
        #expect(writer.update(to: [line], columns: 9).contains("\u{1B}[7ma\u{1B}[m\u{1B}[7;36mb"))
        #expect(FrameWriter(.init(hasColours: true, isUTF8: true)).text([Line("x", .bold)]) == "\u{1B}[1mx\u{1B}[m\n")
    }
}
