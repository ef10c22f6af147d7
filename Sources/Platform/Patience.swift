import Glibc
import Model

/// Waits a limited time for what is behind a lock whose holder may wait for a disk.
package enum Patience {
    private static let pause = Duration.microseconds(200)

    /// Repeats an attempt until it returns a value, for about the given time. Returns nil if none does.
    package static func attempt<Result>(for patience: Duration, _ attempt: () -> Result?) -> Result? {
        for _ in 0...max(0, patience.wholeNanoseconds) / pause.wholeNanoseconds {
            if let result = attempt() { return result }
            usleep(UInt32(pause.wholeNanoseconds / 1000))
        }
        return nil
    }
}
