import Glibc
import Platform

/// The file of a listening unix socket: made safely, removed only while it is still the listener's own.
struct UnixSocketFile {
    static let maxPathBytes = UnixAddress.maxPathBytes

    let path: String
    private let device: UInt
    private let inode: UInt

    private static func makeDirectory(for path: String) throws(ListenError) {
        guard path.utf8.count <= maxPathBytes else {
            throw ListenError(
                path, "the path of a unix socket has at most \(maxPathBytes) bytes, this one \(path.utf8.count)")
        }
        do {
            try Files.makeDirectories(Files.parent(of: path))
        } catch {
            throw ListenError(path, error.description)
        }
    }

    /// Removes a stale socket; refuses one with a listener, and anything that is not a socket.
    private static func clear(_ path: String) throws(ListenError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ListenError(path, "the path exists and is not a socket; remove it or choose another one")
        }
        if isListenedOn(path) { throw ListenError(path, "another process listens on this socket") }
        if unlink(path) != 0 { throw ListenError(path, SystemError("removing a stale socket").description) }
    }

    private static func isListenedOn(_ path: String) -> Bool {
        // Non-blocking: with a full backlog it would wait until the listener accepts.
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        if descriptor < 0 { return true }
        defer { close(descriptor) }
        let code = UnixAddress.with(path) { connect(descriptor, $0, $1) }
        return code == 0 || errno != ECONNREFUSED
    }

    /// Makes the file and a socket that listens there, once mode and group are set: no client can connect before. (NIO's
    /// own binding would remove whatever lies at the path when it closes.)
    ///
    /// Another process that starts at the same moment would take this one, bound and not listening yet, for a stale one, and
    /// both would run: hence the lock.
    ///
    /// - Parameter patienceMilliseconds: The time for which the lock is waited for; 0 on an event loop.
    /// - Throws: `ListenError` if the path can't be taken, or another process holds the lock. It leaves no socket of its own behind.
    static func bind(
        _ path: String, mode: UInt32, group: String?,
        patienceMilliseconds: Int = SocketDirectoryLock.patienceMilliseconds
    ) throws(ListenError) -> (file: UnixSocketFile?, descriptor: Int32) {
        if UnixAddress.isAbstract(path) {
            guard path.utf8.count <= maxPathBytes else {
                throw ListenError(path, "the name of an abstract socket has at most \(maxPathBytes - 1) bytes")
            }
            return try bindLocked(path, mode: mode, group: group)
        }
        try makeDirectory(for: path)
        return try SocketDirectoryLock.held(
            on: Files.parent(of: path), patienceMilliseconds: patienceMilliseconds
        ) { () throws(ListenError) in
            try clear(path)
            return try bindLocked(path, mode: mode, group: group)
        }
    }

    private static func bindLocked(
        _ path: String, mode: UInt32, group: String?
    ) throws(ListenError) -> (file: UnixSocketFile?, descriptor: Int32) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        if descriptor < 0 { throw ListenError(path, SystemError("socket").description) }
        guard UnixAddress.with(path, { Glibc.bind(descriptor, $0, $1) }) == 0 else {
            let error = SystemError("bind")
            close(descriptor)
            let isTaken = error.code == EADDRINUSE
            throw ListenError(path, isTaken ? "another process listens on this socket" : error.description)
        }
        // It has neither mode nor group: every process of this network namespace may connect.
        if UnixAddress.isAbstract(path) { return (nil, descriptor) }
        do throws(ListenError) {
            let file = try UnixSocketFile(bound: path, mode: mode, group: group)
            if listen(descriptor, SOMAXCONN) != 0 { throw ListenError(path, SystemError("listen").description) }
            return (file, descriptor)
        } catch {
            unlink(path)
            close(descriptor)
            throw error
        }
    }

    private init(bound path: String, mode: UInt32, group: String?) throws(ListenError) {
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

    /// True if clients that open the path still find the listener's own socket.
    var isOurs: Bool {
        var status = stat()
        return lstat(path, &status) == 0 && UInt(status.st_dev) == device && UInt(status.st_ino) == inode
    }

    func removeIfOurs() {
        if isOurs { unlink(path) }
    }
}

/// A listener that can't be opened: the address, and the reason.
package struct ListenError: Error, CustomStringConvertible, Sendable {
    package let address: String
    package let problem: String

    init(_ address: String, _ problem: String) {
        self.address = address
        self.problem = problem
    }

    init(_ address: ListenAddress, _ problem: String) {
        self.init(address.description, problem)
    }

    package var description: String { "listening on \(address): \(problem)" }
}
