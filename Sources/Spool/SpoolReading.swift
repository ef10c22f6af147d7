package import Model
import Platform
import Synchronization

extension Spool {
    /// The next unread frames of a stretch, at least one if there is any, up to the limits. Those older than `max-age` are
    /// dropped on the way. Called by one thread only.
    package func readBatch(
        from stretch: SpoolStretch = .oldest, maxBytes: Int, maxSpans: Int
    ) throws(SpoolError) -> SpoolBatch {
        var batch = SpoolBatch()
        var chunkBytes = min(maxBytes, FrameHeader.maxPayload) + FrameHeader.count
        while batch.spanCount < maxSpans && batch.bytes.count < maxBytes && batch.unsentSpans == nil {
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
                state.withLock { state in
                    state.noteReadFailure(error, from: stretch, now, patience: options.readPatienceNanoseconds)
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
        var passed: [UInt64] = []
        var expired: [SpoolFrame] = []
        let done = chunk.withUnsafeBytes { bytes in
            var finder = FrameFinder(bytes, at: source.offset, segmentBytes: source.bytes, key: source.key)
            var lastRead = source.lastRead
            while batch.unsentSpans == nil, let found = finder.next() {
                let header = found.header
                let frame = SpoolFrame(
                    header, segment: source.segment, offset: source.offset + found.range.lowerBound)
                if header.sequence <= lastRead || source.settled.contains(header.sequence) {
                    // A stray copy, or sent already.
                } else if isExpired(header.time, at: now) {
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
            return finder.done
        }
        state.withLock { state in
            let reader = state.readerIndex(ofSegment: source.segment)
            for sequence in passed { state.noteGap(before: sequence, reader: reader) }
            if expired.isEmpty { return }
            state.expire(expired, wereInFlight: false)
            state.deleteSettledSegments(fileSystem)
        }
        return done
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
        _ frames: some Collection<SpoolFrame>, dropping: (spans: Int, reason: String)? = nil
    ) -> Int {
        state.withLock { state in
            defer { state.deleteSettledSegments(fileSystem) }
            return state.count(settled: state.settle(frames, wereInFlight: true), dropping: dropping)
        }
    }

    /// Some spans of a frame were delivered, all but `dropping` of them. The frame is settled with the last of its spans.
    @discardableResult
    package func settle(
        _ spans: Range<Int>, of frame: SpoolFrame, dropping: (spans: Int, reason: String)? = nil
    ) -> Int {
        state.withLock { state in
            defer { state.deleteSettledSegments(fileSystem) }
            return state.count(settled: state.settle(spans: spans, of: frame), dropping: dropping)
        }
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
    let settled: SettledFrames
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
    mutating func settle(_ frames: some Collection<SpoolFrame>, wereInFlight: Bool) -> Int {
        var last = 0
        let spans = frames.reduce(0) { $0 + release($1, wasInFlight: wereInFlight, &last) }
        var run: ClosedRange<UInt64>?
        for frame in frames {
            if let current = run, frame.sequence == current.upperBound + 1 {
                run = current.lowerBound...frame.sequence
            } else {
                if let run { settled.insert(run) }
                run = frame.sequence...frame.sequence
            }
        }
        if let run { settle(run) }
        last = 0
        for frame in frames { moveOldest(frame, &last) }
        return spans
    }

    /// Marks spans of a frame in flight as settled and takes them off the books. Returns how many that were.
    mutating func settle(spans range: Range<Int>, of frame: SpoolFrame) -> Int {
        guard !range.isEmpty, let index = segmentIndex(frame.segment, from: 0), !settled.contains(frame.sequence) else {
            return 0
        }
        let before = settled.unsettledSpans(of: frame.sequence, count: frame.spanCount)
        let isLast = settled.insert(
            spans: UInt64(range.lowerBound)...UInt64(range.upperBound - 1), of: frame.sequence, count: frame.spanCount)
        storeCheckpoint()
        if lostFrames.contains(frame.sequence) { return 0 }
        let left = isLast ? 0 : settled.unsettledSpans(of: frame.sequence, count: frame.spanCount)
        segments[index].unsettledSpans -= before - left
        segments[index].inFlightSpans -= before - left
        if isLast {
            var last = index
            segments[index].unsettledFrames -= 1
            segments[index].inFlightFrames -= 1
            moveOldest(frame, &last)
        }
        return before - left
    }

    /// Counts spans that were just settled. Returns how many.
    fileprivate mutating func count(settled spans: Int, dropping: (spans: Int, reason: String)?) -> Int {
        let dropped = min(max(0, dropping?.spans ?? 0), spans)
        deliveredSpans += UInt64(spans - dropped)
        if let dropping, dropped > 0 { self.dropped[dropping.reason, default: 0] += UInt64(dropped) }
        return spans
    }

    /// Where a segment is: `expected`, or anywhere. Frames of one segment come together.
    func segmentIndex(_ firstSequence: UInt64, from expected: Int) -> Int? {
        if segments.indices.contains(expected), segments[expected].firstSequence == firstSequence { return expected }
        return segments.firstIndex { $0.firstSequence == firstSequence }
    }

    /// Drops frames for their age.
    mutating func expire(_ frames: [SpoolFrame], wereInFlight: Bool) {
        let spans = settle(frames, wereInFlight: wereInFlight)
        dropped[SpoolDrop.expired.rawValue, default: 0] += UInt64(spans)
        if !wereInFlight, let first = frames.first {
            readers[readerIndex(ofSegment: first.segment)].note(dropped: spans)
        }
    }

    /// Takes a frame off its segment's books that is settled next. Returns its spans, or 0 if it is off already.
    private mutating func release(_ frame: SpoolFrame, wasInFlight: Bool, _ expected: inout Int) -> Int {
        guard let index = segmentIndex(frame.segment, from: expected), !settled.contains(frame.sequence),
            !lostFrames.contains(frame.sequence)
        else { return 0 }
        expected = index
        let spans = settled.unsettledSpans(of: frame.sequence, count: frame.spanCount)
        segments[index].unsettledFrames -= 1
        segments[index].unsettledSpans -= spans
        if wasInFlight {
            segments[index].inFlightFrames -= 1
            segments[index].inFlightSpans -= spans
        }
        return spans
    }

    /// A frame was settled: if all before it in its segment are, none that is left is older.
    private mutating func moveOldest(_ frame: SpoolFrame, _ expected: inout Int) {
        guard let index = segmentIndex(frame.segment, from: expected) else { return }
        expected = index
        if settled.sequences.countUnsettled(in: frame.segment...frame.sequence) == 0 {
            segments[index].oldestUnsettled = max(segments[index].oldestUnsettled ?? frame.time, frame.time)
        }
        dropResidue(ofSegmentAt: index)
    }

    /// Once every frame of a segment is settled, the spans still on its books are those of its corrupt frames.
    mutating func dropResidue(ofSegmentAt index: Int) {
        guard segments[index].unsettledFrames <= 0, segments[index].unsettledSpans > 0 else { return }
        dropped[SpoolDrop.corrupt.rawValue, default: 0] += UInt64(segments[index].unsettledSpans)
        segments[index].unsettledSpans = 0
        segments[index].unsettledFrames = 0
    }
}
