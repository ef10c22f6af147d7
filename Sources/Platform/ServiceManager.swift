import Glibc
package import Model

/// Tells systemd the program's state, where the unit has `Type=notify` (sd_notify(3): one datagram to the socket that
/// `NOTIFY_SOCKET` names).
package struct ServiceManager: Sendable {
    package enum State: Sendable {
        /// Listeners are bound: units with `After=` may start.
        case ready
        /// The configuration is read again; `ready` follows.
        case reloading(now: MonotonicTime)
        /// The end has begun and may take this long.
        case stopping(within: Duration)
        /// The program is alive; systemd wants to hear this within each `watchdogInterval`.
        case watchdog

        fileprivate var message: String {
            switch self {
            case .ready: "READY=1"
            case .reloading(let now): "RELOADING=1\nMONOTONIC_USEC=\(now.nanoseconds / 1000)"
            case .stopping(let duration): "STOPPING=1\nEXTEND_TIMEOUT_USEC=\(duration.wholeNanoseconds / 1000)"
            case .watchdog: "WATCHDOG=1"
            }
        }
    }

    private let path: String
    /// The silence after which systemd restarts the program; nil where it does not watch.
    package let watchdogInterval: Duration?

    /// Reads the environment. Returns nil where no service manager waits for messages.
    package init?(environment: [(name: String, value: String)], processID: Int32 = getpid()) {
        func value(_ name: String) -> String? { environment.first { $0.name == name }?.value }
        guard let path = value("NOTIFY_SOCKET"), path.hasPrefix("/") || UnixAddress.isAbstract(path),
            path.utf8.count < 108
        else {
            return nil
        }
        self.path = path
        let isForUs = value("WATCHDOG_PID").map { $0 == String(processID) } ?? true
        let microseconds = value("WATCHDOG_USEC").flatMap { Int64($0) }.map { min($0, Int64(Int32.max) * 1_000_000) }
        watchdogInterval = isForUs ? microseconds.flatMap { $0 > 0 ? .microseconds($0) : nil } : nil
    }

    /// Sends a state, without waiting.
    ///
    /// - Throws: `SystemError` where the service manager's socket does not take it, as one that is full.
    package func send(_ state: State) throws(SystemError) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("socket") }
        defer { close(descriptor) }
        let message = Array(state.message.utf8)
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let sent = UnixAddress.with(path) { sendto(descriptor, message, message.count, flags, $0, $1) }
        guard sent == message.count else { throw SystemError("telling the service manager", path: path) }
    }
}
