import Glibc

/// How many files and sockets the process may have open.
package enum Descriptors {
    /// What is kept for all but connections of clients: the spool's files, the trace backend, Redis, listeners, event loops, logs.
    private static let reserve = 64
    /// Where there are few.
    private static let smallReserve = 48
    private static let leastForConnections = 16

    /// RLIMIT_NOFILE; nil where there is none.
    package static var limit: Int? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return Int(exactly: limit.rlim_cur)
    }

    /// How many connections of clients may be open, over all listeners.
    package static var forConnections: Int { forConnections(of: limit) }

    /// - Parameter limit: nil for none.
    package static func forConnections(of limit: Int?) -> Int {
        guard let limit else { return 1 << 20 }
        return max(leastForConnections, limit - (limit < 256 ? smallReserve : reserve))
    }
}
