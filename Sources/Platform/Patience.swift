import Glibc

/// For what is behind a lock whose holder may wait for a disk.
package enum Patience {
    private static let pauseMicroseconds: UInt64 = 200

    /// Makes an attempt until it gives something, for about so long; nil if none does.
    package static func attempt<Result>(nanoseconds: UInt64, _ attempt: () -> Result?) -> Result? {
        for _ in 0...nanoseconds / (pauseMicroseconds * 1000) {
            if let result = attempt() { return result }
            usleep(UInt32(pauseMicroseconds))
        }
        return nil
    }
}
