import Glibc
import Platform

/// The lock that keeps a second process off a spool directory: released by the kernel when its owner dies.
package final class SpoolDirectoryLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock.
    /// - Throws: `SpoolError.locked` with the pid of the owner, if a live process holds it; `.io` where the file can't
    ///   be used.
    package init(directory: String) throws(SpoolError) {
        let path = directory + "/lock"
        let opened: Int32
        do throws(SystemError) {
            opened = try Files.openUnlinked(path, mode: 0o640)
        } catch {
            throw .io(error)
        }
        do throws(SpoolError) {
            try Self.claim(opened, path: path, directory: directory)
        } catch {
            close(opened)
            throw error
        }
        descriptor = opened
    }

    private static func claim(_ descriptor: Int32, path: String, directory: String) throws(SpoolError) {
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            guard code == EWOULDBLOCK else { throw .io(SystemError("locking", path: path, code: code)) }
            var text = [UInt8](repeating: 0, count: 32)
            let count = pread(descriptor, &text, text.count, 0)
            let digits = text[..<max(0, count)].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            throw .locked(directory: directory, pid: String(decoding: digits, as: UTF8.self))
        }
        // This is written before the rest of an older pid is cut off. A full disk has space for what is there already,
        // and a reader in between takes the digits up to the end of the line.
        let text = "\(getpid())\n"
        if pwrite(descriptor, text, text.utf8.count, 0) < 0 || ftruncate(descriptor, off_t(text.utf8.count)) != 0 {
            throw .io(SystemError("writing", path: path))
        }
    }

    deinit {
        close(descriptor)
    }
}
