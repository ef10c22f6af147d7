import Model
package import Platform
import Synchronization

/// The time at which an appended frame is forced to the disk (`spool.sync`).
package enum SpoolSync: Equatable, Sendable {
    /// The sync comes before the append counts as done.
    case always
    /// Syncs come in groups, this long apart.
    case interval(Duration)
    /// The operating system decides. Frames survive kill -9 of the process, not a power cut.
    case never
}

package enum SpoolWhenFull: Sendable {
    case refuse, dropOldest
}

package struct SpoolOptions: Sendable {
    package var maxBytes: Int
    package var maxAge: Duration?
    package var whenFull: SpoolWhenFull
    package var sync: SpoolSync
    /// The size above which a segment is closed.
    package var segmentBytes: Int
    /// The time after which a file that can't be read is quarantined: disks have bad minutes.
    package var readPatience = Duration.seconds(60)

    package init(
        maxBytes: Int, maxAge: Duration? = nil, whenFull: SpoolWhenFull = .refuse, sync: SpoolSync,
        segmentBytes: Int? = nil
    ) {
        self.maxBytes = maxBytes
        self.maxAge = maxAge
        self.whenFull = whenFull
        self.sync = sync
        // With at least eight segments, dropping the oldest one drops little. With no more than about a thousand, each
        // append can afford to visit them all.
        self.segmentBytes = segmentBytes ?? max(64 << 10, min(16 << 20, maxBytes / 8), maxBytes / 1024)
    }
}

/// The numbers of the spool at one moment.
package struct SpoolStatistics: Sendable {
    package var capacityBytes = 0
    /// The bytes on disk, headers and settled frames of segments that are not deleted yet included.
    package var bytes = 0
    /// The number of spans that are not settled yet, in flight included.
    package var spans = 0
    package var recoveredSpans = 0
    /// The sums since the start. At every moment: recovered + appended = delivered + dropped + `spans`.
    package var appendedSpans: UInt64 = 0
    package var deliveredSpans: UInt64 = 0
    /// The dropped spans by reason: those of `SpoolDrop`, and those that `settle` was told.
    package var droppedSpans: [String: UInt64] = [:]
    /// The age of the oldest span that is not settled; nil in an empty spool.
    package var oldestAge: Duration?
    package var corruptFrames: UInt64 = 0
    /// The number of files that the disk does not give back. They are kept for the next start.
    package var quarantinedSegments = 0
    package var errors: UInt64 = 0
    /// The reason why the last append or sync failed; nil once one works again, or a probe shows that it would.
    package var lastFailure: String?
}

/// The reason why the spool itself drops spans.
package enum SpoolDrop: String, CaseIterable, Sendable {
    /// The oldest spans made space (`when-full: drop-oldest`).
    case evicted
    /// The spans are older than `max-age`.
    case expired
    /// Their bytes on disk no longer checked.
    case corrupt
    /// The disk did not give their file back, time after time.
    case unreadable
    /// With `sync: always`, the disk did not take them, and their sender was told so.
    case unsynced
}

/// The crash-safe queue between the receiver and the forwarder: opaque payloads in, batches of them out, in order.
/// While old payloads wait, new ones may be read beside them, each in order (SpoolReaders.swift).
///
/// A payload is safe from a kill of the process as soon as `append` returns. It is safe from a power cut after the sync
/// that `SpoolSync` names. It is deleted only after `settle`. One process owns a directory; within it, any thread may
/// append and settle, one thread reads. The layout on disk stands in SpoolFormat.swift.
package final class Spool: Sendable {
    package var options: SpoolOptions { currentOptions.withLock { $0 } }
    private let currentOptions: Mutex<SpoolOptions>
    let clock: Clock
    let fileSystem: any SpoolFileSystem
    let state: Mutex<SpoolState>
    let waker: Waker
    private let syncThread: Mutex<OSThread?> = Mutex(nil)

    /// Opens the directory and recovers what it holds.
    ///
    /// - Throws: `.io` when it can't be read or written: then nothing can be promised, and the program must not start.
    package init(fileSystem: any SpoolFileSystem, options: SpoolOptions, clock: Clock) throws(SpoolError) {
        currentOptions = Mutex(options)
        self.clock = clock
        self.fileSystem = fileSystem
        do throws(SystemError) {
            state = Mutex(try Self.recover(fileSystem, maxBytes: options.maxBytes, at: ClockReading(clock)))
            waker = try Waker()
        } catch {
            throw .io(error)
        }
    }

    /// Starts the thread that syncs in groups and enforces `max-age`. The same thread calls `report`, within a second.
    /// - Throws: `SystemError` where the system can't start another thread.
    package func start(report: @escaping @Sendable (SpoolReport) -> Void = { _ in }) throws(SystemError) {
        let thread = try OSThread(name: "spool-sync") { [self] in syncLoop(report) }
        syncThread.withLock { $0 = thread }
    }

    /// Syncs all and stops the thread. Later appends throw.
    package func close() {
        state.withLock { $0.writer.close() }
        waker.wake()
        syncThread.withLock { $0 }?.join()
        _ = syncOnce()
    }

    /// Sets other bounds from now on. What exceeds a smaller bound is not lost: nothing more is accepted until it was
    /// sent. With `dropOldest` the oldest spans go with the next append.
    package func use(_ new: SpoolOptions) {
        currentOptions.withLock { options in
            options.maxBytes = new.maxBytes
            options.segmentBytes = new.segmentBytes
            options.maxAge = new.maxAge
            options.whenFull = new.whenFull
        }
    }

    /// Runs `body` with the lock held. The books have to balance after it.
    ///
    /// - Throws: What `body` throws; what it has changed by then stays.
    func withState<Result, Failure: Error>(
        _ body: (inout SpoolState) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try state.withLock { state throws(Failure) in
            defer { state.assertBalanced() }
            return try body(&state)
        }
    }

    // MARK: Statistics

    package var statistics: SpoolStatistics { state.withLock { statistics(of: $0) } }

    /// Returns nil if an operation holds the lock for longer than the patience: the disk hangs.
    package func statistics(patience: Duration) -> SpoolStatistics? { read(patience: patience) { $0 } }

    /// Returns the same with what `body` reads while appends wait, so that each request is counted in both or in
    /// neither.
    package func read<Result: Sendable>(patience: Duration, _ body: (SpoolStatistics) -> Result) -> Result? {
        Patience.attempt(for: patience) { state.withLockIfAvailable { body(statistics(of: $0)) } }
    }

    private func statistics(of state: SpoolState) -> SpoolStatistics {
        var statistics = SpoolStatistics()
        statistics.capacityBytes = options.maxBytes
        statistics.bytes = state.bytesOnDisk
        statistics.spans = state.heldSpans
        statistics.recoveredSpans = state.ledger.recoveredSpans
        statistics.appendedSpans = state.ledger.appendedSpans
        statistics.deliveredSpans = state.ledger.deliveredSpans
        statistics.droppedSpans = state.ledger.droppedSpans
        let ages = ages
        statistics.oldestAge =
            state.segments.compactMap { segment in
                guard segment.unsettled.frames > 0, let oldest = segment.oldestUnsettled else { return nil }
                return ages.age(of: oldest, clockOffset: segment.clockOffset)
            }.max()
        statistics.corruptFrames = state.ledger.corruptFrames
        statistics.quarantinedSegments = state.segments.count(where: \.isQuarantined)
        statistics.errors = state.disk.errors
        statistics.lastFailure = state.disk.health.message
        return statistics
    }
}
