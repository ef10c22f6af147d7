package import Model
package import NIOCore
import Synchronization

/// The line about a request that was refused, or accepted with a remark.
package struct HTTPRefusal: Sendable, Equatable {
    /// The event, such as "request refused".
    package let event: String
    /// The reason that the log tells apart; the same as the label of the counter, where there is one.
    package let reason: String
    /// The text for the client, whether it can read it or not.
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
        /// The number of refusals for the same reason since the last line.
        package let more: Int
    }

    private struct Entry {
        var next: MonotonicTime
        var suppressed = 0
    }

    static let pause = Duration.seconds(10)
    /// The bound of reasons. They are words of this program, so there are fewer.
    static let maxReasons = 64
    /// The longest text. Texts may quote the client.
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
