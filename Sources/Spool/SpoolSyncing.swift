import Model
import Platform
import Synchronization

extension Spool {
    func syncLoop(_ report: @Sendable (SpoolReport) -> Void) {
        // The bytes of an earlier process may still be only in the page cache.
        if options.sync != .never { _ = syncOnce() }
        var syncedAt = clock.monotonic()
        while true {
            let inASecond = clock.monotonic().advanced(by: .seconds(1))
            waker.sleep(
                until: options.sync == .always ? inASecond : min(inASecond, nextSync(after: syncedAt)), clock: clock)
            let (isClosed, isRefusing) = state.withLock { ($0.writer.isClosed, $0.disk.health.refusal != nil) }
            if isClosed { return allNews.forEach(report) }
            if options.sync != .never && (isRefusing || clock.monotonic() >= nextSync(after: syncedAt)) {
                syncedAt = clock.monotonic()
                _ = syncOnce()
            }
            dropExpired()
            probeAfterFailure()
            allNews.forEach(report)
        }
    }

    private var allNews: [SpoolReport] { [news].compactMap(\.self) + notices }

    /// The lines about ages that the log does not have yet.
    var notices: [SpoolReport] {
        let now = ClockReading(clock)
        return state.withLock { state in
            let expired = state.ledger.droppedSpans[SpoolDrop.expired.rawValue] ?? 0
            return state.notices.take(expired: expired, at: now)
        }
    }

    /// The line about the disk that the log does not have yet.
    var news: SpoolReport? {
        let now = clock.monotonic()
        return state.withLock { $0.disk.takeReport(at: now) }
    }

    /// Returns the time of the next sync. With `always` it is as soon as an append waits for it.
    private func nextSync(after last: MonotonicTime) -> MonotonicTime {
        switch options.sync {
        case .interval(let interval): last.advanced(by: interval)
        case .always: last
        case .never: MonotonicTime(nanoseconds: .max)
        }
    }

    static let probeName = "probe"

    /// Finds out after a failure whether the disk takes bytes again, because senders may stop.
    func probeAfterFailure() {
        let options = options
        let probeBytes = min(64 << 10, options.maxBytes / 16)
        let mayProbe = withState { state in
            state.deleteProbe(fileSystem)
            if state.disk.health.message == nil { return false }
            // The last segment is kept to be written to. If all of it is settled, it may be just what fills the disk.
            state.deleteSettledSegments(fileSystem, lastToo: true)
            let isRepairing =
                state.segments.contains { $0.phase == .awaitingCopy } || state.disk.failedDirectorySyncs > 0
            // The probe is on the disk, too, for a moment. A spool at its bound accepts nothing anyway.
            guard !isRepairing, state.disk.probeBytes == 0, state.bytesOnDisk + probeBytes <= options.maxBytes
            else { return false }
            state.disk.beginProbe(bytes: probeBytes)
            return true
        }
        if !mayProbe { return }
        var hasWorked = false
        do throws(SystemError) {
            let file = try fileSystem.open(Self.probeName)
            try file.write([UInt8](repeating: 0, count: probeBytes), at: 0)
            try file.sync()
            hasWorked = true
        } catch {
            // It fails as before, which was counted and reported when it began.
        }
        let isOnDisk = hasWorked
        withState { state in
            state.deleteProbe(fileSystem)
            if isOnDisk && state.disk.probeBytes == 0 { state.disk.recordProbe() }
        }
    }

    /// Forces everything that was appended so far to the disk. Returns false if the disk refused, or has lost some of
    /// it.
    package func syncOnce() -> Bool {
        var waiting: [AppendedFrame] = []
        var failed: Set<UInt64> = []
        var hasSynced = false
        var isAll = false
        while !isAll {
            let now = clock.monotonic()
            let work = withState { $0.takeSyncWork(fileSystem, now) }
            for (segment, file) in work.segments {
                do throws(SystemError) {
                    try file.sync()
                    hasSynced = true
                } catch {
                    failed.insert(segment)
                    withState { $0.recordFailedSync(of: segment, error, fileSystem) }
                }
            }
            if work.hasCheckpoint { syncCheckpoint() }
            waiting += work.waiting
            isAll = work.isAll
        }
        if repairSegments() { hasSynced = true }
        let hasDirectory = syncDirectory(hasSynced: &hasSynced)
        return finish(waiting, failed: failed, hasDirectory: hasDirectory, hasSynced: hasDirectory && hasSynced)
    }

    /// Syncs the directory. Returns true if it is on the disk.
    private func syncDirectory(hasSynced: inout Bool) -> Bool {
        let (isDirectoryDirty, isCheckpointDirty) = withState { $0.takeDirectoryWork() }
        if !isDirectoryDirty { return true }
        if isCheckpointDirty { syncCheckpoint() }
        do throws(SystemError) {
            try fileSystem.syncDirectory()
            hasSynced = true
            withState { $0.disk.recordDirectorySync() }
            return true
        } catch {
            withState { state in
                state.disk.recordFailedDirectorySync(error)
                // New frames get a file with a new name.
                if let last = state.segments.indices.last { state.segments[last].seal() }
            }
            return false
        }
    }

    /// Syncs the checkpoint. A lost one costs re-sending, so appends do not wait for it. It is written anew after a
    /// failure, which makes its pages dirty again.
    private func syncCheckpoint() {
        do throws(SystemError) {
            try state.withLock { $0.ledger.checkpointFile }.sync()
        } catch {
            withState { state in
                state.disk.record(error)
                state.storeCheckpoint()
            }
        }
    }

    /// Hands durable frames to the reader, withdraws the others, and wakes the waiting requests.
    private func finish(
        _ waiting: [AppendedFrame], failed: Set<UInt64>, hasDirectory: Bool, hasSynced: Bool
    ) -> Bool {
        let now = clock.monotonic()
        let (refused, isClean) = withState { state in
            let bad = state.segments.filter { segment in
                switch segment.phase {
                case .awaitingCopy, .damaged: true
                case .quarantined: failed.contains(segment.firstSequence)
                case .open, .sealed: false
                }
            }
            let isClean = hasDirectory && !bad.contains { $0.phase == .awaitingCopy }
            if isClean { state.disk.recordClean(hasSynced: hasSynced) }
            let refused = waiting.filter { frame in
                !hasDirectory || bad.contains { $0.firstSequence == frame.segment }
            }
            let sequences = Set(refused.map(\.sequence))
            state.publish(waiting.filter { !sequences.contains($0.sequence) }, at: now)
            state.withdraw(refused, at: now)
            // A reader may have opened some that could not be closed before their sync.
            state.closeIdleFiles(needsSync: true)
            return (sequences, isClean && bad.isEmpty)
        }
        for frame in waiting { frame.whenDurable?(!refused.contains(frame.sequence)) }
        return isClean
    }
}

extension SpoolState {
    /// The files with bytes that are not on the disk yet.
    struct SyncWork {
        var segments: [(UInt64, any SpoolFile)] = []
        /// False if there are segments that can be opened only when these are closed.
        var isAll = true
        var hasCheckpoint = false
        var waiting: [AppendedFrame] = []
    }

    /// The number of an earlier process's segments that are opened for it at a time.
    private static let maxOpened = 16

    fileprivate mutating func takeSyncWork(_ fileSystem: any SpoolFileSystem, _ now: MonotonicTime) -> SyncWork {
        var work = SyncWork()
        var opened = 0
        for index in segments.indices where segments[index].isDirty && segments[index].phase != .awaitingCopy {
            do throws(SystemError) {
                let isOpen = segments[index].file != nil
                if !isOpen && opened == Self.maxOpened {
                    work.isAll = false
                    continue
                }
                guard let file = try self.opened(segments[index].firstSequence, fileSystem)?.file else { continue }
                if !isOpen { opened += 1 }
                segments[index].isDirty = false
                work.segments.append((segments[index].firstSequence, file))
            } catch {
                disk.record(error)
            }
        }
        work.hasCheckpoint = ledger.takeCheckpointSync(at: now, isLast: writer.isClosed)
        work.waiting = writer.takeAwaitingSync()
        return work
    }

    /// Returns the syncs that are due. Segments in the middle are deleted when all in them is settled. If the
    /// checkpoint of that is lost and the deletion is not, they would pass for lost, so the checkpoint is synced before
    /// the directory.
    fileprivate mutating func takeDirectoryWork() -> (isDirectoryDirty: Bool, isCheckpointDirty: Bool) {
        guard disk.takeDirectorySync() else { return (false, false) }
        return (true, ledger.takeCheckpointSync())
    }

    fileprivate mutating func deleteProbe(_ fileSystem: any SpoolFileSystem) {
        if disk.probeBytes == 0 { return }
        do throws(SystemError) {
            try fileSystem.delete(Spool.probeName)
            disk.endProbe()
        } catch {
            disk.record(error)
        }
    }
}
