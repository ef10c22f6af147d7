import Model
import Platform

/// One segment file and what of it is not settled.
struct Segment {
    let firstSequence: UInt64
    /// That of its frames, and where the first of them begins.
    let key: FrameKey
    let headerBytes: Int
    /// nil while nobody reads or writes it: a spool may hold more segments than a process may open files.
    var file: (any SpoolFile)?
    var bytes: Int
    /// On the disk besides: half a frame behind it, and half a copy, that could not be taken away.
    var tornBytes = 0
    var copyBytes = 0
    /// Frames in it, and the sequence of its last one (meaningless while there is none).
    var frameCount = 0
    var lastSequence: UInt64 = 0
    var unsettledFrames = 0
    var unsettledSpans = 0
    /// The part of them that was read and is on its way.
    var inFlightFrames = 0
    var inFlightSpans = 0
    /// No unsettled frame is older; moved on with each settlement.
    var oldestUnsettled: WallTime?
    var newest: WallTime?
    /// Nothing more is written to it.
    var isSealed = false
    /// Written to since its last sync.
    var isDirty = true
    /// From here on the disk does not give it back: quarantined. nil where nothing is wrong.
    var unreadableFrom: Int?

    init(firstSequence: UInt64, key: FrameKey, headerBytes: Int, file: (any SpoolFile)?, bytes: Int) {
        self.firstSequence = firstSequence
        self.key = key
        self.headerBytes = headerBytes
        self.file = file
        self.bytes = bytes
        publishedBytes = bytes
    }

    /// A sync of it failed: its content has to go to a fresh file.
    var needsRewrite = false
    /// Its content was no longer whole when it was copied.
    var isDamaged = false
    /// What the reader may see: with `sync: always` only what is on the disk.
    var publishedBytes: Int

    var isQuarantined: Bool { unreadableFrom != nil }
    /// Where a reader has to stop.
    var readableBytes: Int { min(publishedBytes, unreadableFrom ?? publishedBytes) }

    mutating func appended(bytes: Int, spans: Int, sequence: UInt64, time: WallTime) {
        self.bytes += bytes
        frameCount += 1
        lastSequence = sequence
        // What is left of an older frame is as old as that.
        oldestUnsettled = unsettledFrames == 0 ? time : min(oldestUnsettled ?? time, time)
        unsettledFrames += 1
        unsettledSpans += spans
        newest = max(newest ?? time, time)
        isDirty = true
    }
}

/// Where the reader stands.
struct ReadPosition {
    var segment: UInt64
    var offset: Int

    init(startOf segment: Segment) {
        self.segment = segment.firstSequence
        offset = segment.headerBytes
    }
}

/// Everything that the spool's lock guards.
struct SpoolState {
    /// The checkpoint and the lock, rounded up.
    static let overheadBytes = 8192

    /// Ascending; only the last one is written to.
    var segments: [Segment] = []
    var nextSequence: UInt64 = 1
    /// Of the frames that are written; segments from before version 2 have another one.
    let key: FrameKey
    var settled = SettledFrames(below: 1)
    var checkpoint: Checkpoint
    let checkpointFile: any SpoolFile
    var isCheckpointDirty = false
    var nextCheckpointSync = MonotonicTime(nanoseconds: 0)
    var isDirectoryDirty = true
    var isClosed = false
    /// One for each stretch, the oldest first; at least one.
    var readers = [SpoolReader(start: 0, lastRead: 0)]
    var recoveredSpans = 0
    var appendedSpans: UInt64 = 0
    var deliveredSpans: UInt64 = 0
    var dropped: [String: UInt64] = [:]
    var corruptFrames: UInt64 = 0
    private(set) var errors: UInt64 = 0
    var unreportedFailures = UnreportedFailures()
    /// Why the last append, sync or probe failed; nil since one works again.
    var lastFailure: String?
    /// A sync failed, and none has worked since: an append that works proves nothing.
    var hasFailedSync = false
    /// Why nothing is taken until it works: what the disk refused to sync, it refused once more in a fresh file.
    var refusal: SystemError?
    /// In a row.
    var failedDirectorySyncs = 0
    /// With `sync: always`, what was appended and is not yet on the disk.
    var awaitingSync: [AppendedFrame] = []
    /// Frames in flight that the disk does not give back any more: off the books, though they are not settled.
    var lostFrames: Set<UInt64> = []
    /// By segment.
    var readFailures: [UInt64: ReadFailure] = [:]
    /// For copies of segments that are being made.
    var reservedBytes = 0
    /// Of a probe that is on the disk.
    var probeBytes = 0
    /// When the next copy may be tried.
    var nextRewrite = MonotonicTime(nanoseconds: 0)

    init(_ checkpoint: Checkpoint, _ checkpointFile: any SpoolFile, settled: SettledFrames?, key: FrameKey) {
        self.checkpoint = checkpoint
        self.checkpointFile = checkpointFile
        self.key = key
        if let settled { self.settled = settled }
    }

    var bytesOnDisk: Int {
        let overhead = max(Self.overheadBytes, checkpoint.fileBytes)
        return segments.reduce(overhead + reservedBytes + probeBytes) { $0 + $1.bytes + $1.tornBytes + $1.copyBytes }
    }

    /// New frames can't be kept.
    mutating func note(_ error: SpoolError) {
        if case .io(let cause) = error {
            count(cause, keepsFramesOut: true)
            lastFailure = error.description
        }
    }

    /// The disk failed at something. Reads are told of by the reader.
    mutating func count(_ error: SystemError, keepsFramesOut: Bool = false) {
        errors += 1
        unreportedFailures.note(error, keepsFramesOut: keepsFramesOut)
    }

    mutating func countFailedRead() {
        errors += 1
    }

    /// Closes the files that nobody writes, reads or has to sync.
    mutating func closeIdleFiles(needsSync: Bool) {
        for index in segments.indices where segments[index].isSealed {
            let isRead = readers.contains { $0.position?.segment == segments[index].firstSequence }
            if !isRead && !(needsSync && segments[index].isDirty) { segments[index].file = nil }
        }
    }

    /// Marks sequences as settled and writes that down, before anything is deleted on its strength.
    mutating func settle(_ sequences: ClosedRange<UInt64>) {
        settled.insert(sequences)
        storeCheckpoint()
    }

    mutating func storeCheckpoint() {
        do throws(SystemError) {
            try checkpoint.store(settled, key: key, to: checkpointFile)
            isCheckpointDirty = true
        } catch {
            // Costs re-sending after a restart, no span.
            count(error)
        }
    }

    /// Deletes the segments in which everything is settled; the last one stays, to be written to, unless `lastToo`, and
    /// so do those in quarantine.
    mutating func deleteSettledSegments(_ fileSystem: any SpoolFileSystem, lastToo: Bool = false) {
        for segment in segments.dropLast(lastToo ? 0 : 1)
        where segment.unsettledFrames == 0 && !segment.isQuarantined {
            do throws(SystemError) {
                try delete(segment, fileSystem)
            } catch {
                count(error)
            }
        }
    }

    mutating func delete(_ segment: Segment, _ fileSystem: any SpoolFileSystem) throws(SystemError) {
        let name = SegmentHeader.fileName(firstSequence: segment.firstSequence)
        try fileSystem.delete(name)
        segments.removeAll { $0.firstSequence == segment.firstSequence }
        isDirectoryDirty = true
        readFailures[segment.firstSequence] = nil
        if !lostFrames.isEmpty {
            lostFrames = lostFrames.filter { $0 < segment.firstSequence || $0 > segment.lastSequence }
        }
        if !segment.needsRewrite { return }
        do throws(SystemError) {
            try fileSystem.delete(name + SegmentHeader.copySuffix)
        } catch {
            // The segment is gone all the same; the next start deletes what is left.
            count(error)
        }
    }
}
