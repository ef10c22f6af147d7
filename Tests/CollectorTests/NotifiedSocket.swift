import Glibc
import Platform

/// The socket on which a service manager hears.
final class NotifiedSocket {
    private let descriptor: Int32
    let environment: [(name: String, value: String)]

    init() {
        let path = "@asynq-collector-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(AF_UNIX, type, 0)
        _ = UnixAddress.with(path) { bind(descriptor, $0, $1) }
        self.descriptor = descriptor
        environment = [("NOTIFY_SOCKET", path)]
    }

    deinit {
        close(descriptor)
    }

    /// Sends messages of another until the socket takes no more.
    func fill() {
        let sender = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(sender) }
        let byte = UInt8(ascii: "x")
        func send() -> Bool {
            UnixAddress.with(environment[0].value) { sendto(sender, [byte], 1, Int32(MSG_DONTWAIT), $0, $1) } == 1
        }
        while send() {}
    }

    /// What was heard since the last call.
    var heard: [String] {
        var messages: [String] = []
        var buffer = [UInt8](repeating: 0, count: 200)
        while case let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)), count > 0 {
            messages.append(String(decoding: buffer.prefix(count), as: UTF8.self))
        }
        return messages
    }
}
