package import Model
import Platform
import Synchronization

/// Payloads read in a row, to be sent as one: protobuf messages of one type concatenate to one message.
package struct SpoolBatch: Sendable {
    /// One payload of the batch.
    package struct Frame: Sendable {
        let segment: UInt64
        package let sequence: UInt64
        package let spanCount: Int
        /// When it was appended.
        package let time: WallTime
        /// Where its payload lies in the batch's bytes.
        package let range: Range<Int>
    }

    package var bytes: [UInt8] = []
    package var frames: [Frame] = []
    package var spanCount = 0

    package init() {}

    package var isEmpty: Bool { frames.isEmpty }
}

extension Spool {
    /// The next unread frames of a stretch, at least one if there is any, up to the limits. Those older than `max-age` are
    /// dropped on the way. Called by one thread only.
    package func readBatch(
        from stretch: SpoolStretch = .oldest, maxBytes: Int, maxSpans: Int
    ) throws(SpoolError) -> SpoolBatch {
        var batch = SpoolBatch()
        var chunkBytes = min(maxBytes, FrameHeader.maxPayload) + FrameHeader.count
        while batch.spanCount < maxSpans && batch.bytes.count < maxBytes {
            do throws(SystemError) {
                let next = try state.withLock { state throws(SystemError) in
                    if batch.isEmpty { state.mergeReaders() }
                    return try state.nextSource(in: stretch, fileSystem)
                }
                guard let source = next else { break }
                let wanted = min(chunkBytes, source.bytes - source.offset)
                let chunk = try source.file.read(wanted, at: source.offset)
                var taken = take(from: chunk, source, maxBytes: maxBytes, maxSpans: maxSpans, into: &batch)
                if taken == 0 {
                    if !batch.isEmpty { break }
                    // The file ends too early, or the disk can't read on: the next byte tells which.
                    if chunk.count < wanted { _ = try source.file.read(1, at: source.offset + chunk.count) }
                    // A frame larger than the chunk, or bytes that are no frame: look further, and where the segment
                    // ends without one, give its rest up.
                    if wanted == source.bytes - source.offset { taken = wanted }
                    chunkBytes = max(chunkBytes * 4, 1 << 20)
                }
                state.withLock { $0.advance(source, by: taken) }
            } catch {
                // What was read before is handed out; the next call meets the error again, or not.
                if !batch.isEmpty { break }
                let now = clock.monotonic()
                state.withLock {
                    $0.noteReadFailure(error, from: stretch, now, patience: options.readPatienceNanoseconds)
                }
                throw .io(error)
            }
        }
        let now = clock.monotonic()
        let age = batch.frames.last.map { UInt64(max(0, clock.wall().nanoseconds(since: $0.time))) }
        state.withLock {
            $0.noteRead(batch, from: stretch, age: age, now)
            $0.closeIdleFiles(needsSync: options.sync != .never)
        }
        return batch
    }

    /// Takes whole frames from the chunk; returns how many of its bytes are done with. Bytes that are no frame are
    /// stepped over once a good frame is found behind them.
    private func take(
        from chunk: [UInt8], _ source: ReadSource, maxBytes: Int, maxSpans: Int, into batch: inout SpoolBatch
    ) -> Int {
        let now = clock.wall()
        return chunk.withUnsafeBytes { bytes in
            var finder = FrameFinder(bytes, at: source.offset, segmentBytes: source.bytes, key: source.key)
            var lastRead = source.lastRead
            var expired: [SpoolBatch.Frame] = []
            while let found = finder.next() {
                let header = found.header
                if header.sequence <= lastRead || source.settled.contains(header.sequence) {
                    // A stray copy, or sent already.
                } else if isExpired(header.time, at: now) {
                    expired.append(SpoolBatch.Frame(header, segment: source.segment, range: 0..<0))
                } else {
                    let isFull =
                        batch.bytes.count + header.payloadCount > maxBytes
                        || batch.spanCount + header.spanCount > maxSpans
                    if isFull && !batch.isEmpty { break }
                    batch.append(header, bytes[found.range].dropFirst(FrameHeader.count), segment: source.segment)
                }
                state.withLock {
                    $0.noteGap(before: header.sequence, reader: $0.readerIndex(ofSegment: source.segment))
                }
                lastRead = max(lastRead, header.sequence)
                finder.take(found)
            }
            if !expired.isEmpty {
                state.withLock { state in
                    state.expire(expired, wereInFlight: false)
                    state.deleteSettledSegments(fileSystem)
                }
            }
            return finder.done
        }
    }

    /// The batch without frames that became older than `max-age` since they were read: these are dropped. To be asked
    /// before a batch is sent again.
    package func withoutExpired(_ batch: SpoolBatch) -> SpoolBatch {
        let now = clock.wall()
        let expired = batch.frames.filter { isExpired($0.time, at: now) }
        if expired.isEmpty { return batch }
        state.withLock { state in
            state.expire(expired, wereInFlight: true)
            state.deleteSettledSegments(fileSystem)
        }
        var kept = SpoolBatch()
        for frame in batch.frames where !isExpired(frame.time, at: now) { kept.append(frame, of: batch) }
        return kept
    }

    /// Whether what was received at `time` is older than `max-age`.
    package func isExpired(_ time: WallTime, at now: WallTime) -> Bool {
        options.maxAgeNanoseconds.map { now.nanoseconds(since: time) > $0 } ?? false
    }

    /// The frames were delivered, all but `dropping` of their spans, which the far side refused for good: they need not
    /// be kept. Returns how many of their spans the spool still held (an evicted segment's spans are counted as dropped
    /// already).
    @discardableResult
    package func settle(
        _ frames: some Collection<SpoolBatch.Frame>, dropping: (spans: Int, reason: String)? = nil
    ) -> Int {
        state.withLock { state in
            let held = state.settle(frames, wereInFlight: true)
            let dropped = min(max(0, dropping?.spans ?? 0), held)
            state.deliveredSpans += UInt64(held - dropped)
            if let dropping, dropped > 0 { state.dropped[dropping.reason, default: 0] += UInt64(dropped) }
            state.deleteSettledSegments(fileSystem)
            return held
        }
    }
}

extension SpoolBatch {
    /// Takes over a frame of another batch, with its payload.
    package mutating func append(_ frame: Frame, of other: SpoolBatch) {
        let start = bytes.count
        bytes += other.bytes[frame.range]
        frames.append(
            Frame(
                segment: frame.segment, sequence: frame.sequence, spanCount: frame.spanCount, time: frame.time,
                range: start..<bytes.count))
        spanCount += frame.spanCount
    }

    mutating func append(_ header: FrameHeader, _ payload: Slice<UnsafeRawBufferPointer>, segment: UInt64) {
        let start = bytes.count
        bytes += payload
        frames.append(Frame(header, segment: segment, range: start..<bytes.count))
        spanCount += header.spanCount
    }
}

extension SpoolBatch.Frame {
    fileprivate init(_ header: FrameHeader, segment: UInt64, range: Range<Int>) {
        self.init(
            segment: segment, sequence: header.sequence, spanCount: header.spanCount, time: header.time, range: range)
    }
}

/// Where the next chunk comes from.
struct ReadSource {
    let segment: UInt64
    let file: any SpoolFile
    let key: FrameKey
    let offset: Int
    /// Bytes of the segment that are written whole, and readable.
    let bytes: Int
    let settled: SettledSequences
    let lastRead: UInt64
}

extension SpoolState {
    /// Where to read next; nil when all is read. A segment from before the start is opened when its turn comes.
    mutating func nextSource(
        in stretch: SpoolStretch, _ fileSystem: any SpoolFileSystem
    ) throws(SystemError) -> ReadSource? {
        let reader = readerIndex(of: stretch)
        guard let index = nextUnread(reader), let offset = readers[reader].position?.offset else { return nil }
        let segment = segments[index]
        let file: any SpoolFile
        if let open = segment.file {
            file = open
        } else {
            file = try fileSystem.open(SegmentHeader.fileName(firstSequence: segment.firstSequence))
            segments[index].file = file
        }
        return ReadSource(
            segment: segment.firstSequence, file: file, key: segment.key, offset: offset, bytes: segment.readableBytes,
            settled: settled, lastRead: readers[reader].lastRead)
    }

    /// Marks frames as settled and takes them off the books. Returns how many spans that were.
    mutating func settle(_ frames: some Collection<SpoolBatch.Frame>, wereInFlight: Bool) -> Int {
        var run: ClosedRange<UInt64>?
        for frame in frames {
            if let current = run, frame.sequence == current.upperBound + 1 {
                run = current.lowerBound...frame.sequence
            } else {
                if let run { settle(run) }
                run = frame.sequence...frame.sequence
            }
        }
        if let run { settle(run) }
        var last = 0
        return frames.reduce(0) { $0 + release($1, wasInFlight: wereInFlight, &last) }
    }

    /// Where a segment is: `expected`, or anywhere. Frames of one segment come together.
    func segmentIndex(_ firstSequence: UInt64, from expected: Int) -> Int? {
        if segments.indices.contains(expected), segments[expected].firstSequence == firstSequence { return expected }
        return segments.firstIndex { $0.firstSequence == firstSequence }
    }

    /// Drops frames for their age.
    mutating func expire(_ frames: [SpoolBatch.Frame], wereInFlight: Bool) {
        let spans = settle(frames, wereInFlight: wereInFlight)
        dropped[SpoolDrop.expired.rawValue, default: 0] += UInt64(spans)
        if !wereInFlight, let first = frames.first {
            readers[readerIndex(ofSegment: first.segment)].note(dropped: spans)
        }
    }

    /// Takes a settled frame off its segment's books. Returns its spans, or 0 if the segment was dropped meanwhile.
    private mutating func release(_ frame: SpoolBatch.Frame, wasInFlight: Bool, _ expected: inout Int) -> Int {
        let spans = frame.spanCount - (settledParts.removeValue(forKey: frame.sequence) ?? 0)
        guard let index = segmentIndex(frame.segment, from: expected) else { return 0 }
        expected = index
        segments[index].unsettledFrames -= 1
        segments[index].unsettledSpans -= spans
        if wasInFlight {
            segments[index].inFlightFrames -= 1
            segments[index].inFlightSpans -= spans
        }
        if settled.countUnsettled(in: frame.segment...frame.sequence) == 0 {
            segments[index].oldestUnsettled = max(segments[index].oldestUnsettled ?? frame.time, frame.time)
        }
        dropResidue(ofSegmentAt: index)
        return spans
    }

    /// Once every frame of a segment is settled, the spans still on its books are those of its corrupt frames.
    mutating func dropResidue(ofSegmentAt index: Int) {
        guard segments[index].unsettledFrames <= 0, segments[index].unsettledSpans > 0 else { return }
        dropped[SpoolDrop.corrupt.rawValue, default: 0] += UInt64(segments[index].unsettledSpans)
        segments[index].unsettledSpans = 0
        segments[index].unsettledFrames = 0
    }
}
