import Model
import Platform
import Synchronization
import Testing

@testable import Spool

/// A clock on which each reading is an hour before the one before it: a sleep until a moment, measured on it, lasts until
/// something wakes the sleeper.
private final class BackwardClock: Sendable {
    private let hoursLeft = Mutex<UInt64>(1_000_000)

    var clock: Clock {
        Clock(
            wall: { WallTime(seconds: 1_800_000_000) },
            monotonic: {
                self.hoursLeft.withLock { hours in
                    hours -= 1
                    return MonotonicTime(nanoseconds: hours * 3_600_000_000_000)
                }
            })
    }
}

@Suite("The thread of the spool", .timeLimit(.minutes(1)))
struct SpoolThreadTests {
    @Test(
        "It ends at once when the spool is closed, however long it would sleep", arguments: [SpoolSync.never, .always])
    func close(sync: SpoolSync) throws {
        let spool = try Spool(
            fileSystem: MemoryFileSystem(), options: .small(sync: sync), clock: BackwardClock().clock)
        try spool.start()
        spool.close()
        #expect(throws: SpoolError.self) { try spool.append([1]) }
    }
}
