import Glibc

/// The number of files and sockets that the process may have open.
package enum Descriptors {
    /// The descriptors that connections of clients must leave: for the spool's files, the trace backend, Redis,
    /// listeners, event loops, logs.
    private static let reserve = 64
    /// The same where the limit is low.
    private static let smallReserve = 48
    private static let leastForConnections = 16

    /// The limit RLIMIT_NOFILE; nil where it is unlimited.
    package static var limit: Int? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return Int(exactly: limit.rlim_cur)
    }

    /// The number of connections of clients that may be open, over all listeners.
    package static var forConnections: Int { forConnections(of: limit) }

    /// - Parameter limit: The limit of the process; nil where it is unlimited.
    package static func forConnections(of limit: Int?) -> Int {
        guard let limit else { return 1 << 20 }
        return max(leastForConnections, limit - (limit < 256 ? smallReserve : reserve))
    }
}
