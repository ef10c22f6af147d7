import Glibc
import Model
import Platform
import Synchronization

// When a sync fails, the kernel forgets that the pages were dirty: a second fdatasync of the same file would report
// success over bytes that never reached the disk. So a file is never synced again after it failed once. It is sealed, its
// content, which is still in the page cache, is written to a fresh file, that one is synced and takes the old one's name:
//
//     segment-N.log  sync fails ──► segment-N.log.new written, synced ──► renamed over segment-N.log ──► directory synced
//
// What waited for the sync goes on waiting for this. If it fails too, it is tried again, a second later at the earliest,
// for as long as the segment is not settled; those who waited are told that the disk did not take their spans, and until it
// works nothing more is taken: it would only wait for a sync, too, in one more segment with each that fails. The empty
// segment-N.log.new stays until then: a process that is started after a kill finds the same page cache and knows nothing
// of the failure.
extension Spool {
    static let rewritePauseNanoseconds: UInt64 = 1_000_000_000
    private static let copyBytes = 1 << 20

    func syncLoop(_ report: @Sendable (SpoolReport) -> Void) {
        // What an earlier process appended may still be only in the page cache.
        if options.sync != .never { _ = syncOnce() }
        var syncedAt = clock.monotonic()
        while true {
            let inASecond = clock.monotonic().advanced(byNanoseconds: 1_000_000_000)
            waker.sleep(
                until: options.sync == .always ? inASecond : min(inASecond, nextSync(after: syncedAt)), clock: clock)
            let (isClosed, isRefusing) = state.withLock { ($0.isClosed, $0.refusal != nil) }
            if isClosed {
                if let news { report(news) }
                return
            }
            if options.sync != .never && (isRefusing || clock.monotonic() >= nextSync(after: syncedAt)) {
                syncedAt = clock.monotonic()
                _ = syncOnce()
            }
            dropExpired()
            probeAfterFailure()
            if let news { report(news) }
        }
    }

    /// What the log has not been told yet.
    var news: SpoolReport? {
        let now = clock.monotonic()
        return state.withLock { $0.unreportedFailures.take(at: now, isFailing: $0.lastFailure != nil) }
    }

    /// With `always`, whenever somebody waits for it.
    private func nextSync(after last: MonotonicTime) -> MonotonicTime {
        switch options.sync {
        case .interval(let nanoseconds): last.advanced(byNanoseconds: nanoseconds)
        case .always: last
        case .never: MonotonicTime(nanoseconds: .max)
        }
    }

    static let probeName = "probe"

    /// After a failure nobody may dare to send: finds out by itself when the disk takes bytes again.
    func probeAfterFailure() {
        let probeBytes = min(64 << 10, options.maxBytes / 16)
        let mayProbe = state.withLock { state in
            state.deleteProbe(fileSystem)
            if state.lastFailure == nil { return false }
            // The last segment is kept to be written to. All of it settled, it may be just what fills the disk.
            state.deleteSettledSegments(fileSystem, lastToo: true)
            if state.segments.contains(where: \.needsRewrite) || state.failedDirectorySyncs > 0 { return false }
            // The probe is on the disk, too, for a moment. A spool at its bound takes nothing anyway.
            guard state.probeBytes == 0, state.bytesOnDisk + probeBytes <= options.maxBytes else { return false }
            state.probeBytes = probeBytes
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
            // Still failing, as was counted and told when it began.
        }
        state.withLock { state in
            state.deleteProbe(fileSystem)
            if hasWorked && state.probeBytes == 0 { state.noteRecovered() }
        }
    }

    /// Forces everything that was appended so far to the disk. False if the disk refused, or has lost some of it.
    package func syncOnce() -> Bool {
        var waiting: [AppendedFrame] = []
        var hasSynced = false
        var isAll = false
        while !isAll {
            let now = clock.monotonic()
            let work = state.withLock { $0.takeSyncWork(fileSystem, now) }
            for (segment, file) in work.segments {
                do throws(SystemError) {
                    try file.sync()
                    hasSynced = true
                } catch {
                    state.withLock { $0.noteFailedSync(of: segment, error, fileSystem) }
                }
            }
            if work.hasCheckpoint { syncCheckpoint() }
            waiting += work.waiting
            isAll = work.isAll
        }
        let hasRewritten = rewriteFailedSegments()
        var (hasDirectory, hasSyncedDirectory) = (true, false)
        let (isDirectoryDirty, isCheckpointDirty) = state.withLock { $0.takeDirectoryWork() }
        if isDirectoryDirty {
            if isCheckpointDirty { syncCheckpoint() }
            do throws(SystemError) {
                try fileSystem.syncDirectory()
                hasSyncedDirectory = true
                state.withLock { $0.failedDirectorySyncs = 0 }
            } catch {
                hasDirectory = false
                state.withLock { $0.noteFailedDirectorySync(error) }
            }
        }
        let hasWorked = hasDirectory && (hasRewritten || hasSynced || hasSyncedDirectory)
        return finish(waiting, hasDirectory: hasDirectory, hasWorked: hasWorked)
    }

    /// A lost checkpoint costs re-sending: nobody waits for it. It is written anew, which makes its pages dirty again.
    private func syncCheckpoint() {
        do throws(SystemError) {
            try state.withLock { $0.checkpointFile }.sync()
        } catch {
            state.withLock { state in
                state.count(error)
                state.storeCheckpoint()
            }
        }
    }

    /// Hands what is durable to the reader, takes back what is not, and tells who waits.
    private func finish(_ waiting: [AppendedFrame], hasDirectory: Bool, hasWorked: Bool) -> Bool {
        let now = clock.monotonic()
        let (refused, isClean) = state.withLock { state in
            let bad = Set(state.segments.filter { $0.needsRewrite || $0.isDamaged }.map(\.firstSequence))
            let isClean = hasDirectory && !state.segments.contains(where: \.needsRewrite)
            if isClean { state.refusal = nil }
            if isClean && hasWorked && state.hasFailedSync { state.noteRecovered() }
            let refused = waiting.filter { !hasDirectory || bad.contains($0.segment) }
            let sequences = Set(refused.map(\.sequence))
            state.publish(waiting.filter { !sequences.contains($0.sequence) }, now)
            state.withdraw(refused, now)
            return (sequences, isClean && !state.segments.contains(where: \.isDamaged))
        }
        for entry in waiting { entry.whenDurable?(!refused.contains(entry.sequence)) }
        return isClean
    }

    /// True if there were some and all are made good.
    private func rewriteFailedSegments() -> Bool {
        let now = clock.monotonic()
        let failed = state.withLock { state in
            now >= state.nextRewrite ? state.segments.filter(\.needsRewrite) : []
        }
        for segment in failed where !rewrite(segment) {
            state.withLock { $0.nextRewrite = now.advanced(byNanoseconds: Self.rewritePauseNanoseconds) }
            return false
        }
        return !failed.isEmpty
    }

    private func rewrite(_ segment: Segment) -> Bool {
        let name = SegmentHeader.fileName(firstSequence: segment.firstSequence)
        // What can't be read back is the reader's to give up; other files can be written all the while.
        var isReading = true
        do throws(SystemError) {
            let old = try state.withLock { state throws(SystemError) in try state.opened(segment, fileSystem) }
            guard let old else { return true }
            isReading = false
            let copy = try fileSystem.open(name + SegmentHeader.copySuffix)
            try copy.truncate(to: 0)
            // For a while both are on the disk: only within the bound.
            let hasRoom = state.withLock { state in
                state.noteCopy(0, of: segment.firstSequence)
                return state.reserve(segment.bytes, within: options.maxBytes)
            }
            if !hasRoom { return false }
            defer { state.withLock { $0.reservedBytes -= segment.bytes } }
            var offset = 0
            while offset < segment.bytes {
                isReading = true
                let chunk = try old.read(min(Self.copyBytes, segment.bytes - offset), at: offset)
                if chunk.isEmpty { throw SystemError("copying", path: name, code: EIO) }
                isReading = false
                try copy.write(chunk, at: offset)
                offset += chunk.count
            }
            var scan = SegmentScan(segment: segment, after: 0)
            try scan.read(copy, count: segment.bytes, settled: SettledFrames(below: 0))
            try copy.sync()
            let isIntact = scan.goodEnd == segment.bytes && scan.gaps.isEmpty
            try state.withLock { state throws(SystemError) in
                try state.replace(segment, by: copy, isIntact: isIntact, fileSystem)
            }
            return true
        } catch {
            state.withLock { state in
                state.note(.io(error))
                if !isReading { state.refusal = error }
            }
            // Back to an empty one, which takes no room.
            do throws(SystemError) {
                try fileSystem.open(name + SegmentHeader.copySuffix).truncate(to: 0)
            } catch {
                state.withLock { $0.noteCopy(segment.bytes, of: segment.firstSequence) }
            }
            return false
        }
    }
}

/// A frame that was appended, until it may be read.
struct AppendedFrame {
    let segment: UInt64
    let sequence: UInt64
    let spanCount: Int
    let payloadBytes: Int
    /// Where the segment ends with it.
    let end: Int
    let whenDurable: (@Sendable (Bool) -> Void)?
}

extension SpoolState {
    /// What is in a file and not yet on the disk.
    struct SyncWork {
        var segments: [(UInt64, any SpoolFile)] = []
        /// False where there are segments that can be opened only when these are closed.
        var isAll = true
        var hasCheckpoint = false
        var waiting: [AppendedFrame] = []
    }

    /// Segments of an earlier process are opened for it, so many at a time.
    private static let maxOpened = 16

    /// The checkpoint is synced once in so long, and at the end: without it, a power cut costs sending again.
    private static let checkpointPauseNanoseconds: UInt64 = 1_000_000_000

    mutating func takeSyncWork(_ fileSystem: any SpoolFileSystem, _ now: MonotonicTime) -> SyncWork {
        var work = SyncWork()
        var opened = 0
        for index in segments.indices where segments[index].isDirty && !segments[index].needsRewrite {
            do throws(SystemError) {
                let file: any SpoolFile
                if let open = segments[index].file {
                    file = open
                } else {
                    if opened == Self.maxOpened {
                        work.isAll = false
                        continue
                    }
                    file = try fileSystem.open(SegmentHeader.fileName(firstSequence: segments[index].firstSequence))
                    opened += 1
                }
                segments[index].isDirty = false
                work.segments.append((segments[index].firstSequence, file))
            } catch {
                count(error)
            }
        }
        if isCheckpointDirty && (now >= nextCheckpointSync || isClosed) {
            work.hasCheckpoint = true
            isCheckpointDirty = false
            nextCheckpointSync = now.advanced(byNanoseconds: Self.checkpointPauseNanoseconds)
        }
        work.waiting = awaitingSync
        awaitingSync = []
        return work
    }

    /// Segments in the middle are deleted when all in them is settled. Where the checkpoint of that is lost and the deletion
    /// is not, they would pass for lost: so the checkpoint is synced before the directory.
    mutating func takeDirectoryWork() -> (isDirectoryDirty: Bool, isCheckpointDirty: Bool) {
        guard isDirectoryDirty else { return (false, false) }
        defer { (isDirectoryDirty, isCheckpointDirty) = (false, false) }
        return (true, isCheckpointDirty)
    }

    mutating func noteFailedSync(of segment: UInt64, _ error: SystemError, _ fileSystem: any SpoolFileSystem) {
        note(.io(error))
        hasFailedSync = true
        guard let index = segments.firstIndex(where: { $0.firstSequence == segment }) else { return }
        segments[index].isSealed = true
        segments[index].needsRewrite = true
        // What was appended while the sync ran goes to the copy with all else.
        segments[index].isDirty = false
        do throws(SystemError) {
            _ = try fileSystem.open(SegmentHeader.fileName(firstSequence: segment) + SegmentHeader.copySuffix)
        } catch {
            count(error)
        }
    }

    /// A journal that failed goes on failing, so this may be tried again. New frames get a new name.
    mutating func noteFailedDirectorySync(_ error: SystemError) {
        note(.io(error))
        hasFailedSync = true
        isDirectoryDirty = true
        failedDirectorySyncs += 1
        if failedDirectorySyncs > 1 { refusal = error }
        if let last = segments.indices.last { segments[last].isSealed = true }
    }

    mutating func deleteProbe(_ fileSystem: any SpoolFileSystem) {
        if probeBytes == 0 { return }
        do throws(SystemError) {
            try fileSystem.delete(Spool.probeName)
            probeBytes = 0
        } catch {
            count(error)
        }
    }

    mutating func noteRecovered() {
        lastFailure = nil
        hasFailedSync = false
        refusal = nil
    }

    mutating func reserve(_ bytes: Int, within maxBytes: Int) -> Bool {
        if bytesOnDisk + bytes > maxBytes { return false }
        reservedBytes += bytes
        return true
    }

    mutating func noteCopy(_ bytes: Int, of segment: UInt64) {
        guard let index = segments.firstIndex(where: { $0.firstSequence == segment }) else { return }
        segments[index].copyBytes = bytes
    }

    /// nil if nobody wants the segment any more. (To open it then would make it anew.)
    func opened(_ segment: Segment, _ fileSystem: any SpoolFileSystem) throws(SystemError) -> (any SpoolFile)? {
        guard let current = segments.first(where: { $0.firstSequence == segment.firstSequence }) else { return nil }
        if let file = current.file { return file }
        return try fileSystem.open(SegmentHeader.fileName(firstSequence: segment.firstSequence))
    }

    /// The copy is on the disk and takes the segment's name, if that is still wanted.
    mutating func replace(
        _ segment: Segment, by copy: any SpoolFile, isIntact: Bool, _ fileSystem: any SpoolFileSystem
    ) throws(SystemError) {
        let name = SegmentHeader.fileName(firstSequence: segment.firstSequence)
        guard let index = segments.firstIndex(where: { $0.firstSequence == segment.firstSequence }) else {
            try fileSystem.delete(name + SegmentHeader.copySuffix)
            return
        }
        try fileSystem.rename(name + SegmentHeader.copySuffix, to: name)
        isDirectoryDirty = true
        segments[index].file = copy
        segments[index].needsRewrite = false
        segments[index].isDirty = false
        segments[index].isDamaged = !isIntact
        segments[index].tornBytes = 0
    }

    func noteAppended(
        _ spanCount: Int, _ payloadBytes: Int, _ whenDurable: (@Sendable (Bool) -> Void)?
    ) -> AppendedFrame {
        let segment = segments[segments.count - 1]
        return AppendedFrame(
            segment: segment.firstSequence, sequence: segment.lastSequence, spanCount: spanCount,
            payloadBytes: payloadBytes, end: segment.bytes, whenDurable: whenDurable)
    }

    /// From now on the reader sees them.
    mutating func publish(_ frames: [AppendedFrame], _ now: MonotonicTime) {
        for frame in frames where show(frame) {
            readers[readerIndex(ofSegment: frame.segment)].note(appended: frame, at: now)
        }
    }

    /// Their sender was told that the disk did not take them, and sends them again: nobody has read them, nobody will.
    mutating func withdraw(_ frames: [AppendedFrame], _ now: MonotonicTime) {
        for frame in frames {
            show(frame)
            // The reader has to step over it.
            let reader = readerIndex(ofSegment: frame.segment)
            readers[reader].unread.since = readers[reader].unread.since ?? now
            if takeBack(frame) { dropped[SpoolDrop.unsynced.rawValue, default: 0] += UInt64(frame.spanCount) }
        }
    }

    /// As if it had not been appended. False where its segment was dropped meanwhile.
    private mutating func takeBack(_ frame: AppendedFrame) -> Bool {
        settle(frame.sequence...frame.sequence)
        guard let index = segments.firstIndex(where: { $0.firstSequence == frame.segment }) else { return false }
        segments[index].unsettledFrames -= 1
        segments[index].unsettledSpans -= frame.spanCount
        return true
    }

    /// False where its segment was dropped meanwhile.
    @discardableResult
    private mutating func show(_ frame: AppendedFrame) -> Bool {
        guard let index = segments.lastIndex(where: { $0.firstSequence == frame.segment }) else { return false }
        segments[index].publishedBytes = max(segments[index].publishedBytes, frame.end)
        return true
    }
}
