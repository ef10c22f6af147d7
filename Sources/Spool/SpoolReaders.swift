package import Model
import Platform
import Synchronization

// While what waits is young, one reader reads it all, in order. Where old spans wait, what arrives goes to a new file and is
// read from there by a reader of its own: the spool's unread part consists of stretches then.
//
//     segments   [ settled  unread ][ unread ][ unread ]  [ settled  unread ][ unread, written to ]
//     readers              ↑ oldest ··················►|            ↑ newest ··················►
//                                                      start of the next stretch
//
// A stretch begins with a segment, so that no file has two readers, and each reader has its own last sequence, so that what
// another one is to read is no gap. Where the oldest reader reaches the start of the next stretch, that one's reader, which
// stands where it has got to, takes its place. If the newest falls behind as well, one more stretch is begun; those
// between the oldest and the newest stand still until the oldest gets there. None is begun beyond `maxReaders`: what
// arrives waits behind the newest then.
//
// Stretches are not on disk: the settled sequences say what was sent, and a start reads what is left, in order.

/// Which part of the unread to read on with. The same where there is one stretch.
package enum SpoolStretch: CaseIterable, Sendable {
    case oldest, newest
}

/// What waits to be read.
package struct SpoolUnread: Sendable {
    package var spans = 0
    package var bytes = 0
    /// When the first of it came, or the last was read; nil while nothing waits.
    package var since: MonotonicTime?
    /// Nothing of it came before this.
    package var oldest = MonotonicTime(nanoseconds: 0)
}

/// What waits to be read, by stretch.
package struct SpoolWaiting: Sendable {
    package var newest = SpoolUnread()
    /// Of the oldest stretch, where that is another one.
    package var backlog: SpoolUnread?
}

/// A segment could not be read, at this offset the last time, so often, and since when.
struct ReadFailure {
    let offset: Int
    let tries: Int
    let since: MonotonicTime
}

/// Reads one stretch in order.
struct SpoolReader {
    /// It reads segments from this sequence on, up to the next one's.
    let start: UInt64
    var position: ReadPosition?
    /// The highest sequence that it has read or given up.
    var lastRead: UInt64
    /// Appended (or recovered) and not yet read.
    var unread = SpoolUnread()

    init(start: UInt64, lastRead: UInt64) {
        self.start = start
        self.lastRead = lastRead
    }

    mutating func note(appended frame: AppendedFrame, at now: MonotonicTime) {
        if unread.spans == 0 {
            unread.since = now
            unread.oldest = now
        }
        unread.spans += frame.spanCount
        unread.bytes += frame.payloadBytes
    }

    /// `age`: of the last frame in the batch, in nanoseconds. What follows is no older.
    mutating func note(read batch: SpoolBatch, age: UInt64?, isAll: Bool, at now: MonotonicTime) {
        unread.spans = isAll ? 0 : max(0, unread.spans - batch.spanCount)
        unread.bytes = isAll ? 0 : max(0, unread.bytes - batch.bytes.count)
        unread.since = isAll ? nil : now
        if let age { unread.oldest = MonotonicTime(nanoseconds: now.nanoseconds - min(age, now.nanoseconds)) }
    }

    mutating func note(dropped spans: Int) {
        unread.spans = max(0, unread.spans - spans)
    }
}

extension Spool {
    package var waiting: SpoolWaiting {
        state.withLock { state in
            let readers = state.readers
            return SpoolWaiting(
                newest: readers[readers.count - 1].unread, backlog: readers.count > 1 ? readers[0].unread : nil)
        }
    }

    /// In the newest stretch.
    package var unread: SpoolUnread {
        state.withLock { $0.readers[$0.readers.count - 1].unread }
    }

    /// From now on what arrives can be read beside what waits. False where nothing waits, or there are too many stretches.
    /// Called by the thread that reads.
    package func beginStretch() -> Bool {
        state.withLock { $0.beginStretch() }
    }
}

extension SpoolState {
    static let maxReaders = 8

    func readerIndex(of stretch: SpoolStretch) -> Int {
        stretch == .oldest ? 0 : readers.count - 1
    }

    func readerIndex(ofSegment firstSequence: UInt64) -> Int {
        readers.lastIndex { $0.start <= firstSequence } ?? 0
    }

    /// First sequences of the segments that are this reader's.
    private func segmentRange(ofReader index: Int) -> Range<UInt64> {
        readers[index].start..<(index + 1 < readers.count ? readers[index + 1].start : .max)
    }

    mutating func beginStretch() -> Bool {
        mergeReaders()
        guard readers.count < Self.maxReaders, nextUnread(readers.count - 1) != nil else { return false }
        // An empty one has the next sequence in its name: it is the new stretch's.
        if let last = segments.indices.last, segments[last].frameCount > 0 { segments[last].isSealed = true }
        readers.append(SpoolReader(start: nextSequence, lastRead: nextSequence - 1))
        return true
    }

    /// Where the oldest stretch is read to its end, the next one is the oldest.
    mutating func mergeReaders() {
        while readers.count > 1 && nextUnread(0) == nil {
            let own = segmentRange(ofReader: 0)
            var isOver = true
            for segment in segments where own.contains(segment.firstSequence) {
                // Not on the disk yet, so not to be seen.
                if segment.publishedBytes < segment.bytes && !segment.isQuarantined { isOver = false }
                if segment.isQuarantined { pass(quarantined: segment, reader: 0) }
            }
            if !isOver { return }
            // What should stand at the end of the stretch and was not there.
            noteGap(before: own.upperBound, reader: 0)
            readers.removeFirst()
        }
    }

    /// The segment at which a reader stands, stepping to the next one as one ends; nil when it has read all there is.
    mutating func nextUnread(_ reader: Int) -> Int? {
        let own = segmentRange(ofReader: reader)
        if let current = readers[reader].position, !segments.contains(where: { $0.firstSequence == current.segment }) {
            // The segment under the reader was dropped: on with the first one behind it.
            let next = segments.first { $0.firstSequence > current.segment && own.contains($0.firstSequence) }
            readers[reader].position = next.map(ReadPosition.init(startOf:))
        }
        if readers[reader].position == nil {
            let lastRead = readers[reader].lastRead
            let first = segments.first { segment in
                own.contains(segment.firstSequence) && (segment.firstSequence > lastRead || segment.frameCount == 0)
            }
            readers[reader].position = first.map(ReadPosition.init(startOf:))
        }
        while let current = readers[reader].position,
            let index = segments.firstIndex(where: { $0.firstSequence == current.segment })
        {
            let segment = segments[index]
            if current.offset < segment.readableBytes { return index }
            if segment.publishedBytes < segment.bytes && !segment.isQuarantined { return nil }
            guard index + 1 < segments.count, own.contains(segments[index + 1].firstSequence) else { return nil }
            if segment.isQuarantined { pass(quarantined: segment, reader: reader) }
            readers[reader].position = ReadPosition(startOf: segments[index + 1])
        }
        return nil
    }

    /// Its sequences are no gap: they may yet be read, after the next start. What was missing before it is one.
    private mutating func pass(quarantined segment: Segment, reader: Int) {
        noteGap(before: segment.firstSequence, reader: reader)
        readers[reader].lastRead = max(readers[reader].lastRead, segment.lastSequence)
    }

    mutating func advance(_ source: ReadSource, by count: Int) {
        let reader = readerIndex(ofSegment: source.segment)
        if readers[reader].position?.segment == source.segment {
            readers[reader].position?.offset = source.offset + count
        }
        if count > 0 { noteRead(of: source.segment, source.offset..<source.offset + count) }
    }

    mutating func noteRead(_ batch: SpoolBatch, from stretch: SpoolStretch, age: UInt64?, _ now: MonotonicTime) {
        var last = 0
        for frame in batch.frames {
            guard let index = segmentIndex(frame.segment, from: last) else { continue }
            last = index
            segments[index].inFlightFrames += 1
            segments[index].inFlightSpans += settled.unsettledSpans(of: frame.sequence, count: frame.spanCount)
        }
        let reader = readerIndex(of: stretch)
        let isAll = nextUnread(reader) == nil
        readers[reader].note(read: batch, age: age, isAll: isAll, at: now)
        mergeReaders()
    }

    /// A few times in a row, a pause of the forwarder apart; then the segment goes into quarantine.
    static let maxReadTries = 5

    /// The segment under the reader could not be opened or read.
    mutating func noteReadFailure(
        _ error: SystemError, from stretch: SpoolStretch, _ now: MonotonicTime, patience: UInt64
    ) {
        countFailedRead()
        guard let position = readers[readerIndex(of: stretch)].position else { return }
        noteReadFailure(error, of: position.segment, at: position.offset, now, patience: patience)
        if let index = segmentIndex(position.segment, from: 0), segments[index].isQuarantined {
            noteRead(SpoolBatch(), from: stretch, age: nil, now)
        }
    }

    /// A segment could not be opened, or not be read at `offset`.
    mutating func noteReadFailure(
        _ error: SystemError, of segment: UInt64, at offset: Int, _ now: MonotonicTime, patience: UInt64
    ) {
        guard error.isOfTheMedium, let index = segmentIndex(segment, from: 0) else { return }
        let before = readFailures[segment]
        let failure = ReadFailure(offset: offset, tries: (before?.tries ?? 0) + 1, since: before?.since ?? now)
        readFailures[segment] = failure
        guard failure.tries >= Self.maxReadTries, now.nanoseconds(since: failure.since) >= patience else { return }
        quarantine(index, from: offset)
        readFailures[segment] = nil
    }

    /// These bytes of a segment were read.
    mutating func noteRead(of segment: UInt64, _ bytes: Range<Int>) {
        if !readFailures.isEmpty, let failure = readFailures[segment], bytes.contains(failure.offset) {
            readFailures[segment] = nil
        }
    }

    /// Counts what stands behind `offset` as dropped, so that the reader goes on behind the segment. The file stays, and
    /// its frames stay unsettled: if the next start can read them, they are sent then.
    private mutating func quarantine(_ index: Int, from offset: Int) {
        let lost = segments[index].unsettledSpans - segments[index].inFlightSpans
        dropped[SpoolDrop.unreadable.rawValue, default: 0] += UInt64(lost)
        readers[readerIndex(ofSegment: segments[index].firstSequence)].note(dropped: lost)
        segments[index].unsettledSpans = segments[index].inFlightSpans
        segments[index].unsettledFrames = segments[index].inFlightFrames
        segments[index].unreadableFrom = min(offset, segments[index].unreadableFrom ?? offset)
        segments[index].isSealed = true
        segments[index].needsRewrite = false
    }

    /// A good frame was read, or the stretch is over. Sequences between the one before it and this one are gone: counted,
    /// and settled so that nothing waits for them.
    mutating func noteGap(before sequence: UInt64, reader: Int) {
        let lastRead = readers[reader].lastRead
        readers[reader].lastRead = max(lastRead, sequence)
        guard sequence > lastRead + 1 else { return }
        let gap = lastRead + 1...sequence - 1
        let lost = settled.sequences.countUnsettled(in: gap)
        if lost == 0 { return }
        corruptFrames += lost
        for index in segments.indices where segments[index].frameCount > 0 {
            let segment = segments[index]
            guard segment.lastSequence >= gap.lowerBound, segment.firstSequence <= gap.upperBound else { continue }
            let overlap = gap.clamped(to: segment.firstSequence...segment.lastSequence)
            segments[index].unsettledFrames -= Int(settled.sequences.countUnsettled(in: overlap))
            dropResidue(ofSegmentAt: index)
        }
        settle(gap)
    }
}
