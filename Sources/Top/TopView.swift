import Glibc
import Model

/// The view as far as it needs no terminal: news, signals and keys in, the bytes of frames out.
struct TopView {
    /// The effect of a signal or of keys on the program.
    enum Step: Equatable {
        case none
        /// Another queue has to be asked for; nil for none.
        case open(String?)
        /// The terminal goes back to the shell until the program continues.
        case pause
        case end(TopScreen.Ending)
    }

    var state: TopState
    private var writer: FrameWriter
    /// The number of queues that the last frame had space for.
    private var page = 1

    init(_ state: TopState, looks: FrameWriter.Looks) {
        self.state = state
        writer = FrameWriter(looks)
    }

    mutating func take(_ news: [TopFeed.News], at time: WallTime) {
        for news in news {
            switch news {
            case .overview(let document): state.show(document, at: time)
            case .queue(let name, let document): state.show(document, of: name)
            case .failure(let reason): state.recordFailure(reason)
            case .queueFailure(let name, let reason): state.recordFailure(reason, of: name)
            }
        }
    }

    /// Returns the bytes that make the screen show the state.
    mutating func draw(columns: Int, rows: Int, at time: WallTime) -> String {
        let frame = TopFrame(state, columns: columns, rows: rows, at: time)
        page = frame.page
        state.limitScroll(to: frame.lastScroll)
        return writer.update(to: frame.lines, columns: columns)
    }

    mutating func handle(signal: Int32) -> Step {
        switch signal {
        case SIGWINCH:
            writer.forget()
            return .none
        case SIGTSTP:
            writer.forget()
            return .pause
        default: return .end(.signal(signal))
        }
    }

    mutating func handle(_ key: TopKey) -> Step {
        switch state.handle(key, page: page) {
        case .none: return .none
        case .redraw:
            writer.forget()
            return .none
        case .opened: return .open(state.openQueue)
        case .quit: return .end(.quit)
        }
    }
}
