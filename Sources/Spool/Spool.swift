package import Model
package import Platform
import Synchronization

/// How soon an appended frame is forced to the disk (`spool.sync`).
package enum SpoolSync: Equatable, Sendable {
    /// Before the append counts as done.
    case always
    /// In groups, this many nanoseconds apart.
    case interval(nanoseconds: UInt64)
    /// When the operating system likes. Survives kill -9 of the process, not a power cut.
    case never
}

package enum SpoolWhenFull: Sendable {
    case refuse, dropOldest
}

package struct SpoolOptions: Sendable {
    package var maxBytes: Int
    package var maxAgeNanoseconds: Int64?
    package var whenFull: SpoolWhenFull
    package var sync: SpoolSync
    /// A segment is closed when it would grow over this.
    package var segmentBytes: Int
    /// A file that can't be read is given up after this time, and not before: disks have bad minutes.
    package var readPatienceNanoseconds: UInt64 = 60_000_000_000

    package init(
        maxBytes: Int, maxAgeNanoseconds: Int64? = nil, whenFull: SpoolWhenFull = .refuse, sync: SpoolSync,
        segmentBytes: Int? = nil
    ) {
        self.maxBytes = maxBytes
        self.maxAgeNanoseconds = maxAgeNanoseconds
        self.whenFull = whenFull
        self.sync = sync
        // At least eight segments, so that dropping the oldest one drops little; no more than about a thousand, because
        // each append looks at them all.
        self.segmentBytes = segmentBytes ?? max(64 << 10, min(16 << 20, maxBytes / 8), maxBytes / 1024)
    }
}

/// What the spool holds and has dropped, at one moment.
package struct SpoolStatistics: Sendable {
    package var capacityBytes = 0
    /// On disk, headers and settled frames of segments that are not deleted yet included.
    package var bytes = 0
    /// Not settled yet, in flight included.
    package var spans = 0
    package var recoveredSpans = 0
    /// Since the start. At every moment: recovered + appended = delivered + dropped + `spans`.
    package var appendedSpans: UInt64 = 0
    package var deliveredSpans: UInt64 = 0
    /// By reason: those of `SpoolDrop`, and those that `settle` was told.
    package var droppedSpans: [String: UInt64] = [:]
    package var oldestUnsettled: WallTime?
    package var corruptFrames: UInt64 = 0
    /// Files that the disk does not give back. They are kept for the next start.
    package var quarantinedSegments = 0
    package var errors: UInt64 = 0
    /// Why the last append or sync failed; nil once one works again, or a probe shows that it would.
    package var lastFailure: String?
}

/// Why the spool itself drops spans.
package enum SpoolDrop: String, CaseIterable, Sendable {
    /// The oldest made room (`when-full: drop-oldest`).
    case evicted
    /// Older than `max-age`.
    case expired
    /// Their bytes on disk no longer checked.
    case corrupt
    /// The disk did not give their file back, time after time.
    case unreadable
    /// `sync: always`: the disk did not take them for good, and their sender was told so.
    case unsynced
}

/// The crash-safe queue between the receiver and the forwarder: opaque payloads in, batches of them out, in order; or what
/// is new beside what is old, each in order (SpoolReaders.swift).
///
/// A payload is safe from a kill of the process as soon as `append` returns, and from a power cut after the sync that
/// `SpoolSync` names. It is deleted only after `settle`. One process owns a directory; within it, any thread may
/// append and settle, one thread reads. The layout on disk stands in SpoolFormat.swift.
package final class Spool: Sendable {
    package var options: SpoolOptions { currentOptions.withLock { $0 } }
    private let currentOptions: Mutex<SpoolOptions>
    let clock: Clock
    let fileSystem: any SpoolFileSystem
    let state: Mutex<SpoolState>
    let waker: Waker
    private let syncThread: Mutex<OSThread?> = Mutex(nil)

    /// Opens the directory and recovers what it holds. Throws when it can't be read or written: then nothing can be
    /// promised and the program must not start.
    package init(fileSystem: any SpoolFileSystem, options: SpoolOptions, clock: Clock) throws(SpoolError) {
        currentOptions = Mutex(options)
        self.clock = clock
        self.fileSystem = fileSystem
        do throws(SystemError) {
            state = Mutex(try Self.recover(fileSystem, at: clock.wall()))
            waker = try Waker()
        } catch {
            throw .io(error)
        }
    }

    /// Starts the thread that syncs in groups and enforces `max-age`. It is the one that reports, within a second.
    package func start(report: @escaping @Sendable (SpoolReport) -> Void = { _ in }) throws(SystemError) {
        let thread = try OSThread(name: "spool-sync") { [self] in syncLoop(report) }
        syncThread.withLock { $0 = thread }
    }

    /// Syncs all and stops the thread. Later appends throw.
    package func close() {
        state.withLock { $0.isClosed = true }
        waker.wake()
        syncThread.withLock { $0 }?.join()
        _ = syncOnce()
    }

    // MARK: Appending

    /// Other bounds, from now on. What is over a smaller one is not lost: nothing more is taken until it was sent, or with
    /// `dropOldest` the oldest go with the next append.
    package func use(_ new: SpoolOptions) {
        currentOptions.withLock { options in
            options.maxBytes = new.maxBytes
            options.segmentBytes = new.segmentBytes
            options.maxAgeNanoseconds = new.maxAgeNanoseconds
            options.whenFull = new.whenFull
        }
    }

    /// Appends one payload of `spanCount` spans. When it returns, the frame is in the file. With `sync: always` it is read
    /// only once it is on the disk, and the caller acknowledges only after `whenDurable` was called with true; after a
    /// false, the spool does not have it.
    package func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, whenDurable: (@Sendable (Bool) -> Void)? = nil
    ) throws(SpoolError) {
        let now = clock.monotonic()
        let time = clock.wall()
        let isFirstToWait = try state.withLock { state throws(SpoolError) in
            if state.isClosed { throw .closed }
            if let refusal = state.refusal { throw .io(refusal) }
            let frameBytes = FrameHeader.count + payload.count
            do throws(SpoolError) {
                try makeRoom(for: frameBytes, &state)
                try openSegment(for: frameBytes, time, &state)
                try write(payload, spanCount, time, &state)
            } catch {
                state.note(error)
                throw error
            }
            if !state.hasFailedSync { state.lastFailure = nil }
            state.appendedSpans += UInt64(spanCount)
            let entry = state.noteAppended(spanCount, payload.count, whenDurable)
            guard options.sync == .always else {
                state.publish([entry], now)
                return false
            }
            state.awaitingSync.append(entry)
            return state.awaitingSync.count == 1
        }
        // The others are taken along: the thread has been woken, and has not looked yet.
        if isFirstToWait { waker.wake() }
    }

    private func makeRoom(for frameBytes: Int, _ state: inout SpoolState) throws(SpoolError) {
        let needed = frameBytes + SegmentHeader.count
        // A reader takes a longer length for corruption.
        let options = options
        let capacity = min(options.maxBytes, FrameHeader.maxPayload)
        if needed + SpoolState.overheadBytes > capacity {
            throw .frameTooLarge(bytes: frameBytes, capacity: capacity)
        }
        // The last segment is kept to be written to; where room is short, not if everything in it is settled.
        if state.bytesOnDisk + needed > options.maxBytes { state.deleteSettledSegments(fileSystem, lastToo: true) }
        while state.bytesOnDisk + needed > options.maxBytes {
            // What can't be read has been counted, and only hopes for the next start.
            let quarantined = state.segments.first { $0.isQuarantined && $0.unsettledFrames == 0 }
            let oldest = options.whenFull == .dropOldest ? state.segments.first : nil
            guard let victim = quarantined ?? oldest else { throw .full(capacity: options.maxBytes) }
            do throws(SystemError) {
                try drop(victim, reason: .evicted, &state)
            } catch {
                throw .io(error)
            }
        }
    }

    func openSegment(for frameBytes: Int, _ time: WallTime, _ state: inout SpoolState) throws(SpoolError) {
        if let active = state.segments.last, !active.isSealed {
            if active.frameCount == 0 || active.bytes + frameBytes <= options.segmentBytes { return }
            state.segments[state.segments.count - 1].isSealed = true
        }
        // A sealed segment without a frame has the very name that the new one gets.
        if let last = state.segments.last, last.firstSequence == state.nextSequence { state.segments.removeLast() }
        let sequence = state.nextSequence
        let name = SegmentHeader.fileName(firstSequence: sequence)
        do throws(SystemError) {
            state.closeIdleFiles(needsSync: options.sync != .never)
            let file = try fileSystem.open(name)
            do throws(SystemError) {
                let header = SegmentHeader.encode(firstSequence: sequence, createdAt: time, key: state.key)
                try file.truncate(to: 0)
                try file.write(header, at: 0)
            } catch {
                try fileSystem.delete(name)
                throw error
            }
            state.segments.append(
                Segment(
                    firstSequence: sequence, key: state.key, headerBytes: SegmentHeader.count, file: file,
                    bytes: SegmentHeader.count))
            state.isDirectoryDirty = true
        } catch {
            throw .io(error)
        }
        state.deleteSettledSegments(fileSystem)
    }

    func write(
        _ payload: UnsafeRawBufferPointer, _ spanCount: Int, _ time: WallTime, _ state: inout SpoolState
    ) throws(SpoolError) {
        let index = state.segments.count - 1
        let header = FrameHeader.encode(
            sequence: state.nextSequence, time: time, spanCount: spanCount, payload: payload, key: state.key)
        let segment = state.segments[index]
        guard let file = segment.file else { preconditionFailure("the segment that is written to is open") }
        do throws(SystemError) {
            try header.withUnsafeBufferPointer { head throws(SystemError) in
                try file.append([UnsafeRawBufferPointer(head), payload])
            }
        } catch {
            // Half a frame may stand there now. Without it the next frame begins where this one did; if even the
            // truncation fails, nothing more is written behind it, and its sequence, which may stand there whole, is
            // not given to another frame.
            do {
                try file.truncate(to: segment.bytes)
            } catch {
                state.segments[index].isSealed = true
                state.segments[index].tornBytes = header.count + payload.count
                state.settle(state.nextSequence...state.nextSequence)
                state.nextSequence += 1
            }
            throw .io(error)
        }
        state.segments[index].appended(
            bytes: header.count + payload.count, spans: spanCount, sequence: state.nextSequence, time: time)
        state.nextSequence += 1
    }

    // MARK: Dropping

    func dropExpired() {
        guard let maxAge = options.maxAgeNanoseconds else { return }
        let now = clock.wall()
        state.withLock { state in
            while let oldest = state.segments.first, let newest = oldest.newest, now.nanoseconds(since: newest) > maxAge
            {
                do throws(SystemError) {
                    try drop(oldest, reason: .expired, &state)
                } catch {
                    state.count(error)
                    return
                }
            }
        }
    }

    /// Deletes a whole segment; what in it was not settled is dropped.
    private func drop(_ segment: Segment, reason: SpoolDrop, _ state: inout SpoolState) throws(SystemError) {
        try state.delete(segment, fileSystem)
        state.dropped[reason.rawValue, default: 0] += UInt64(segment.unsettledSpans)
        if segment.frameCount > 0 {
            state.settle(segment.firstSequence...segment.lastSequence)
        }
    }

    package var statistics: SpoolStatistics { state.withLock { statistics(of: $0) } }

    /// nil if somebody is in the middle of something for longer than the patience: the disk hangs.
    package func statistics(patienceNanoseconds: UInt64) -> SpoolStatistics? {
        Patience.attempt(nanoseconds: patienceNanoseconds) { state.withLockIfAvailable { statistics(of: $0) } }
    }

    private func statistics(of state: SpoolState) -> SpoolStatistics {
        var statistics = SpoolStatistics()
        statistics.capacityBytes = options.maxBytes
        statistics.bytes = state.bytesOnDisk
        statistics.spans = state.segments.reduce(0) { $0 + $1.unsettledSpans }
        statistics.recoveredSpans = state.recoveredSpans
        statistics.oldestUnsettled = state.segments.lazy.filter { $0.unsettledFrames > 0 }.compactMap(\.oldestUnsettled)
            .min()
        statistics.appendedSpans = state.appendedSpans
        statistics.deliveredSpans = state.deliveredSpans
        statistics.droppedSpans = state.dropped
        statistics.corruptFrames = state.corruptFrames
        statistics.quarantinedSegments = state.segments.count(where: \.isQuarantined)
        statistics.errors = state.errors
        statistics.lastFailure = state.lastFailure
        return statistics
    }
}
