import Glibc
import Model
import Platform
import Synchronization

/// A frame that was appended, until it may be read.
struct AppendedFrame {
    let segment: UInt64
    let sequence: UInt64
    let spanCount: Int
    let payloadBytes: Int
    /// The end of the segment with this frame.
    let end: Int
    let whenDurable: (@Sendable (Bool) -> Void)?
}

/// Gives frames their sequences, and knows which of them wait for a sync.
struct SpoolWriter {
    private(set) var nextSequence: UInt64
    /// The key of the frames that are written; segments from before version 2 have another one.
    let key: FrameKey
    /// The frames that were appended with `sync: always` and are not yet on the disk.
    private var awaitingSync: [AppendedFrame] = []
    private(set) var isClosed = false

    init(nextSequence: UInt64, key: FrameKey) {
        self.nextSequence = nextSequence
        self.key = key
    }

    /// Uses up a sequence that is given away, or stands in a file.
    mutating func pass(_ sequence: UInt64) {
        nextSequence = max(nextSequence, sequence + 1)
    }

    /// Adds a frame that waits for a sync. Returns true if it is the first: then the thread that syncs has to be woken.
    mutating func awaitSync(_ frame: AppendedFrame) -> Bool {
        awaitingSync.append(frame)
        return awaitingSync.count == 1
    }

    mutating func takeAwaitingSync() -> [AppendedFrame] {
        defer { awaitingSync = [] }
        return awaitingSync
    }

    mutating func close() {
        isClosed = true
    }
}

extension Spool {
    /// Appends one payload of `spanCount` spans. When this returns, the frame is in the file. With `sync: always` it is
    /// read only once it is on the disk. The caller acknowledges only after `whenDurable` was called with true; after a
    /// false, the spool does not have it.
    ///
    /// - Parameter confirm: Is called once the frame is written, while the spool's books are held. If it returns false,
    ///   the frame has come too late for its sender, and is removed again.
    /// - Throws: `SpoolError` with the reason why it was not appended. Nothing of it is kept then.
    package func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, whenDurable: (@Sendable (Bool) -> Void)? = nil,
        confirm: () -> Bool = { true }
    ) throws(SpoolError) {
        let now = ClockReading(clock)
        let options = options
        let isFirstToWait = try withState { state throws(SpoolError) in
            if state.writer.isClosed { throw .closed }
            if state.writer.nextSequence >= FrameHeader.maxSequence { throw .sequencesUsedUp }
            if let refusal = state.disk.health.refusal { throw .io(refusal) }
            let frameBytes = FrameHeader.count + payload.count
            do throws(SpoolError) {
                try state.makeSpace(for: frameBytes, options, fileSystem)
                state.sealIfChanged(at: now)
                try state.openSegment(for: frameBytes, at: now, options, fileSystem)
                try state.write(payload, spanCount: spanCount, at: now.wall, confirm: confirm)
            } catch {
                if case .io(let cause) = error { state.disk.recordFailedAppend(cause) }
                throw error
            }
            state.disk.recordAppend()
            state.ledger.recordAppended(spanCount)
            let frame = state.lastFrame(spanCount: spanCount, payloadBytes: payload.count, whenDurable)
            if options.sync == .always { return state.writer.awaitSync(frame) }
            state.publish([frame], at: now.monotonic)
            return false
        }
        // The others are synced with it: the thread has been woken, and has not run yet.
        if isFirstToWait { waker.wake() }
    }
}

extension SpoolState {
    fileprivate mutating func makeSpace(
        for frameBytes: Int, _ options: SpoolOptions, _ fileSystem: any SpoolFileSystem
    ) throws(SpoolError) {
        let needed = frameBytes + SegmentHeader.count
        // A reader takes a longer length for corruption.
        let capacity = min(options.maxBytes, FrameHeader.maxPayload)
        if needed + Self.overheadBytes > capacity { throw .frameTooLarge(bytes: frameBytes, capacity: capacity) }
        // The last segment is kept to be written to, unless space is short and everything in it is settled.
        if bytesOnDisk + needed > options.maxBytes { deleteSettledSegments(fileSystem, lastToo: true) }
        while bytesOnDisk + needed > options.maxBytes {
            // A segment that can't be read has been counted, and only waits for the next start.
            let quarantined = segments.first { $0.isQuarantined && $0.unsettled.frames == 0 }
            let oldest = options.whenFull == .dropOldest ? segments.first : nil
            guard let victim = quarantined ?? oldest else { throw .full(capacity: options.maxBytes) }
            do throws(SystemError) {
                try drop(victim, reason: .evicted, fileSystem)
            } catch {
                throw .io(error)
            }
        }
    }

    /// Ends the segment that is written to, if its file differs from what was written, or the wall clock was set. (All
    /// frames of a segment have their times by the same clock.)
    fileprivate mutating func sealIfChanged(at now: ClockReading) {
        guard let active = segments.last, !active.isSealed, let file = active.file else { return }
        if let offset = active.clockOffset, now.hasStepped(from: offset) { segments[segments.count - 1].seal() }
        do throws(SystemError) {
            if try file.count == active.bytes { return }
            let name = SegmentHeader.fileName(firstSequence: active.firstSequence)
            disk.record(SystemError("finding what was written to", path: name, code: ENODATA))
        } catch {
            disk.record(error)
        }
        segments[segments.count - 1].seal()
    }

    fileprivate mutating func openSegment(
        for frameBytes: Int, at now: ClockReading, _ options: SpoolOptions, _ fileSystem: any SpoolFileSystem
    ) throws(SpoolError) {
        if let active = segments.last, !active.isSealed {
            if active.sequences == nil || active.bytes + frameBytes <= options.segmentBytes { return }
            segments[segments.count - 1].seal()
        }
        // A sealed segment without a frame has the very name that the new one gets.
        if let last = segments.last, last.firstSequence == writer.nextSequence {
            segments.removeLast()
            // The files that its failed sync left would pass for the new one's.
            if last.phase == .awaitingCopy { deleteCopy(of: last.firstSequence, fileSystem) }
        }
        closeIdleFiles(needsSync: options.sync != .never)
        do throws(SystemError) {
            segments.append(try newSegment(at: now, fileSystem))
        } catch {
            throw .io(error)
        }
        disk.recordNames()
        deleteSettledSegments(fileSystem)
    }

    private mutating func deleteCopy(of segment: UInt64, _ fileSystem: any SpoolFileSystem) {
        do throws(SystemError) {
            try repair.delete(of: segment, fileSystem)
        } catch {
            disk.record(error)
        }
    }

    private func newSegment(at now: ClockReading, _ fileSystem: any SpoolFileSystem) throws(SystemError) -> Segment {
        let sequence = writer.nextSequence
        let name = SegmentHeader.fileName(firstSequence: sequence)
        let file = try fileSystem.open(name)
        do throws(SystemError) {
            try file.truncate(to: 0)
            try file.write(SegmentHeader.encode(firstSequence: sequence, createdAt: now.wall, key: writer.key), at: 0)
        } catch {
            try fileSystem.delete(name)
            throw error
        }
        return Segment(
            firstSequence: sequence, key: writer.key, headerBytes: SegmentHeader.count, file: file,
            bytes: SegmentHeader.count, clockOffset: now.offset)
    }

    fileprivate mutating func write(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, at time: WallTime, confirm: () -> Bool
    ) throws(SpoolError) {
        let index = segments.count - 1
        let sequence = writer.nextSequence
        let header = FrameHeader.encode(
            sequence: sequence, time: time, spanCount: spanCount, payload: payload, key: writer.key)
        let frameBytes = header.count + payload.count
        guard let file = segments[index].file else { preconditionFailure("the segment that is written to is open") }
        do throws(SystemError) {
            try header.withUnsafeBufferPointer { head throws(SystemError) in
                try file.append(UnsafeRawBufferPointer(head), payload, at: segments[index].bytes)
            }
            if !confirm() {
                let name = SegmentHeader.fileName(firstSequence: segments[index].firstSequence)
                throw SystemError("appending before the sender was refused", path: name, code: ETIMEDOUT)
            }
        } catch {
            // Half a frame may stand there now, or one that comes too late. Without it the next frame begins where this
            // one did. If even the truncation fails, nothing more is written behind it, and its sequence, which may
            // stand there whole, is not given to another frame.
            do {
                try file.truncate(to: segments[index].bytes)
            } catch {
                segments[index].seal()
                segments[index].tornBytes = frameBytes
                settle(sequence...sequence)
                writer.pass(sequence)
            }
            throw .io(error)
        }
        segments[index].recordAppend(bytes: frameBytes, spans: spanCount, sequence: sequence, time: time)
        writer.pass(sequence)
    }

    fileprivate func lastFrame(
        spanCount: Int, payloadBytes: Int, _ whenDurable: (@Sendable (Bool) -> Void)?
    ) -> AppendedFrame {
        let segment = segments[segments.count - 1]
        return AppendedFrame(
            segment: segment.firstSequence, sequence: writer.nextSequence - 1, spanCount: spanCount,
            payloadBytes: payloadBytes, end: segment.bytes, whenDurable: whenDurable)
    }

    // MARK: From the writer to the readers

    /// Shows the frames to the reader.
    mutating func publish(_ frames: [AppendedFrame], at now: MonotonicTime) {
        for frame in frames where show(frame) { readers.recordAppend(frame, at: now) }
    }

    /// Takes back frames that were never read. Their sender was told that the disk did not take them, and sends them
    /// again.
    mutating func withdraw(_ frames: [AppendedFrame], at now: MonotonicTime) {
        for frame in frames {
            let isHeld = show(frame)
            readers.recordWithdrawal(frame, at: now)
            settle(frame.sequence...frame.sequence)
            // Frames of a segment in quarantine were counted as unreadable with it.
            guard isHeld, let index = segments.index(of: frame.segment), !segments[index].isQuarantined else {
                continue
            }
            segments[index].release(FrameCount(frames: 1, spans: frame.spanCount), wereInFlight: false)
            ledger.recordDropped(frame.spanCount, .unsynced)
            ledger.recordDropped(segments[index].takeCorruptSpans(), .corrupt)
        }
    }

    /// Shows a frame. Returns false where its segment was dropped meanwhile.
    private mutating func show(_ frame: AppendedFrame) -> Bool {
        guard let index = segments.index(of: frame.segment) else { return false }
        segments[index].publishedBytes = max(segments[index].publishedBytes, frame.end)
        return true
    }
}
