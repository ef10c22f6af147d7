import Glibc
import Platform

/// The file of a listening unix socket: made safely, removed only while it is still ours.
struct UnixSocketFile {
    /// sun_path has 108 bytes, the last one a zero.
    static let maxPathBytes = 107

    let path: String
    private let device: UInt
    private let inode: UInt

    /// Makes the directory and clears a stale socket out of the way; refuses one that somebody listens on and anything
    /// that is no socket.
    static func prepare(_ path: String) throws(ListenError) {
        guard path.utf8.count <= maxPathBytes else {
            throw ListenError(path, "the path of a unix socket has at most \(maxPathBytes) bytes, this one \(path.utf8.count)")
        }
        do {
            try Files.makeDirectories(Files.parent(of: path))
        } catch {
            throw ListenError(path, error.description)
        }
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ListenError(path, "there is a file that is no socket; remove it or choose another path")
        }
        if isListenedOn(path) { throw ListenError(path, "another process listens on this socket") }
        if unlink(path) != 0 { throw ListenError(path, SystemError("removing a stale socket").description) }
    }

    private static func isListenedOn(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        if descriptor < 0 { return true }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return code == 0 || errno != ECONNREFUSED
    }

    /// After bind: sets mode and group, and remembers which file it is.
    init(bound path: String, mode: UInt32, group: String?) throws(ListenError) {
        self.path = path
        if let group {
            guard let entry = getgrnam(group) else { throw ListenError(path, "there is no group \(group)") }
            if chown(path, uid_t.max, entry.pointee.gr_gid) != 0 {
                throw ListenError(path, SystemError("giving the socket to group \(group)").description)
            }
        }
        var status = stat()
        guard chmod(path, mode) == 0, lstat(path, &status) == 0 else {
            throw ListenError(path, SystemError("setting the mode of the socket").description)
        }
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
    }

    func removeIfOurs() {
        var status = stat()
        guard lstat(path, &status) == 0, UInt(status.st_dev) == device, UInt(status.st_ino) == inode else { return }
        unlink(path)
    }
}

/// A listener that can't be opened: where, and why.
package struct ListenError: Error, CustomStringConvertible, Sendable {
    package let address: String
    package let problem: String

    init(_ address: String, _ problem: String) {
        self.address = address
        self.problem = problem
    }

    package var description: String { "listening on \(address): \(problem)" }
}
