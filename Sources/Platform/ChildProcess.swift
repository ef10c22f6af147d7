import CLinux
import Glibc
import Synchronization

/// A program that runs beside this one and ends with it, at the latest when this process dies.
package final class ChildProcess: Sendable {
    private let pid: pid_t
    /// True once the child was waited for: from then on its pid may be another process'.
    private let isReaped = Atomic<Bool>(false)

    /// Starts `command`, looked up in PATH and in /usr/sbin. Call it on the main thread: the child ends with the thread
    /// that made it.
    /// - Throws: `SystemError` where the program is not found or can't be started.
    package init(_ command: String, _ arguments: [String]) throws(SystemError) {
        var code: Int32 = ENOENT
        for path in [command, "/usr/bin/" + command, "/usr/sbin/" + command, "/usr/local/bin/" + command] {
            var list: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
            defer { for entry in list { free(entry) } }
            let child = collector_spawn(path, &list)
            if child > 0 {
                pid = child
                return
            }
            code = errno
            if code != ENOENT { break }
        }
        throw SystemError("starting", path: command, code: code)
    }

    package var isRunning: Bool { !reap(WNOHANG) }

    private func reap(_ options: Int32) -> Bool {
        if isReaped.load(ordering: .acquiring) { return true }
        if waitpid(pid, nil, options) == 0 { return false }
        isReaped.store(true, ordering: .releasing)
        return true
    }

    /// Sends SIGTERM, and SIGKILL after about two seconds. Returns when the child has ended.
    package func terminate() {
        if reap(WNOHANG) { return }
        kill(pid, SIGTERM)
        for _ in 0..<200 {
            if reap(WNOHANG) { return }
            usleep(10_000)
        }
        kill(pid, SIGKILL)
        _ = reap(0)
    }
}
