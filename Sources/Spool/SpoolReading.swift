import Model
import Platform
import Synchronization

extension Spool {
    /// Returns the next unread frames of a section, at least one if any is left, up to the limits. Frames older than
    /// `max-age` are dropped on the way. Only one thread calls it.
    ///
    /// - Throws: `.io` where the disk fails. Nothing is lost then; it may be tried again after a pause. After some
    ///   tries the segment goes into quarantine, and the next call reads behind it.
    package func readBatch(
        from section: SpoolSection = .oldest, maxBytes: Int, maxSpans: Int
    ) throws(SpoolError) -> SpoolBatch {
        let options = options
        var batch = SpoolBatch()
        var chunkBytes = min(maxBytes, FrameHeader.maxPayload) + FrameHeader.count
        while batch.spanCount < maxSpans && batch.bytes.count < maxBytes && batch.unsentSpans == nil {
            do throws(SystemError) {
                let next = try withState { state throws(SystemError) in
                    if batch.isEmpty { state.mergeReaders() }
                    return try state.nextSource(in: section, fileSystem)
                }
                guard let source = next else { break }
                let ages = SpoolAges(maxAge: options.maxAge, now: ClockReading(clock))
                let wanted = min(chunkBytes, source.bytes - source.offset)
                let chunk = try source.file.read(wanted, at: source.offset)
                batch.reserve(chunk.count)
                let progress = take(from: chunk, source, ages, maxBytes: maxBytes, maxSpans: maxSpans, into: &batch)
                var taken = progress.taken
                if taken == 0 {
                    if !batch.isEmpty { break }
                    // Either the file ends too early, or the disk can't read on: the next byte tells which.
                    if chunk.count < wanted { _ = try source.file.read(1, at: source.offset + chunk.count) }
                    // A frame larger than the chunk, or bytes that are not a frame, need a longer look. If the segment
                    // ends without a frame, its rest is dropped.
                    let rest = source.bytes - source.offset
                    taken = wanted == rest || chunk.count < wanted ? rest : progress.passed
                    chunkBytes = max(chunkBytes, progress.wanted, 1 << 20)
                }
                state.withLock { $0.readers.advance(source, by: taken) }
            } catch {
                // The batch so far is handed out; the next call meets the error again, or not.
                if !batch.isEmpty { break }
                let now = clock.monotonic()
                withState { state in
                    state.recordReadFailure(error, from: section, now, patience: options.readPatience)
                }
                throw .io(error)
            }
        }
        let ages = ages
        withState { state in
            let age = batch.frames.last.map { max(.zero, state.age(of: $0, ages)) }
            state.recordRead(batch, from: section, age: age, ages.now.monotonic)
            state.closeIdleFiles(needsSync: options.sync != .never)
        }
        return batch
    }

    /// The progress that a chunk brought.
    private struct Progress {
        /// The bytes of the chunk up to the end of the last frame that was taken.
        let taken: Int
        /// The bytes of a chunk without a frame, up to what might be one.
        let passed: Int
        /// The length of what might be one.
        let wanted: Int
    }

    /// Takes whole frames from the chunk, and steps over all other bytes.
    private func take(
        from chunk: [UInt8], _ source: ReadSource, _ ages: SpoolAges, maxBytes: Int, maxSpans: Int,
        into batch: inout SpoolBatch
    ) -> Progress {
        var passed: [UInt64] = []
        var expired: [SpoolFrame] = []
        let progress = chunk.withUnsafeBytes { bytes in
            var finder = FrameFinder(
                bytes, at: source.offset, segmentBytes: source.bytes, firstSequence: source.segment, key: source.key)
            var lastRead = source.lastRead
            while batch.unsentSpans == nil, let found = finder.next() {
                let header = found.header
                let frame = SpoolFrame(
                    header, segment: source.segment, offset: source.offset + found.range.lowerBound)
                if header.sequence <= lastRead || source.settled.contains(header.sequence) {
                    // The frame is a stray copy, or was sent already.
                } else if ages.isExpired(header.time, clockOffset: source.clockOffset) {
                    expired.append(frame)
                } else {
                    let left = source.settled.unsettledRanges(of: header.sequence, count: header.spanCount)
                    let isFull =
                        batch.bytes.count + header.payloadCount > maxBytes
                        || batch.spanCount + header.spanCount > maxSpans || left != nil
                    if isFull && !batch.isEmpty { break }
                    batch.append(
                        frame, UnsafeRawBufferPointer(rebasing: bytes[found.range].dropFirst(FrameHeader.count)))
                    if let left {
                        batch.unsentSpans = left
                        batch.spanCount = left.reduce(0) { $0 + $1.count }
                    }
                }
                passed.append(header.sequence)
                lastRead = max(lastRead, header.sequence)
                finder.take(found)
            }
            return Progress(
                taken: finder.done, passed: finder.cut?.lowerBound ?? finder.offset, wanted: finder.cut?.count ?? 0)
        }
        withState { state in
            let reader = state.readers.index(ofSegment: source.segment)
            for sequence in passed { state.step(reader, to: sequence) }
            if expired.isEmpty { return }
            state.expire(expired, wereInFlight: false)
            state.deleteSettledSegments(fileSystem)
        }
        return progress
    }
}

/// The place from which the next chunk is read.
struct ReadSource {
    let segment: UInt64
    let file: any SpoolFile
    let key: FrameKey
    let offset: Int
    /// The bytes of the segment that are written whole, and readable.
    let bytes: Int
    let settled: SettledFrames
    let lastRead: UInt64
    let clockOffset: Int64?
}

extension SpoolState {
    /// Returns the place to read next; nil when all is read. A segment from before the start is opened when its turn
    /// comes.
    ///
    /// - Throws: `SystemError` if the segment can't be opened; it stays the next to read.
    mutating func nextSource(
        in section: SpoolSection, _ fileSystem: any SpoolFileSystem
    ) throws(SystemError) -> ReadSource? {
        let reader = readers.index(of: section)
        guard let index = nextUnread(reader), let offset = readers[reader].position?.offset,
            let file = try opened(segments[index].firstSequence, fileSystem)?.file
        else { return nil }
        segments[index].file = file
        let segment = segments[index]
        return ReadSource(
            segment: segment.firstSequence, file: file, key: segment.key, offset: offset, bytes: segment.readableBytes,
            settled: ledger.settled, lastRead: readers[reader].lastRead, clockOffset: segment.clockOffset)
    }

    func age(of frame: SpoolFrame, _ ages: SpoolAges) -> Duration {
        ages.age(of: frame.time, clockOffset: clockOffset(of: frame))
    }

    func clockOffset(of frame: SpoolFrame) -> Int64? {
        segments.index(of: frame.segment).flatMap { segments[$0].clockOffset }
    }
}
