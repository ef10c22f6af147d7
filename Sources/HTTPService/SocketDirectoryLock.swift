import Glibc

/// Lets one process at a time make or remove a unix socket in a directory: flock(2) on the directory itself, which leaves no
/// file behind.
enum SocketDirectoryLock {
    /// The time for which the lock is waited for. Other collectors are done within milliseconds. A lock that is held
    /// for longer (systemd-tmpfiles spares directories that are locked) does not prevent a start.
    static let patienceMilliseconds = 2000
    private static let pauseMilliseconds = 10

    static func held<Result, Failure>(
        on directory: String, patienceMilliseconds: Int = patienceMilliseconds, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        var waited = 0
        while descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) != 0 && waited < patienceMilliseconds {
            usleep(UInt32(pauseMilliseconds) * 1000)
            waited += pauseMilliseconds
        }
        return try body()
    }
}
