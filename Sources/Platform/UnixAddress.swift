package import Glibc

/// The address of a unix socket as system calls take it.
package enum UnixAddress {
    /// The longest path: sun_path has 108 bytes, the last one a zero.
    package static let maxPathBytes = 107

    /// Returns true if the path names a socket without a file: one of Linux' abstract ones, written with an @ in front.
    package static func isAbstract(_ path: String) -> Bool { path.hasPrefix("@") }

    /// Calls `body` with the address of a path, or of an abstract name, of at most `maxPathBytes`.
    package static func with<Result>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var count = MemoryLayout<sockaddr_un>.size
        withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            bytes.copyBytes(from: path.utf8)
            if isAbstract(path) {
                // A zero replaces the @, and the length ends with the name: trailing zeros would be part of it.
                bytes[0] = 0
                count -= bytes.count - path.utf8.count
            }
        }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(count)) }
        }
    }
}
