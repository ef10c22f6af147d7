import Testing

@testable import Top

/// What each key does in the list, in an opened queue, in the filter and in the help.
@Suite struct TopKeysTests {
    @Test(
        arguments: [
            (.down, 2, 3), (.character("j"), 2, 3), (.up, 2, 1), (.character("k"), 2, 1), (.pageDown, 1, 4),
            (.character(" "), 1, 4), (.pageDown, 2, 4), (.pageUp, 4, 1), (.pageUp, 2, 0), (.home, 3, 0), (.end, 1, 4),
            (.down, 4, 4), (.up, 0, 0), (.left, 2, 2), (.backspace, 2, 2), (.character("x"), 2, 2),
        ] as [(TopKey, Int, Int)])
    func aKeyMovesTheSelection(_ key: TopKey, _ from: Int, _ to: Int) throws {
        var state = try Samples.state()
        for _ in 0..<from { _ = state.handle(.down, page: 3) }
        #expect(state.handle(key, page: 3) == .none)
        #expect(state.selectedIndex == to && state.openQueue == nil)
    }

    /// A screen that shows no queue moves by one.
    @Test func aPageIsAtLeastOneLine() throws {
        var state = try Samples.state()
        _ = state.handle(.pageDown, page: 0)
        #expect(state.selectedIndex == 1)
        _ = state.handle(.pageUp, page: -5)
        #expect(state.selectedIndex == 0)
        _ = state.handle(.enter, page: 0)
        _ = state.handle(.pageDown, page: 0)
        #expect(state.scroll == 1)
    }

    @Test(
        arguments: [
            (.down, 11), (.character("j"), 11), (.up, 9), (.character("k"), 9), (.pageDown, 13), (.character(" "), 13),
            (.pageUp, 7), (.home, 0), (.end, 10), (.right, 10), (.character("s"), 10),
        ] as [(TopKey, Int)])
    func aKeyScrollsAnOpenedQueue(_ key: TopKey, _ scroll: Int) throws {
        var state = try Samples.state()
        #expect(state.handle(.right, page: 3) == .opened)
        for _ in 0..<10 { _ = state.handle(.down, page: 3) }
        #expect(state.handle(key, page: 3) == .none)
        #expect(state.scroll == scroll && state.order == .trouble && state.openQueue == "reports")
    }

    @Test(arguments: [TopKey.escape, .left, .backspace, .enter])
    func aKeyLeavesAnOpenedQueue(_ key: TopKey) throws {
        var state = try Samples.state()
        _ = state.handle(.enter, page: 3)
        _ = state.handle(.pageDown, page: 3)
        #expect(state.handle(key, page: 3) == .opened && state.openQueue == nil)
        _ = state.handle(.enter, page: 3)
        #expect(state.scroll == 0)
        state.limitScroll(to: -1)
        #expect(state.scroll == 0)
    }

    @Test func aFilterEndsWithAKeyOrWithoutLetters() throws {
        for key in [TopKey.enter, .up, .down] {
            var state = try Samples.state()
            for key in [.character("/"), .character("e"), key] as [TopKey] { _ = state.handle(key, page: 3) }
            #expect(!state.isEditingFilter && state.filter == "e")
        }
        var state = try Samples.state()
        for key in [.character("/"), .character("e"), .backspace] as [TopKey] { _ = state.handle(key, page: 3) }
        #expect(state.isEditingFilter && state.filter == "")
        _ = state.handle(.backspace, page: 3)
        #expect(!state.isEditingFilter)
        for key in [.character("f"), .character("z"), .left, .escape] as [TopKey] { _ = state.handle(key, page: 3) }
        #expect(!state.isEditingFilter && state.filter == "" && state.rows.count == 5)
    }

    @Test func aFilterHasAtMostAHundredCharacters() throws {
        var state = try Samples.state()
        _ = state.handle(.character("/"), page: 3)
        for _ in 0..<101 { _ = state.handle(.character("é"), page: 3) }
        #expect(state.filter.count == 100)
    }

    @Test(arguments: ["?", "h"] as [Character])
    func theHelpIsLeftByAnyKeyAndQuitByOne(_ key: Character) throws {
        var state = try Samples.state()
        #expect(state.handle(.character(key), page: 3) == .none && state.showsHelp)
        #expect(state.handle(.down, page: 3) == .none && !state.showsHelp)
        #expect(state.selectedIndex == 0)
        _ = state.handle(.character(key), page: 3)
        #expect(state.handle(.character("q"), page: 3) == .quit)
    }

    @Test func theScreenIsRedrawnWhereverItIs() throws {
        var state = try Samples.state()
        for key in [.escape, .character("?"), .character("/"), .enter] as [TopKey] {
            _ = state.handle(key, page: 3)
            #expect(state.handle(.redraw, page: 3) == .redraw)
        }
    }

    /// Queues in the same trouble are sorted by their place in what needs attention, then by tasks, then by name.
    @Test func equalQueuesAreInAnOrderOfTheirOwn() throws {
        var state = TopState()
        state.show(
            try Samples.document(
                #"""
                {"attention":[{"queue":"d","sentence":"x","severity":"warning"},{"queue":"c","sentence":"y"},
                  {"queue":"d","sentence":"z"}],
                 "queues":[{"queue":"c","trouble":"warning","pending":9},{"queue":"d","trouble":"warning","pending":1},
                  {"queue":"b","pending":4},{"queue":"a","pending":4},{"queue":"e","pending":5},{"queue":"f"},
                  {"queue":"g","trouble":"info"}]}
                """#), at: try Samples.now())
        #expect(state.rows.map(\.name) == ["d", "c", "g", "e", "a", "b", "f"])
    }
}
