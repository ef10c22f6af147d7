import Glibc
import Model
import Platform
import Testing

@testable import Top

@Suite struct TopViewTests {
    private static let looks = FrameWriter.Looks(hasColours: false, isUTF8: true)
    private static let whole = "\u{1B}[H\u{1B}[2J"

    private func view(_ state: TopState = TopState()) -> TopView { TopView(state, looks: Self.looks) }

    private func draw(_ view: inout TopView, columns: Int = 80, rows: Int = 24) throws -> String {
        view.draw(columns: columns, rows: rows, at: try Samples.now())
    }

    private func overview() throws -> [TopFeed.News] { [.overview(try Samples.document())] }

    @Test func newsAreOnTheNextFrame() throws {
        var view = view()
        #expect(try draw(&view).contains("waiting for the first answer"))
        view.take([.failure("no route")], at: try Samples.now())
        #expect(try draw(&view).contains("no route"))
        view.take(try overview(), at: try Samples.time("2026-11-28T14:02:11.000Z"))
        let frame = try draw(&view)
        #expect(frame.contains("payments") && frame.contains("imports"))
        #expect(view.state.documentAt == (try Samples.time("2026-11-28T14:02:11.000Z")))
        #expect(view.state.failure == nil)
    }

    @Test func newsOfAQueueAreShownWhileItIsOpened() throws {
        var view = view(try Samples.state())
        let document = TopQueueDocument(try Samples.json(Samples.queue))
        view.take([.queue(name: "reports", document)], at: try Samples.now())
        #expect(view.state.queueDocument == nil)
        #expect(view.handle(.enter) == .open("reports"))
        view.take([.queueFailure(name: "emails", "404")], at: try Samples.now())
        #expect(view.state.queueFailure == nil)
        view.take([.queueFailure(name: "reports", "404")], at: try Samples.now())
        #expect(view.state.queueFailure == "404")
        view.take([.queue(name: "reports", document)], at: try Samples.now())
        #expect(view.state.queueDocument?.queue.name == "emails" && view.state.queueFailure == nil)
        #expect(view.handle(.escape) == .open(nil))
    }

    @Test func aFrameHasNothingThatIsShownAlready() throws {
        var view = view(try Samples.state())
        #expect(try draw(&view).hasPrefix(Self.whole))
        #expect(try draw(&view) == "")
        #expect(view.handle(.down) == .none)
        let moved = try draw(&view)
        #expect(!moved.isEmpty && !moved.contains("\u{1B}[2J"))
    }

    @Test func aNewSizeAndCtrlLSendTheScreenWhole() throws {
        var view = view(try Samples.state())
        _ = try draw(&view)
        #expect(view.handle(signal: SIGWINCH) == .none)
        #expect(try draw(&view, columns: 60, rows: 10).hasPrefix(Self.whole))
        #expect(view.handle(.redraw) == .none)
        #expect(try draw(&view, columns: 60, rows: 10).hasPrefix(Self.whole))
        #expect(view.handle(signal: SIGTSTP) == .pause)
        #expect(try draw(&view, columns: 60, rows: 10).hasPrefix(Self.whole))
        #expect(try draw(&view, columns: 60, rows: 10) == "")
    }

    /// The last row of the frame stands in the last row of the screen, and no line is wider than it.
    @Test(arguments: [(80, 24), (40, 12), (200, 60), (20, 5)])
    func aFrameIsAsLargeAsTheScreen(_ columns: Int, _ rows: Int) throws {
        var view = view(try Samples.state())
        let frame = try draw(&view, columns: columns, rows: rows)
        #expect(frame.contains("\u{1B}[\(rows);1H") && !frame.contains("\u{1B}[\(rows + 1);1H"))
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    func aSignalEndsTheView(_ signal: Int32) {
        var view = view()
        #expect(view.handle(signal: signal) == .end(.signal(signal)))
        #expect(TopScreen.signals.contains(signal))
    }

    @Test(arguments: [TopKey.character("q"), .character("Q"), .interrupt])
    func aKeyEndsTheView(_ key: TopKey) {
        var view = view()
        #expect(view.handle(key) == .end(.quit))
    }

    /// A page is as many queues as the frame that is shown has space for.
    @Test func aPageIsThatOfTheLastFrame() throws {
        let document = #"{"queues":[\#((10..<90).map { #"{"queue":"q\#($0)"}"# }.joined(separator: ","))]}"#
        for rows in [14, 40] {
            var view = view(try Samples.state(document))
            _ = try draw(&view, rows: rows)
            let frame = TopFrame(view.state, columns: 80, rows: rows, at: try Samples.now())
            #expect(view.handle(.pageDown) == .none)
            #expect(frame.page > 1 && view.state.selectedIndex == frame.page)
        }
    }

    /// Keys that scroll beyond the last line have no effect that others would have to undo.
    @Test func scrollingEndsAtTheLastLine() throws {
        var view = view(try Samples.state())
        _ = view.handle(.enter)
        view.take([.queue(name: "reports", TopQueueDocument(try Samples.json(Samples.queue)))], at: try Samples.now())
        for _ in 0..<500 { _ = view.handle(.down) }
        _ = try draw(&view, rows: 12)
        let frame = TopFrame(view.state, columns: 80, rows: 12, at: try Samples.now())
        #expect(frame.lastScroll > 0 && view.state.scroll == frame.lastScroll)
    }
}

@Suite struct TopInputTests {
    /// A pipe in the place of a keyboard, and one in the place of the descriptor of signals.
    private final class Pipe {
        private(set) var reading: Int32
        private(set) var writing: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw SystemError("pipe") }
            (reading, writing) = (ends[0], ends[1])
        }

        deinit {
            close(reading)
            end()
        }

        func write(_ bytes: [UInt8]) { _ = Glibc.write(writing, bytes, bytes.count) }

        func end() {
            if writing >= 0 { close(writing) }
            writing = -1
        }
    }

    private let keyboard: Pipe
    private let arrival: Waker
    private var input: TopInput

    init() throws {
        keyboard = try Pipe()
        arrival = try Waker()
        input = TopInput(signals: -1, arrival: arrival, keys: keyboard.reading)
    }

    @Test func bytesAreKeys() {
        var input = input
        keyboard.write(Array("ja\u{1B}[B".utf8))
        let ready = input.wait()
        #expect(ready.signal == nil && ready.keys == [.character("j"), .character("a"), .down])
        #expect(input.patienceMilliseconds == 500)
    }

    /// More than a buffer of them is read by the next waits.
    @Test func manyBytesAreReadInPortions() {
        var input = input
        keyboard.write([UInt8](repeating: UInt8(ascii: "j"), count: 300))
        #expect(input.wait().keys.count == 256)
        #expect(input.wait().keys.count == 44)
    }

    @Test func anEscapeIsWaitedForOnlyShortly() {
        var input = input
        keyboard.write([0x1B])
        #expect(input.wait().keys.isEmpty && input.patienceMilliseconds == 50)
        keyboard.write(Array("[A".utf8))
        #expect(input.wait().keys == [.up])
        keyboard.write([0x1B])
        #expect(input.wait().keys.isEmpty)
        // Nothing follows.
        #expect(input.wait().keys == [.escape] && input.patienceMilliseconds == 500)
    }

    @Test func aKeyboardThatEndsIsAHangUp() {
        var input = input
        keyboard.end()
        let ready = input.wait()
        #expect(ready.signal == SIGHUP && ready.keys.isEmpty)
    }

    @Test func newsEndAWaitOnceAndAreNoKeys() {
        var input = input
        arrival.wake()
        let ready = input.wait()
        #expect(ready.signal == nil && ready.keys.isEmpty)
        #expect(!arrival.drain())
    }

    /// Without a keyboard, what standard input has is left alone.
    @Test func withoutAKeyboardNothingIsRead() throws {
        var input = TopInput(signals: -1, arrival: arrival, keys: nil)
        keyboard.write(Array("q".utf8))
        arrival.wake()
        let ready = input.wait()
        #expect(ready.signal == nil && ready.keys.isEmpty)
    }
}
