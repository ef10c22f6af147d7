import Glibc
import NIOCore
import Platform

/// Two addresses of which only one can be bound.
package struct ListenConflict {
    package typealias Entry = (list: Int, address: ListenAddress)

    package let first: Entry
    package let second: Entry

    /// Returns the conflicts between the entries of several lists, at most one for each entry, in order. Names are looked up only where
    /// another entry has the same port.
    package static func all(in lists: [[ListenAddress]]) -> [ListenConflict] {
        let entries = lists.enumerated().flatMap { list, addresses -> [Entry] in
            addresses.map { (list: list, address: $0) }
        }
        return entries.indices.compactMap { index in
            entries[..<index].first { overlap($0, entries[index], lists) }.map {
                ListenConflict(first: $0, second: entries[index])
            }
        }
    }

    /// Returns the listener that a connection of this machine to the host reaches; nil where it reaches another program or machine. Only
    /// literal addresses, `localhost` and the machine's own name are known as its own.
    package static func listener(at host: String, port: Int, in lists: [[ListenAddress]]) -> Entry? {
        for (list, addresses) in lists.enumerated() where addresses.contains(where: { $0.port == port }) {
            let reached = ThisMachine.addresses(of: host).compactMap { address in
                SocketAddress(address, port: port).map { TCPListening.Target(address: $0, isIPv6Only: true) }
            }
            let found = addresses.first { entry in
                targets(of: (list, entry), lists).contains { target in reached.contains { $0.overlaps(target) } }
            }
            if let found { return (list, found) }
        }
        return nil
    }

    private static func overlap(_ one: Entry, _ other: Entry, _ lists: [[ListenAddress]]) -> Bool {
        if let path = one.address.unixPath, let otherPath = other.address.unixPath {
            return path == otherPath || !UnixAddress.isAbstract(path) && resolved(path) == resolved(otherPath)
        }
        guard let port = one.address.port, port != 0, port == other.address.port else { return false }
        if one.address == other.address { return true }
        let targets = targets(of: one, lists)
        return self.targets(of: other, lists).contains { target in targets.contains { $0.overlaps(target) } }
    }

    /// Returns the sockets that an entry asks for; none where a name of its list can't be resolved, which the start reports.
    private static func targets(of entry: Entry, _ lists: [[ListenAddress]]) -> [TCPListening.Target] {
        do throws(ListenError) {
            return try TCPListening(lists[entry.list]).entries.first { $0.address == entry.address }?.targets ?? []
        } catch {
            return []
        }
    }

    /// Returns an absolute path without links, as far as it exists: `/var/run` is a link to `/run`.
    private static func resolved(_ path: String) -> String {
        if let real = realpath(path, nil) {
            defer { free(real) }
            return String(cString: real)
        }
        let parts = path.split(separator: "/").filter { $0 != "." }
        guard let name = parts.last else { return "/" }
        let parent = resolved("/" + parts.dropLast().joined(separator: "/"))
        return (parent == "/" ? "" : parent) + "/" + name
    }
}

extension SocketAddress {
    fileprivate init?(_ address: IPAddress, port: Int) {
        do { try self.init(ipAddress: address.text, port: port) } catch { return nil }
    }
}
