import Glibc
import Logging
import Model
import Platform

/// Ends the process where the orderly end takes too long, because a thread that a hung disk holds can't be stopped.
/// Spans that were acknowledged are in the spool's files all the same.
struct EndGuard {
    private let dismissal: Waker
    private let thread: OSThread

    /// - Parameter end: Ends the process.
    /// - Throws: `SystemError` where the system can't start another thread.
    init(
        after patience: Duration, _ logger: Logger, end: @escaping @Sendable () -> Void = { _exit(ExitCode.failure) }
    ) throws(SystemError) {
        let dismissal = try Waker()
        self.dismissal = dismissal
        let deadline = Clock.system.monotonic().advanced(by: patience)
        thread = try OSThread(name: "end-guard") {
            if dismissal.sleep(until: deadline, clock: .system) { return }
            logger.error(
                "the end takes too long, as where a disk does not answer: the process ends now; what was acknowledged is on it"
            )
            end()
        }
    }

    /// Ends the guard; the process goes on.
    func dismiss() {
        dismissal.wake()
        thread.join()
    }
}
