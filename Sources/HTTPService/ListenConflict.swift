import Glibc
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
