import Model
import Testing

@testable import Top

@Suite struct TopStateTests {
    private func names(_ state: TopState) -> [String] { state.rows.map(\.name) }

    private func press(_ keys: TopKey..., in state: inout TopState) {
        for key in keys { _ = state.handle(key, page: 3) }
    }

    @Test func theWorstTroubleStandsFirst() throws {
        let state = try Samples.state()
        #expect(names(state).prefix(4) == ["reports", "imports", "emails", "payments"])
        #expect(state.selected == "reports")
    }

    @Test func queuesAreSortedByWhatIsChosen() throws {
        var state = try Samples.state()
        let first: [TopState.Order: String] = [
            .name: "emails", .pending: "imports", .retry: "emails", .dead: "emails", .oldest: "imports",
            .wait: "reports", .arrivals: "emails", .failures: "emails",
        ]
        for order in TopState.Order.allCases.dropFirst() {
            press(.character("s"), in: &state)
            #expect(state.order == order)
            #expect(state.rows.first?.name == first[order], "\(order)")
            // What is not known comes last.
            #expect(state.rows.last?.name.hasPrefix("漢字") == true)
        }
        press(.character("s"), in: &state)
        #expect(state.order == .trouble)
    }

    @Test(arguments: ["/", "f"] as [Character])
    func aFilterKeepsQueuesWithATextInTheirNames(_ key: Character) throws {
        var state = try Samples.state()
        press(.character(key), .character("P"), .character("O"), in: &state)
        #expect(state.isEditingFilter)
        #expect(names(state) == ["reports", "imports"])
        #expect(state.selected == "reports")
        press(.backspace, .character("a"), .enter, in: &state)
        #expect(!state.isEditingFilter)
        #expect(names(state) == ["payments"])
        press(.escape, in: &state)
        #expect(state.rows.count == 5)
    }

    @Test func anOverviewThatIsAsItWasIsNews() throws {
        var state = try Samples.state()
        let (rows, later) = (names(state), try Samples.now().advanced(by: .seconds(60)))
        state.recordFailure("no answer")
        state.show(nil, at: later)
        #expect(state.failure == nil && state.documentAt == later && names(state) == rows)
    }

    @Test func aDocumentOfAQueueThatFailsIsTold() throws {
        var state = try Samples.state()
        press(.enter, in: &state)
        let queue = try #require(state.openQueue)
        state.recordFailure("no answer", of: "another")
        #expect(state.queueFailure == nil)
        state.recordFailure("it answers 500", of: queue)
        func text() throws -> String {
            TopFrame(state, columns: 80, rows: 24, at: try Samples.now()).lines.map(\.text).joined(separator: "\n")
        }
        #expect(try text().contains("Only what the overview says of the queue is known: it answers 500"))
        state.show(TopQueueDocument(try Samples.json(Samples.queue)), of: queue)
        #expect(try !text().contains("it answers 500"))
        state.recordFailure("no answer", of: queue)
        #expect(try text().contains("Its last state is shown: no answer"))
        press(.escape, in: &state)
        #expect(state.queueFailure == nil)
    }

    @Test func lettersOfAFilterAreNoCommands() throws {
        var state = try Samples.state()
        press(.character("/"), in: &state)
        #expect(state.handle(.character("q"), page: 3) == .none)
        #expect(state.filter == "q")
        #expect(state.handle(.interrupt, page: 3) == .quit)
    }

    @Test func theSelectionStaysOnItsQueue() throws {
        var state = try Samples.state()
        press(.down, .down, in: &state)
        #expect(state.selected == "emails")
        press(.character("s"), in: &state)
        #expect(state.selected == "emails")
        #expect(state.selectedIndex == 0)
        state.show(try Samples.document(), at: try Samples.now())
        #expect(state.selected == "emails")
        press(.end, in: &state)
        #expect(state.selectedIndex == 4)
        press(.down, in: &state)
        #expect(state.selectedIndex == 4)
        press(.pageUp, in: &state)
        #expect(state.selectedIndex == 1)
        press(.home, .up, in: &state)
        #expect(state.selectedIndex == 0)
    }

    /// Until a key moves it, the selection is on the worst queue, whichever that is.
    @Test func theFirstQueueIsSelectedUntilAnotherIsChosen() throws {
        var state = try Samples.state()
        state.show(
            try Samples.document(#"{"queues":[{"queue":"b","trouble":"critical"},{"queue":"reports"}]}"#),
            at: try Samples.now())
        #expect(state.selected == "b")
        state.show(
            try Samples.document(#"{"queues":[{"queue":"b"},{"queue":"reports","trouble":"critical"}]}"#),
            at: try Samples.now())
        #expect(state.selected == "reports")
    }

    @Test func aSelectedQueueThatVanishesGivesItsPlaceToTheFirst() throws {
        var state = try Samples.state()
        press(.down, in: &state)
        state.show(try Samples.document(#"{"queues":[{"queue":"a"},{"queue":"b"}]}"#), at: try Samples.now())
        #expect(state.selected == "a")
        state.show(try Samples.document("{}"), at: try Samples.now())
        #expect(state.selected == nil)
        #expect(state.handle(.enter, page: 3) == .none)
    }

    @Test func aQueueIsOpenedAndLeft() throws {
        var state = try Samples.state()
        press(.down, .down, in: &state)
        #expect(state.handle(.enter, page: 3) == .opened)
        #expect(state.openQueue == "emails")
        state.show(TopQueueDocument(try Samples.json(Samples.queue)), of: "imports")
        #expect(state.queueDocument == nil)
        state.show(TopQueueDocument(try Samples.json(Samples.queue)), of: "emails")
        #expect(state.queueDocument != nil)
        press(.down, .down, in: &state)
        #expect(state.scroll == 2)
        press(.up, .up, .up, in: &state)
        #expect(state.scroll == 0)
        #expect(state.handle(.escape, page: 3) == .opened)
        #expect(state.openQueue == nil)
        #expect(state.selected == "emails")
    }

    @Test func anyKeyEndsTheHelp() throws {
        var state = try Samples.state()
        press(.character("?"), in: &state)
        #expect(state.showsHelp)
        press(.character("s"), in: &state)
        #expect(!state.showsHelp)
        #expect(state.order == .trouble)
    }

    @Test(arguments: [TopKey.character("q"), .character("Q"), .interrupt])
    func itEnds(_ key: TopKey) throws {
        var state = try Samples.state()
        #expect(state.handle(key, page: 3) == .quit)
    }

    @Test func aFailureKeepsTheLastDocument() throws {
        var state = try Samples.state()
        state.recordFailure("no route to host")
        #expect(state.failure == "no route to host")
        #expect(state.rows.count == 5)
        state.show(try Samples.document(), at: try Samples.now())
        #expect(state.failure == nil)
    }
}
