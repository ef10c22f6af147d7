import Glibc
import Model
import Platform
import Synchronization

/// The address that a socket connects to: a `sockaddr` as the C library filled it.
struct SocketAddress: Sendable, Equatable {
    let family: Int32
    let bytes: [UInt8]
}

/// The addresses of a host, found within a deadline.
///
/// `getaddrinfo` has no deadline: a silent name server holds it for ten seconds and more. A thread of its own therefore
/// looks a name up, and the caller waits only as long as there is time. A look-up that is late goes on, and the next
/// caller that asks for the name gets its result: a name has one thread at most. Addresses need no thread.
final class NameResolver: Sendable {
    typealias LookUp = @Sendable (_ host: String, _ port: UInt16, _ flags: Int32) -> Result<[SocketAddress], RedisError>

    static let system = NameResolver(lookUp: NameResolver.getAddresses)

    private struct Name: Hashable {
        let host: String
        let port: UInt16
    }

    /// A look-up under way, or one whose result has not been read yet.
    private final class Search: Sendable {
        let result = Mutex<Result<[SocketAddress], RedisError>?>(nil)
        /// The waker of the callers. It wakes once there is a result, and is never drained.
        let ended: Waker
        let thread = Mutex<OSThread?>(nil)

        /// Makes a look-up that has not begun.
        /// - Throws: `SystemError` where the system can't make another waker.
        init() throws(SystemError) {
            ended = try Waker()
        }
    }

    private let lookUp: LookUp
    private let searches = Mutex<[Name: Search]>([:])

    init(lookUp: @escaping LookUp) {
        self.lookUp = lookUp
    }

    /// Returns the addresses of a host.
    /// - Throws: `RedisError` where the name has no address, or is not found in time.
    func addresses(
        of host: String, _ port: UInt16, clock: Clock, deadline: MonotonicTime, interrupt: Waker?
    ) throws(RedisError) -> [SocketAddress] {
        if case .success(let addresses) = lookUp(host, port, AI_NUMERICHOST) { return addresses }
        let name = Name(host: host, port: port)
        let search: Search
        do throws(SystemError) {
            search = try self.search(for: name)
        } catch {
            throw RedisError(error)
        }
        var entries = [pollfd(fd: search.ended.descriptor, events: Int16(POLLIN), revents: 0)]
        guard try RedisExchange.poll(&entries, clock: clock, deadline: deadline, interrupt: interrupt),
            let result = search.result.withLock({ $0 })
        else { throw RedisError(.timeout, "resolving \(host): timed out") }
        // A result is used once: the next look-up is a fresh one.
        searches.withLock { if $0[name] === search { $0[name] = nil } }
        search.thread.withLock { $0 }?.join()
        return try result.get()
    }

    /// Returns the look-up under way, or a new one.
    private func search(for name: Name) throws(SystemError) -> Search {
        let made = try Search()
        let known = searches.withLock { searches -> Search? in
            if let known = searches[name] { return known }
            searches[name] = made
            return nil
        }
        if let known { return known }
        do throws(SystemError) {
            let thread = try OSThread(name: "resolver") { [lookUp] in
                let result = lookUp(name.host, name.port, 0)
                made.result.withLock { $0 = result }
                made.ended.wake()
            }
            made.thread.withLock { $0 = thread }
        } catch {
            searches.withLock { $0[name] = nil }
            throw error
        }
        return made
    }

    @Sendable private static func getAddresses(
        _ host: String, _ port: UInt16, _ flags: Int32
    ) -> Result<[SocketAddress], RedisError> {
        do throws(NameResolution.Failure) {
            let found = try NameResolution.socketAddresses(of: host, port: port, flags: flags)
            return .success(found.map { SocketAddress(family: $0.family, bytes: $0.bytes) })
        } catch {
            return .failure(RedisError(.connection, "resolving \(host): \(error.reason)"))
        }
    }
}
