import NIOCore
import NIOPosix
import Platform

/// The sockets that a list of TCP addresses asks for.
///
/// | written          | bound                                                                             |
/// |------------------|-----------------------------------------------------------------------------------|
/// | `127.0.0.1:P`    | that address                                                                      |
/// | `name:P`         | every address of the name that this machine has                                   |
/// | `:P`, `*:P`      | `[::]` for IPv6 and IPv4; `0.0.0.0` where there is no IPv6                        |
/// | `[::]:P`         | the same, or IPv6 alone where another entry of the list has the port for IPv4      |
struct TCPListening {
    /// One socket to bind.
    struct Target: Equatable {
        let address: SocketAddress
        /// True if an IPv6 socket leaves IPv4 alone.
        let isIPv6Only: Bool

        /// Returns true if only one of the two can be bound.
        func overlaps(_ other: Target) -> Bool {
            guard address.port == other.address.port, address.port != 0 else { return false }
            if address.protocol == other.address.protocol {
                return isEveryAddress || other.isEveryAddress || address.ipAddress == other.address.ipAddress
            }
            return [self, other].contains { $0.address.ipAddress == "::" && !$0.isIPv6Only }
        }

        private var isEveryAddress: Bool { ["::", "0.0.0.0"].contains(address.ipAddress) }
    }

    /// The sockets of one entry of a list.
    struct Entry: Equatable {
        let address: ListenAddress
        /// The sockets, of which at least one must be bound; those that the machine does not have are left out.
        let targets: [Target]
        /// The socket that is bound where the machine lacks IPv6.
        let fallback: Target?
    }

    let entries: [Entry]

    /// - Throws: `ListenError` where a name has no address.
    init(_ addresses: [ListenAddress]) throws(ListenError) {
        entries = try addresses.map { address throws(ListenError) in
            let hasNeighbour = addresses.contains { $0 != address && $0.port == address.port && address.port != 0 }
            return try Self.entry(address, sharesPort: hasNeighbour)
        }
    }

    private static func entry(_ address: ListenAddress, sharesPort: Bool) throws(ListenError) -> Entry {
        switch address {
        case .unix: return Entry(address: address, targets: [], fallback: nil)
        case .anyAddress(let port):
            return Entry(
                address: address,
                targets: try resolve("::", port, for: address).map { Target(address: $0, isIPv6Only: false) },
                fallback: try resolve("0.0.0.0", port, for: address).map { Target(address: $0, isIPv6Only: false) }
                    .first)
        case .tcp(let host, let port):
            let targets = try resolve(host, port, for: address).map { found in
                Target(address: found, isIPv6Only: sharesPort || found.ipAddress != "::")
            }
            return Entry(address: address, targets: targets, fallback: nil)
        }
    }

    /// Returns every address of a host.
    private static func resolve(
        _ host: String, _ port: Int, for address: ListenAddress
    ) throws(ListenError) -> [SocketAddress] {
        if let literal = try? SocketAddress(ipAddress: host, port: port) { return [literal] }
        let found: [SocketAddress]
        do throws(NameResolution.Failure) {
            found = try NameResolution.addresses(of: host, flags: NameResolution.forListening)
                .compactMap { try? SocketAddress(ipAddress: $0, port: port) }
        } catch {
            throw ListenError(address, "the name can't be resolved: \(error.reason)")
        }
        guard !found.isEmpty else { throw ListenError(address, "the name has no address") }
        return found
    }

    /// Binds all sockets of the list.
    ///
    /// - Throws: `ListenError` for the first entry that can't be bound; then none stays open.
    /// - Returns: The listeners of each entry, in the list's order.
    func bind(_ makeBootstrap: () -> ServerBootstrap) throws(ListenError) -> [[any Channel]] {
        var bound: [[any Channel]] = []
        do throws(ListenError) {
            for entry in entries { bound.append(try Self.bind(entry, makeBootstrap)) }
        } catch {
            for listener in bound.joined() { listener.close(promise: nil) }
            throw error
        }
        return bound
    }

    private static func bind(
        _ entry: Entry, _ makeBootstrap: () -> ServerBootstrap
    ) throws(ListenError) -> [any Channel] {
        var listeners: [any Channel] = []
        var missing: ListenError?
        for target in entry.targets {
            do throws(BindFailure) {
                listeners.append(try bind(target, port: listeners.first?.localAddress?.port, makeBootstrap))
            } catch {
                let problem = ListenError(entry.address, error.problem)
                guard error.isAddressMissing else {
                    for listener in listeners { listener.close(promise: nil) }
                    throw problem
                }
                missing = problem
            }
        }
        if listeners.isEmpty, let fallback = entry.fallback {
            do throws(BindFailure) {
                listeners.append(try bind(fallback, port: nil, makeBootstrap))
            } catch {
                throw ListenError(entry.address, error.problem)
            }
        }
        if listeners.isEmpty, let missing { throw missing }
        return listeners
    }

    /// - Parameter port: The port that an earlier address of the same entry got where the system chooses it.
    private static func bind(
        _ target: Target, port: Int?, _ makeBootstrap: () -> ServerBootstrap
    ) throws(BindFailure) -> any Channel {
        var address = target.address
        if address.port == 0, let port { address.port = port }
        var bootstrap = makeBootstrap()
        if address.protocol == .inet6 {
            bootstrap = bootstrap.serverChannelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: target.isIPv6Only ? 1 : 0)
        }
        do {
            return try bootstrap.bind(to: address).wait()
        } catch {
            throw BindFailure(error)
        }
    }
}

/// The reason why a socket could not be bound, in words for its user.
private struct BindFailure: Error {
    let problem: String
    /// True if the machine does not have the address, or not its family.
    let isAddressMissing: Bool

    init(_ error: any Error) {
        let code = (error as? IOError)?.errnoCode
        isAddressMissing = code == EADDRNOTAVAIL || code == EAFNOSUPPORT
        problem =
            switch code {
            case EADDRINUSE: "the address is already in use"
            case EADDRNOTAVAIL: "this machine has no such address"
            case EACCES: "no permission; ports below 1024 need CAP_NET_BIND_SERVICE"
            case .some(let code): SystemError("bind", code: code).reason
            case nil: "\(error)"
            }
    }
}
