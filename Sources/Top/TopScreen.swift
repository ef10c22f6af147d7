import CLinux
import Glibc
import Model
package import Platform

/// The view on a terminal: draws what changes, answers keys, ends with `q` or a signal.
package struct TopScreen {
    package enum Ending: Sendable, Equatable {
        case quit
        case signal(Int32)
        /// The call of `tick` asked for it.
        case asked
        /// The terminal can't be written to any more.
        case terminalLost
    }

    /// The signals that the screen answers. They must be blocked before the first thread is made.
    package static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP]

    private let feed: TopFeed
    private let clock: Clock
    private var view: TopView

    package init(_ feed: TopFeed, _ state: TopState, looks: FrameWriter.Looks, clock: Clock) {
        self.feed = feed
        view = TopView(state, looks: looks)
        self.clock = clock
    }

    /// Draws until a key, a signal or `tick` ends it.
    ///
    /// - Parameter tick: Is called before each frame; false ends the view.
    /// - Throws: `SystemError` where the terminal can't be taken.
    package mutating func run(_ tick: (inout TopState) -> Bool) throws(SystemError) -> Ending {
        let signalDescriptor = try Self.signalDescriptor()
        defer { close(signalDescriptor) }
        let terminal = try Terminal()
        var input = TopInput(
            signals: signalDescriptor, arrival: feed.arrival, keys: terminal.hasKeys ? STDIN_FILENO : nil)
        while true {
            view.take(feed.takeNews(), at: clock.wall())
            if !tick(&view.state) { return .asked }
            let size = TerminalOutput.size ?? (80, 24)
            if !terminal.write(view.draw(columns: size.columns, rows: size.rows, at: clock.wall())) {
                return .terminalLost
            }
            let ready = input.wait()
            var steps = ready.signal.map { [view.handle(signal: $0)] } ?? []
            steps += ready.keys.map { view.handle($0) }
            for step in steps {
                switch step {
                case .none: continue
                case .open(let queue): feed.open(queue)
                case .pause: try terminal.pause()
                case .end(let ending): return ending
                }
            }
        }
    }

    private static func signalDescriptor() throws(SystemError) -> Int32 {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let descriptor = collector_signal_descriptor(&set)
        if descriptor < 0 { throw SystemError("signalfd") }
        return descriptor
    }
}
