import Glibc
import Model
import Platform
import Synchronization

// When a sync fails, the kernel marks the dirty pages as clean. A second fdatasync of the same file would report
// success over bytes that never reached the disk. A file is therefore never synced again after one failure. It is
// sealed, and its content, which is still in the page cache, is written to a fresh file. That one is synced and takes
// the old one's name:
//
//     segment-N.log  sync fails ──► segment-N.log.new written, synced ──► renamed over segment-N.log ──► directory synced
//
// All that waited for the sync goes on waiting for this. If it fails too, it is tried again, a second later at the
// earliest, for as long as the segment is not settled. The waiting senders are told that the disk did not take their
// spans. Until the copy works nothing more is accepted: new frames would only wait for a sync, too, in one more segment
// with each failure. The empty segment-N.log.new stays until then: a process that is started after a kill finds the
// same page cache and knows nothing of the failure. (docs/decisions/0009 says why this is worth it.)

/// The copies of segments whose sync failed: the time of the next copy, and the bytes that they take on disk.
struct SegmentRepair {
    private static let pause = Duration.seconds(1)

    /// The bytes of a copy that is being made.
    private var reservedBytes = 0
    /// The bytes of half copies that could not be emptied, by segment.
    private var leftovers: [UInt64: Int] = [:]
    private var nextTry = MonotonicTime(nanoseconds: 0)

    var bytesOnDisk: Int { leftovers.values.reduce(reservedBytes, +) }

    func mayTry(at now: MonotonicTime) -> Bool { now >= nextTry }

    static func name(of segment: UInt64) -> String {
        SegmentHeader.fileName(firstSequence: segment) + SegmentHeader.copySuffix
    }

    /// Makes the empty file that tells the next process of the failure.
    /// - Throws: `SystemError` where it can't be made.
    func mark(_ segment: UInt64, _ fileSystem: any SpoolFileSystem) throws(SystemError) {
        _ = try fileSystem.open(Self.name(of: segment))
    }

    /// Records that the copy's file is empty, and is written now.
    mutating func begin(_ segment: UInt64, bytes: Int) {
        leftovers[segment] = nil
        reservedBytes = bytes
    }

    mutating func end() {
        reservedBytes = 0
    }

    /// Records that the copy failed at `now`. `leftBytes` of it could not be removed.
    mutating func recordFailure(of segment: UInt64, leftBytes: Int, at now: MonotonicTime) {
        if leftBytes > 0 { leftovers[segment] = leftBytes }
        nextTry = now.advanced(by: Self.pause)
    }

    /// Deletes the copy of a segment.
    /// - Throws: `SystemError` where the file system refuses.
    mutating func delete(of segment: UInt64, _ fileSystem: any SpoolFileSystem) throws(SystemError) {
        leftovers[segment] = nil
        try fileSystem.delete(Self.name(of: segment))
    }
}

extension Spool {
    private static let copyBytes = 1 << 20

    /// Copies the segments whose syncs failed. Returns true if there were some and all are copied.
    func repairSegments() -> Bool {
        let now = clock.monotonic()
        let failed = withState { state in
            state.repair.mayTry(at: now) ? state.segments.filter { $0.phase == .awaitingCopy } : []
        }
        for segment in failed where !repair(segment, at: now) { return false }
        return !failed.isEmpty
    }

    private func repair(_ segment: Segment, at now: MonotonicTime) -> Bool {
        // The reader puts a segment that can't be read back into quarantine; other files can be written all the while.
        var isReading = true
        var leftBytes = 0
        do throws(SystemError) {
            let isCopied = try copy(segment, isReading: &isReading)
            withState { state in
                state.repair.end()
                if !isCopied { state.repair.recordFailure(of: segment.firstSequence, leftBytes: 0, at: now) }
            }
            return isCopied
        } catch {
            // An empty file takes no space.
            do throws(SystemError) {
                try fileSystem.open(SegmentRepair.name(of: segment.firstSequence)).truncate(to: 0)
            } catch {
                leftBytes = segment.bytes
            }
            let (bytes, isOfTheDisk) = (leftBytes, !isReading)
            withState { state in
                state.repair.end()
                state.repair.recordFailure(of: segment.firstSequence, leftBytes: bytes, at: now)
                state.disk.recordFailedCopy(error, isOfTheDisk: isOfTheDisk)
            }
            return false
        }
    }

    /// Makes one copy. Returns false where the space for it is missing, and true also where the segment was deleted
    /// meanwhile.
    private func copy(_ segment: Segment, isReading: inout Bool) throws(SystemError) -> Bool {
        let original = try withState { state throws(SystemError) in
            try state.opened(segment.firstSequence, fileSystem)?.file
        }
        guard let original else { return true }
        isReading = false
        let copy = try fileSystem.open(SegmentRepair.name(of: segment.firstSequence))
        try copy.truncate(to: 0)
        // Both are on the disk for a while, so the copy has to fit within the bound.
        let maxBytes = options.maxBytes
        let fits = withState { state in
            state.repair.begin(segment.firstSequence, bytes: 0)
            let fits = state.bytesOnDisk + segment.bytes <= maxBytes
            if fits { state.repair.begin(segment.firstSequence, bytes: segment.bytes) }
            return fits
        }
        if !fits { return false }
        var offset = 0
        while offset < segment.bytes {
            isReading = true
            let chunk = try original.read(min(Self.copyBytes, segment.bytes - offset), at: offset)
            if chunk.isEmpty {
                let name = SegmentHeader.fileName(firstSequence: segment.firstSequence)
                throw SystemError("copying", path: name, code: EIO)
            }
            isReading = false
            try copy.write(chunk, at: offset)
            offset += chunk.count
        }
        var scan = SegmentScan(segment: segment, after: 0)
        var budget = ScanBudget(maxBytes: maxBytes)
        try scan.read(copy, count: segment.bytes, settled: SettledFrames(below: 0), budget: &budget)
        try copy.sync()
        let isIntact = scan.goodEnd == segment.bytes && scan.gaps.isEmpty
        try withState { state throws(SystemError) in
            try state.replace(segment, by: copy, isIntact: isIntact, fileSystem)
        }
        return true
    }
}

extension SpoolState {
    /// Records that a sync of the segment failed. What was appended while it ran goes to the copy with all else.
    mutating func recordFailedSync(of segment: UInt64, _ error: SystemError, _ fileSystem: any SpoolFileSystem) {
        disk.recordFailedSync(error)
        guard let index = segments.index(of: segment) else { return }
        segments[index].isDirty = false
        // In quarantine its content can't be copied.
        if segments[index].isQuarantined { return }
        segments[index].phase = .awaitingCopy
        do throws(SystemError) {
            try repair.mark(segment, fileSystem)
        } catch {
            disk.record(error)
        }
    }

    /// Gives the copy, which is on the disk, the segment's name, unless the segment was deleted meanwhile.
    fileprivate mutating func replace(
        _ original: Segment, by copy: any SpoolFile, isIntact: Bool, _ fileSystem: any SpoolFileSystem
    ) throws(SystemError) {
        let segment = original.firstSequence
        // A segment without frames may have given way to a new one of the same name meanwhile, which has other bytes.
        guard let index = segments.index(of: segment), segments[index].isSealed, segments[index].key == original.key,
            segments[index].bytes == original.bytes
        else { return try repair.delete(of: segment, fileSystem) }
        try fileSystem.rename(SegmentRepair.name(of: segment), to: SegmentHeader.fileName(firstSequence: segment))
        disk.recordNames()
        segments[index].file = copy
        segments[index].isDirty = false
        segments[index].tornBytes = 0
        if segments[index].phase == .awaitingCopy { segments[index].phase = isIntact ? .sealed : .damaged }
    }
}
