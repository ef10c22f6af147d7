import Testing

@testable import Top

/// Whole frames as a terminal shows them, as text.
@Suite struct TopFrameTests {
    private func text(_ lines: [String]) -> String { lines.joined(separator: "\n") }

    @Test func aScreenOf80By24() throws {
        let expected = #"""
            asynq-collector 0.1.0 on web-7, up 3.2 h                         updated 2 s ago
            Redis, read 2 s ago · trace backend down, spool 3 % full, full in 9 h
            5,899 pending  19 active  31 retry  44 dead  · in 25/s  done 21/s  failed 0.8/s

            !! reports: the backlog grows by 4/s, 3 of 3 workers busy, drains never at this
               rate
             ! imports has been paused for 30 min; 5,377 tasks wait
             · Tempo has been unreachable for 4 min; spool 3 % full, full in 9 h

               QUEUE        PENDING   RUN  RETRY   DEAD  OLDEST  WAIT95  IN/s DONE/s  DRAINS
            !! reports          387     3      0      7 1.6 min    88 s     6      2   never
             ! imports        5,377     0      0      0  30 min       –     3      0  paused
             ! emails           120     5     31     37   2.1 s     4 s   6.5    5.1    41 s
               payments           3     2      0      0   12 ms   30 ms   3.8    3.8  800 ms
               漢字の待ち…        –     –      –      –       –       –     –      –       –








            q quit  ? help  / filter  s sort  ↑↓ enter open              5 queues by trouble
            """#
        #expect(text(try Samples.lines(Samples.state(), 80, 24)) == expected)
    }

    /// A wider screen has more columns, and the hour.
    @Test func aScreenOf200By20() throws {
        let expected = #"""
            asynq-collector 0.1.0 on web-7, up 3.2 h                                                                                                                                                 updated 2 s ago
            redis://10.0.0.5:6379/0, read 2 s ago · trace backend down, spool 3 % full, full in 9 h
            5,899 pending  19 active  120 scheduled  31 retry  44 dead  · in 25/s  done 21/s  failed 0.8/s

            !! reports: the backlog grows by 4/s, 3 of 3 workers busy, drains never at this rate
             ! imports has been paused for 30 min; 5,377 tasks wait
             · Tempo has been unreachable for 4 min; spool 3 % full, full in 9 h

               QUEUE                   PENDING              RUN SLOTS  LATER  RETRY   DEAD  OLDEST     p50  WAIT95     p99  IN/s DONE/s FAIL/s  DRAINS PENDING, last hour
            !! reports                     387 ▊              3     3      0      0      7 1.6 min       –    88 s       –     6      2    0.1   never
             ! imports                   5,377 ██████████     0     2    120      0      0  30 min       –       –       –     3      0      0  paused
             ! emails                      120 ▎              5    10      0     31     37   2.1 s  800 ms     4 s   9.4 s   6.5    5.1    0.8    41 s                                                     ▁▁▂▄█▄▂▂
               payments                      3 ▏              2    10      0      0      0   12 ms    4 ms   30 ms  200 ms   3.8    3.8      0  800 ms                                                     ▁▁▂▃▄█▄▃
               漢字の待ち行列\u{1b}[2J       –                –     –      –      –      –       –       –       –       –     –      –      –       –





            q quit  ? help  / filter  s sort  ↑↓ enter open                                                                                                                                      5 queues by trouble
            """#
        #expect(text(try Samples.lines(Samples.state(), 200, 20)) == expected)
    }

    @Test func aScreenThatIsTooSmallIsCut() throws {
        let expected = #"""
            asynq-collector 0.1.0 o… updated 2 s ago
            Redis, read 2 s ago · trace backend dow…
            5,899 pending  19 active  31 retry  44 …

            !! reports: the backlog grows by 4/s, 3
               of 3 workers busy, drains never at t…
               and 2 more

               QUEUE      PENDING   RUN  RETRY   DE…
            !! reports        387     3      0     …
             ! imports      5,377     0      0     …
            q quit  ? help  / filter  s sort  ↑↓ en…
            """#
        #expect(text(try Samples.lines(Samples.state(), 40, 12)) == expected)
    }

    /// Where not all fits, what concerns everything stays.
    @Test func whatConcernsEverythingStays() throws {
        let tempo = #""queue":null,"#
        #expect(Samples.overview.contains(tempo))
        let overview = Samples.overview.replacing(tempo, with: #""queue":null,"global":true,"#)
        let document = try Samples.document(overview)
        func lines(_ most: Int) -> [String] { TopFrame.attention(document, columns: 100, most: most).map(\.text) }
        let all = [
            "!! reports: the backlog grows by 4/s, 3 of 3 workers busy, drains never at this rate",
            " ! imports has been paused for 30 min; 5,377 tasks wait",
            " · Tempo has been unreachable for 4 min; spool 3 % full, full in 9 h",
        ]
        #expect(lines(3) == all && lines(9) == all)
        #expect(lines(2) == [all[0], "   and 2 more"] && lines(1) == [all[0], "   and 2 more"])
        let more = try Samples.document(overview.replacing(#""attention_total":3"#, with: #""attention_total":9"#))
        #expect(
            TopFrame.attention(more, columns: 100, most: 3).map(\.text) == [all[0], all[2], "   and 7 more"])
    }

    @Test func aQueueSaysWhichDeadLettersWereReadAndForWhomItsServersWork() throws {
        var state = try Samples.state()
        for key in [TopKey.down, .down, .enter] { _ = state.handle(key, page: 10) }
        let queue = Samples.queue.replacing(
            #""busy_workers":5"#, with: #""busy_workers":5,"dead_lettered_total":37,"unread_dead_letters_total":12"#
        )
        .replacing(#""paused":false"#, with: #""paused":true"#).replacing(#""active":5"#, with: #""active":0"#)
        state.show(TopQueueDocument(try Samples.json(queue)), of: "emails")
        let text = text(try Samples.lines(state, 120, nil))
        #expect(
            text.contains("\n25 of 37 dead letters were read; the others came too fast, and are in no group of errors.")
        )
        #expect(text.contains("workers 5 of 10 busy with other queues on 1 server"))
    }

    /// Zero attempts of a task that died would be a contradiction.
    @Test func errorsWithoutSpansHaveNoNumberOfAttempts() throws {
        var state = try Samples.state()
        for key in [TopKey.down, .down, .enter] { _ = state.handle(key, page: 10) }
        func shown(attempts: Int, dead: Int) throws -> [String] {
            let numbers = #""attempts":\#(attempts),"dead_letters":\#(dead)"#
            let queue = Samples.queue.replacing(#""attempts":41,"dead_letters":25"#, with: numbers)
            state.show(TopQueueDocument(try Samples.json(queue)), of: "emails")
            return try Samples.lines(state, 80, nil)
        }
        let heading = "ERRORS: attempts whose span came, dead letters read in Redis"
        let without = try shown(attempts: 0, dead: 20)
        #expect(without.contains("       – email:send           smtp: <n> greylisted  20 dead"))
        #expect(without.contains(heading))
        let few = try shown(attempts: 3, dead: 20)
        #expect(few.contains("      3× email:send           smtp: <n> greylisted  20 dead") && few.contains(heading))
        let enough = try shown(attempts: 20, dead: 20)
        #expect(
            enough.contains("     20× email:send           smtp: <n> greylisted  20 dead") && enough.contains("ERRORS"))
    }

    @Test func theTroublesOfAQueueAreThoseOfItsOwnDocument() throws {
        var state = try Samples.state()
        for key in [TopKey.down, .enter] { _ = state.handle(key, page: 10) }
        let sentence = "imports has been paused for 31 min; 5,400 tasks wait"
        let queue = Samples.queue.replacing(
            #""queue":"emails","#,
            with: #""queue":"imports","attention":[{"severity":"warning","sentence":"\#(sentence)"}],"#)
        #expect(text(try Samples.lines(state, 120, nil)).contains("5,377 tasks wait"))
        state.show(TopQueueDocument(try Samples.json(queue)), of: "imports")
        let shown = text(try Samples.lines(state, 120, nil))
        #expect(shown.contains(sentence) && !shown.contains("5,377 tasks"))
    }

    /// A queue that neither shrinks nor grows.
    @Test func aSteadyBacklogSaysSo() throws {
        let document = try Samples.document(Samples.overview.replacing(#""drains":"no""#, with: #""drains":"steady""#))
        #expect(TopTable.drain(document.queues[2]).text == "steady")
    }

    /// `--once` has all queues, and no keys.
    @Test func aTextHasNoKeys() throws {
        let screen = try Samples.lines(Samples.state(), 80, 24)
        let lines = try Samples.lines(Samples.state(), 80, nil)
        #expect(lines == Array(screen.prefix(lines.count)))
        #expect(lines.count == 15)
    }

    @Test func aQueueThatIsOpened() throws {
        var state = try Samples.state()
        for key in [TopKey.down, .down, .enter] { _ = state.handle(key, page: 10) }
        state.show(TopQueueDocument(try Samples.json(Samples.queue)), of: "emails")
        let expected = #"""
            asynq-collector 0.1.0 on web-7, up 3.2 h                         updated 2 s ago
            Redis, read 2 s ago · trace backend down, spool 3 % full, full in 9 h
            5,899 pending  19 active  31 retry  44 dead  · in 25/s  done 21/s  failed 0.8/s

            emails
            █ 5 active  █ 120 pending  ▓ 31 retry  █ 37 dead  ░ 0 scheduled  ▒ 0 aggregatin…
            ████████████████████████████████████████████████████▓▓▓▓▓▓▓▓▓▓▓▓▓███████████████
            wait  oldest 2.1 s  p50 800 ms  p95 4 s  p99 9.4 s  drains 41 s
            rate  in 6.5/s  done 5.1/s  failed 0.8/s  workers 5 of 10 busy on 1 server, lon…

            pending, last hour, up to 480            wait p95, last hour, up to 4 s
                                               █                                        ████
                                               █                                       █████
                                              ███                                     ██████
                                           ▁▄██████                                  ███████

            TASK TYPE, SINCE THE START    ATTEMPTS    FAILED    WAIT95     RUN95
            email:send                       2,310        68       4 s    900 ms

            ERRORS
                 41× email:send           smtp: <n> greylisted  25 dead

            DEAD LETTERS
               11 s ago email:send           smtp: 451 greylisted  trace 0af7651916cd43dd84…

            RETRIES DUE NEXT
                 in 2 s email:send           i/o timeout

            SLOWEST WAITS
                  9.4 s email:send

            SERVED BY
            worker-2:4711


            esc back  ↑↓ scroll  ? help  q quit
            """#
        #expect(text(try Samples.lines(state, 80, 36)) == expected)
    }

    @Test func anOpenedQueueIsScrolledToItsEndAndNoFurther() throws {
        var state = try Samples.state()
        for key in [TopKey.down, .down, .enter] { _ = state.handle(key, page: 10) }
        state.show(TopQueueDocument(try Samples.json(Samples.queue)), of: "emails")
        for _ in 0..<100 { _ = state.handle(.down, page: 10) }
        let frame = TopFrame(state, columns: 80, rows: 24, at: try Samples.now())
        #expect(frame.lastScroll == 10)
        #expect(frame.lines[22].text == "worker-2:4711")
        state.limitScroll(to: frame.lastScroll)
        #expect(state.scroll == 10)
    }

    @Test func theHelp() throws {
        var state = try Samples.state()
        _ = state.handle(.character("?"), page: 10)
        let expected = #"""
            asynq-collector 0.1.0 on web-7, up 3.2 h                         updated 2 s ago
            Redis, read 2 s ago · trace backend down, spool 3 % full, full in 9 h
            5,899 pending  19 active  31 retry  44 dead  · in 25/s  done 21/s  failed 0.8/s

            Keys
              ↑ ↓  k j   select a queue; also Page Up, Page Down, Home, End
              enter      open the queue: states, charts, errors, dead letters
              esc        back to the queues; without an opened queue: end the filter
              / or f     show only queues whose name has a text in it
              s          sort by trouble, name, pending, retry, dead, oldest, wait, in, fail
              Ctrl-L     redraw the screen
              q          quit

            Columns
              RUN        tasks that workers run now
              LATER      tasks that are scheduled for later
              DEAD       archived tasks: no further attempt
              OLDEST     how long the next task has been waiting
              WAIT95     95 of 100 tasks waited no longer lately; ~: sampled in Redis
              DRAINS     how long until the queue is empty at the present rates

            Press any key to go back; q quits.







            q quit  ? help  / filter  s sort  ↑↓ enter open
            """#
        #expect(text(try Samples.lines(state, 80, 30)) == expected)
    }

    @Test func aCollectorThatIsGoneLeavesItsLastStateWithItsTime() throws {
        var state = try Samples.state()
        state.recordFailure("Connection refused")
        let lines = try Samples.lines(state, 80, 24)
        #expect(lines[0] == "asynq-collector 0.1.0 on web-7, up 3.2 h     connection lost, last data 14:02:11")
        #expect(lines[10].hasPrefix("!! reports          387"))
    }

    @Test func aRedisThatIsGoneIsSaidWithItsTime() throws {
        let text = #"""
            {"redis":{"state":"stale","read_at":"2026-11-28T14:00:05Z","error":"Connection refused"},
             "collector":{"redis":"redis://r:6379/0"},"queues":[{"queue":"a","pending":5}]}
            """#
        let lines = try Samples.lines(Samples.state(text), 80, 24)
        #expect(lines[1] == "redis://r:6379/0 can't be read since 14:00:05: Connection refused")
        #expect(lines.contains { $0.hasPrefix("   a ") })
    }

    @Test func nothingWrongIsOneLineThatSaysWhatWasLookedAt() throws {
        let text = #"{"attention":[],"attention_total":0,"looked_at":"2 queues and Redis","queues":[]}"#
        let lines = try Samples.lines(Samples.state(text), 80, 24)
        #expect(lines[4] == "✓ Nothing needs attention. Looked at: 2 queues and Redis.")
        #expect(lines[6] == "No queues yet.")
    }

    @Test func whatWasLookedAtIsWrapped() throws {
        let text = #"""
            {"attention":[],"looked_at":"5,000 queues, 12 servers, 30 cron entries, Redis, Tempo and the spool","queues":[]}
            """#
        let lines = try Samples.lines(Samples.state(text), 80, 24)
        #expect(lines[4] == "✓ Nothing needs attention. Looked at: 5,000 queues, 12 servers, 30 cron entries,")
        #expect(lines[5] == "Redis, Tempo and the spool.")
    }

    @Test func aFirstLookDoesNotSayThatAllIsWell() throws {
        let text = #"{"attention":[],"looked_at":"2 queues and Redis","looked_long_enough":false,"queues":[]}"#
        let lines = try Samples.lines(Samples.state(text), 80, 24)
        #expect(lines[4] == "Nothing needs attention so far; some conditions take a minute to tell. Looking")
        #expect(lines[5] == "at: 2 queues and Redis.")
        let unread = #"{"redis":{"state":"unread"},"attention":[],"looked_at":"0 queues and Redis","queues":[]}"#
        #expect(try Samples.lines(Samples.state(unread), 80, 24)[4] == "Nothing is known yet.")
    }

    /// The overview lists 200 troubles; the queue's own document has all of its.
    @Test func anOpenedQueueHasItsTroublesThoughTheOverviewDoesNotListThem() throws {
        let text =
            #"{"attention":[{"severity":"warning","sentence":"x","queue":"a"}],"attention_total":2,"queues":[{"queue":"b"}]}"#
        var state = try Samples.state(text)
        _ = state.handle(.enter, page: 10)
        let queue = #"{"queue":"b","attention":[{"severity":"warning","sentence":"b is late","queue":"b"}]}"#
        state.show(TopQueueDocument(try Samples.json(queue)), of: "b")
        #expect(try Samples.lines(state, 80, 24).contains(" ! b is late"))
    }

    /// Many troubles leave space for the queues; how many there are besides is said.
    @Test func manyTroublesAreCounted() throws {
        let troubles = (1...9).map { #"{"severity":"warning","sentence":"trouble \#($0)"}"# }.joined(separator: ",")
        let queues = (10...29).map { #"{"queue":"q\#($0)"}"# }.joined(separator: ",")
        let text = #"{"attention":[\#(troubles)],"attention_total":250,"queues":[\#(queues)]}"#
        let lines = try Samples.lines(Samples.state(text), 80, 24)
        #expect(lines[4] == " ! trouble 1")
        #expect(lines[8] == " ! trouble 5")
        #expect(lines[9] == "   and 245 more")
        #expect(lines[11].contains("QUEUE"))
        // Where the queues leave space, there are more.
        #expect(try Samples.lines(Samples.state(text), 80, 40)[12] == " ! trouble 9")
        let all = try Samples.lines(Samples.state(text), 80, nil)
        #expect(all.contains(" ! trouble 9"))
        #expect(all.contains("   and 241 more"))
    }

    /// A page holds what fits; the one with the selection is shown.
    @Test func theSelectionIsOnTheScreen() throws {
        let queues = (10..<99).map { #"{"queue":"queue-\#($0)"}"# }.joined(separator: ",")
        var state = try Samples.state(#"{"attention":[],"queues":[\#(queues)]}"#)
        for count in 0..<89 {
            let frame = TopFrame(state, columns: 80, rows: 24, at: try Samples.now())
            #expect(frame.lines.count == 24)
            #expect(frame.page == 16)
            let selected = frame.lines.filter(\.isSelected)
            #expect(selected.map { String($0.text.prefix(11)) } == ["   queue-\(count + 10)"])
            _ = state.handle(.down, page: frame.page)
        }
    }

    @Test(arguments: [(20, 3), (80, 1), (10, 24), (1, 1), (300, 100)])
    func everySizeIsFilledAndNotExceeded(_ columns: Int, _ rows: Int) throws {
        var state = try Samples.state()
        state.banner = [Line("page http://127.0.0.1:9876/")]
        state.notices = [.init(time: "14:02:11", text: "imports is paused")]
        for key in [nil, TopKey.character("?"), .escape, .enter, .escape, .character("/")] {
            if let key { _ = state.handle(key, page: 1) }
            let frame = TopFrame(state, columns: columns, rows: rows, at: try Samples.now())
            #expect(frame.lines.count == rows)
            #expect(frame.lines.allSatisfy { $0.width <= max(20, columns) })
        }
    }

    @Test func theStoryStandsAboveTheKeys() throws {
        var state = try Samples.state()
        state.notices = (1...9).map { .init(time: "14:02:1\($0)", text: "event \($0)") }
        let lines = try Samples.lines(state, 80, 24)
        #expect(lines.suffix(5).dropLast() == ["", "14:02:17 event 7", "14:02:18 event 8", "14:02:19 event 9"])
    }
}
