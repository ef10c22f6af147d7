import CLinux
import Glibc
import Platform

/// Waits for what changes the screen: a signal, news, bytes of keys.
struct TopInput {
    /// The time after which an escape that nothing follows is the key.
    private static let escapeMilliseconds: Int32 = 50
    /// The time between two frames without news, because ages on the screen are counted in seconds.
    private static let idleMilliseconds: Int32 = 500

    private let signals: Int32
    private let arrival: Waker
    private let keys: Int32?
    private var reader = TopKeyReader()

    /// - Parameters:
    ///   - signals: The descriptor of signals.
    ///   - arrival: Is readable while there are news.
    ///   - keys: The descriptor of the keyboard; nil where there is none.
    init(signals: Int32, arrival: Waker, keys: Int32?) {
        self.signals = signals
        self.arrival = arrival
        self.keys = keys
    }

    /// The time that a wait lasts without any of them.
    var patienceMilliseconds: Int32 { reader.isWaiting ? Self.escapeMilliseconds : Self.idleMilliseconds }

    /// Waits, for a moment at most. Returns the next signal, and the keys that were read.
    mutating func wait() -> (signal: Int32?, keys: [TopKey]) {
        let readable = Int16(POLLIN)
        var entries = [
            pollfd(fd: signals, events: readable, revents: 0),
            pollfd(fd: arrival.descriptor, events: readable, revents: 0),
            // A descriptor below 0 is passed over by poll.
            pollfd(fd: keys ?? -1, events: readable, revents: 0),
        ]
        if poll(&entries, nfds_t(entries.count), patienceMilliseconds) <= 0 { return (nil, reader.flush()) }
        if entries[1].revents != 0 { arrival.drain() }
        let signal = entries[0].revents == 0 ? 0 : collector_next_signal(signals)
        guard let keys, entries[2].revents != 0 else { return (signal == 0 ? nil : signal, []) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = read(keys, &buffer, buffer.count)
        // A terminal that ends was hung up.
        if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return (SIGHUP, []) }
        return (signal == 0 ? nil : signal, reader.read(buffer.prefix(max(0, count))))
    }
}
