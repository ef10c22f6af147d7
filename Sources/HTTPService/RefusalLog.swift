package import Model
package import NIOCore
import Synchronization

/// What is told of a request that was refused, or taken with a remark.
package struct HTTPRefusal: Sendable, Equatable {
    /// What happened, such as "request refused".
    package let event: String
    /// Told apart by the log; the same as the label of the counter, where there is one.
    package let reason: String
    /// What the client was told, or would be if it could read it.
    package let text: String

    package init(_ reason: String, _ text: String, event: String = "request refused") {
        self.event = event
        self.reason = reason
        self.text = text
    }
}

/// Tells of refusals: of each reason one now and then, however often it comes. All are counted elsewhere.
package final class RefusalLog: Sendable {
    package struct Line: Sendable, Equatable {
        package let refusal: HTTPRefusal
        /// The client's address.
        package let peer: String
        /// Refusals for the same reason since the last line.
        package let more: Int
    }

    private struct Entry {
        var next: MonotonicTime
        var suppressed = 0
    }

    static let pause = Duration.seconds(10)
    /// Reasons are words of this program, so there are fewer.
    static let maxReasons = 64
    /// Texts may quote the client.
    static let maxTextBytes = 400

    private let now: @Sendable () -> MonotonicTime
    private let report: @Sendable (Line) -> Void
    private let entries = Mutex<[String: Entry]>([:])

    package init(now: @escaping @Sendable () -> MonotonicTime, report: @escaping @Sendable (Line) -> Void) {
        self.now = now
        self.report = report
    }

    package func record(_ refusal: HTTPRefusal, from peer: SocketAddress?) {
        let now = now()
        let more = entries.withLock { entries -> Int? in
            guard let entry = entries[refusal.reason] else {
                if entries.count < Self.maxReasons {
                    entries[refusal.reason] = Entry(next: now.advanced(by: Self.pause))
                }
                return 0
            }
            if now < entry.next {
                entries[refusal.reason]?.suppressed += 1
                return nil
            }
            entries[refusal.reason] = Entry(next: now.advanced(by: Self.pause))
            return entry.suppressed
        }
        guard let more else { return }
        let text = ForeignText(refusal.text).cut(to: Self.maxTextBytes).text
        report(
            Line(
                refusal: HTTPRefusal(refusal.reason, text, event: refusal.event), peer: Self.name(of: peer), more: more)
        )
    }

    private static func name(of peer: SocketAddress?) -> String {
        guard let peer else { return "unknown" }
        guard let address = peer.ipAddress, let port = peer.port else { return "unix socket" }
        return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}
