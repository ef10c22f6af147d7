import CLinux
import Glibc
import Model
package import Platform

/// The view on a terminal: draws what changes, answers keys, ends with `q` or a signal.
package struct TopScreen {
    package enum Ending: Sendable {
        case quit
        case signal(Int32)
        /// The call of `tick` asked for it.
        case asked
        /// The terminal can't be written to any more.
        case terminalLost
    }

    /// The signals that the screen answers. They must be blocked before the first thread is made.
    package static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP]

    /// The time after which an escape that nothing follows is the key.
    private static let escapeMilliseconds: Int32 = 50
    /// The time between two frames without news, because ages on the screen are counted in seconds.
    private static let idleMilliseconds: Int32 = 500

    private let feed: TopFeed
    private let clock: Clock
    private var state: TopState
    private var writer: FrameWriter
    private var keys = TopKeyReader()
    private var page = 1

    package init(_ feed: TopFeed, _ state: TopState, looks: FrameWriter.Looks, clock: Clock) {
        self.feed = feed
        self.state = state
        writer = FrameWriter(looks)
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
        while true {
            takeNews()
            if !tick(&state) { return .asked }
            let size = TerminalOutput.size ?? (80, 24)
            if !terminal.write(writer.update(to: frame(size), columns: size.columns)) { return .terminalLost }
            let ready = wait(signalDescriptor, hasKeys: terminal.hasKeys)
            if let signal = ready.signal {
                switch signal {
                case SIGWINCH: writer.forget()
                case SIGTSTP:
                    try terminal.pause()
                    writer.forget()
                default: return .signal(signal)
                }
            }
            for key in ready.keys {
                switch state.handle(key, page: page) {
                case .none: continue
                case .redraw: writer.forget()
                case .opened: feed.open(state.openQueue)
                case .quit: return .quit
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

    private mutating func takeNews() {
        for news in feed.takeNews() {
            switch news {
            case .overview(let document): state.show(document, at: clock.wall())
            case .queue(let name, let document): state.show(document, of: name)
            case .failure(let reason): state.recordFailure(reason)
            case .queueFailure(let name, let reason): state.recordFailure(reason, of: name)
            }
        }
    }

    private mutating func frame(_ size: (columns: Int, rows: Int)) -> [Line] {
        let frame = TopFrame(state, columns: size.columns, rows: size.rows, at: clock.wall())
        page = frame.page
        state.limitScroll(to: frame.lastScroll)
        return frame.lines
    }

    private mutating func wait(_ signals: Int32, hasKeys: Bool) -> (signal: Int32?, keys: [TopKey]) {
        let readable = Int16(POLLIN)
        var entries = [
            pollfd(fd: signals, events: readable, revents: 0),
            pollfd(fd: feed.arrival.descriptor, events: readable, revents: 0),
            // A descriptor below 0 is passed over by poll.
            pollfd(fd: hasKeys ? STDIN_FILENO : -1, events: readable, revents: 0),
        ]
        let timeout = keys.isWaiting ? Self.escapeMilliseconds : Self.idleMilliseconds
        if poll(&entries, nfds_t(entries.count), timeout) <= 0 { return (nil, keys.flush()) }
        if entries[1].revents != 0 { feed.arrival.drain() }
        let signal = entries[0].revents == 0 ? 0 : collector_next_signal(signals)
        guard entries[2].revents != 0 else { return (signal == 0 ? nil : signal, []) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = read(STDIN_FILENO, &buffer, buffer.count)
        // A terminal that ends was hung up.
        if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return (SIGHUP, []) }
        return (signal == 0 ? nil : signal, keys.read(buffer.prefix(max(0, count))))
    }
}
