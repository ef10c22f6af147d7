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

/// What waits to be read.
package struct SpoolUnread: Sendable {
    package let spans: Int
    package let bytes: Int
    package let since: MonotonicTime?
}

extension Spool {
    package var unread: SpoolUnread {
        state.withLock { SpoolUnread(spans: $0.unreadSpans, bytes: $0.unreadBytes, since: $0.unreadSince) }
    }

    /// The next unread frames, at least one if there is any, up to the limits. Those older than `max-age` are dropped on
    /// the way. Called by one thread only.
    package func readBatch(maxBytes: Int, maxSpans: Int) throws(SpoolError) -> SpoolBatch {
        var batch = SpoolBatch()
        var chunkBytes = min(maxBytes, FrameHeader.maxPayload) + FrameHeader.count
        while batch.spanCount < maxSpans && batch.bytes.count < maxBytes {
            do throws(SystemError) {
                let next = try state.withLock { state throws(SystemError) in try state.nextSource(fileSystem) }
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
                state.withLock { $0.noteReadFailure(error, now, patience: options.readPatienceNanoseconds) }
                throw .io(error)
            }
        }
        let now = clock.monotonic()
        state.withLock {
            $0.noteRead(batch, now)
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
                    let isFull = batch.bytes.count + header.payloadCount > maxBytes
                        || batch.spanCount + header.spanCount > maxSpans
                    if isFull && !batch.isEmpty { break }
                    batch.append(header, bytes[found.range].dropFirst(FrameHeader.count), segment: source.segment)
                }
                state.withLock { $0.noteGap(before: header.sequence) }
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

    private func isExpired(_ time: WallTime, at now: WallTime) -> Bool {
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
    mutating func nextSource(_ fileSystem: any SpoolFileSystem) throws(SystemError) -> ReadSource? {
        guard let index = nextUnread(), let offset = position?.offset else { return nil }
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
            settled: settled, lastRead: lastRead)
    }

    /// The segment at which the reader stands, stepping to the next one as one ends; nil when all is read.
    mutating func nextUnread() -> Int? {
        if let current = position, !segments.contains(where: { $0.firstSequence == current.segment }) {
            // The segment under the reader was dropped: on with the first one behind it.
            position = segments.first { $0.firstSequence > current.segment }.map(ReadPosition.init(startOf:))
        }
        if position == nil, let first = segments.first(where: { $0.firstSequence > lastRead || $0.frameCount == 0 }) {
            position = ReadPosition(startOf: first)
        }
        while let current = position,
            let index = segments.firstIndex(where: { $0.firstSequence == current.segment })
        {
            let segment = segments[index]
            if current.offset < segment.readableBytes { return index }
            if segment.publishedBytes < segment.bytes && !segment.isQuarantined { return nil }
            guard index + 1 < segments.count else { return nil }
            // Its sequences are no gap: they may yet be read, after the next start.
            if segment.isQuarantined { lastRead = max(lastRead, segment.lastSequence) }
            position = ReadPosition(startOf: segments[index + 1])
        }
        return nil
    }

    mutating func advance(_ source: ReadSource, by count: Int) {
        if position?.segment == source.segment { position?.offset = source.offset + count }
        if count > 0 { readFailure = nil }
    }

    /// A few times in a row, a pause of the forwarder apart; then the segment goes into quarantine.
    static let maxReadTries = 5

    /// The segment under the reader could not be opened or read.
    mutating func noteReadFailure(_ error: SystemError, _ now: MonotonicTime, patience: UInt64) {
        errors += 1
        guard let position, error.isOfTheMedium else { return }
        let before = readFailure?.segment == position.segment ? readFailure : nil
        let failure = (segment: position.segment, tries: (before?.tries ?? 0) + 1, since: before?.since ?? now)
        readFailure = failure
        guard failure.tries >= Self.maxReadTries, now.nanoseconds(since: failure.since) >= patience,
            let index = segments.firstIndex(where: { $0.firstSequence == position.segment })
        else { return }
        quarantine(index, from: position.offset)
        readFailure = nil
        noteRead(SpoolBatch(), now)
    }

    /// Counts what stands behind `offset` as dropped, so that the reader goes on behind the segment. The file stays, and
    /// its frames stay unsettled: if the next start can read them, they are sent then.
    private mutating func quarantine(_ index: Int, from offset: Int) {
        let lost = segments[index].unsettledSpans - segments[index].inFlightSpans
        dropped[SpoolDrop.unreadable.rawValue, default: 0] += UInt64(lost)
        unreadSpans = max(0, unreadSpans - lost)
        segments[index].unsettledSpans = segments[index].inFlightSpans
        segments[index].unsettledFrames = segments[index].inFlightFrames
        segments[index].unreadableFrom = offset
        segments[index].isSealed = true
        segments[index].needsRewrite = false
    }

    /// A good frame was read. Sequences between the one before it and this one are gone: counted, and settled so that
    /// nothing waits for them.
    mutating func noteGap(before sequence: UInt64) {
        defer { lastRead = max(lastRead, sequence) }
        guard sequence > lastRead + 1 else { return }
        let gap = lastRead + 1...sequence - 1
        let lost = settled.countUnsettled(in: gap)
        if lost == 0 { return }
        corruptFrames += lost
        for index in segments.indices where segments[index].frameCount > 0 {
            let segment = segments[index]
            guard segment.lastSequence >= gap.lowerBound, segment.firstSequence <= gap.upperBound else { continue }
            let overlap = gap.clamped(to: segment.firstSequence...segment.lastSequence)
            segments[index].unsettledFrames -= Int(settled.countUnsettled(in: overlap))
            dropResidue(ofSegmentAt: index)
        }
        settle(gap)
    }

    mutating func noteRead(_ batch: SpoolBatch, _ now: MonotonicTime) {
        for frame in batch.frames {
            guard let index = segments.firstIndex(where: { $0.firstSequence == frame.segment }) else { continue }
            segments[index].inFlightFrames += 1
            segments[index].inFlightSpans += frame.spanCount
        }
        let isAllRead = nextUnread() == nil
        unreadSpans = isAllRead ? 0 : max(0, unreadSpans - batch.spanCount)
        unreadBytes = isAllRead ? 0 : max(0, unreadBytes - batch.bytes.count)
        unreadSince = isAllRead ? nil : now
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
        return frames.reduce(0) { $0 + release($1, wasInFlight: wereInFlight) }
    }

    /// Drops frames for their age.
    mutating func expire(_ frames: [SpoolBatch.Frame], wereInFlight: Bool) {
        let spans = settle(frames, wereInFlight: wereInFlight)
        dropped[SpoolDrop.expired.rawValue, default: 0] += UInt64(spans)
        if !wereInFlight { unreadSpans = max(0, unreadSpans - spans) }
    }

    /// Takes a settled frame off its segment's books. Returns its spans, or 0 if the segment was dropped meanwhile.
    private mutating func release(_ frame: SpoolBatch.Frame, wasInFlight: Bool) -> Int {
        guard let index = segments.firstIndex(where: { $0.firstSequence == frame.segment }) else { return 0 }
        segments[index].unsettledFrames -= 1
        segments[index].unsettledSpans -= frame.spanCount
        if wasInFlight {
            segments[index].inFlightFrames -= 1
            segments[index].inFlightSpans -= frame.spanCount
        }
        if settled.countUnsettled(in: frame.segment...frame.sequence) == 0 {
            segments[index].oldestUnsettled = max(segments[index].oldestUnsettled ?? frame.time, frame.time)
        }
        dropResidue(ofSegmentAt: index)
        return frame.spanCount
    }

    /// Once every frame of a segment is settled, the spans still on its books are those of its corrupt frames.
    mutating func dropResidue(ofSegmentAt index: Int) {
        guard segments[index].unsettledFrames <= 0, segments[index].unsettledSpans > 0 else { return }
        dropped[SpoolDrop.corrupt.rawValue, default: 0] += UInt64(segments[index].unsettledSpans)
        segments[index].unsettledSpans = 0
        segments[index].unsettledFrames = 0
    }
}
