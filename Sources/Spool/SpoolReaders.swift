package import Model
import Platform
import Synchronization

// While what waits is young, one reader reads it all, in order. Once old spans wait, new frames go to a new file, and a
// reader of its own reads them there. The spool's unread part then consists of sections.
//
//     segments   [ settled  unread ][ unread ][ unread ]  [ settled  unread ][ unread, written to ]
//     readers              ↑ oldest ··················►|            ↑ newest ··················►
//                                                      start of the next section
//
// A section begins with a segment, so that each file has one reader. Each reader has its own last sequence, so that the
// frames of another reader do not count as a gap. When the oldest reader reaches the start of the next section, the reader of that
// one takes its place, from where it has got to. If the newest falls behind as well, one more section is begun. Those
// between the oldest and the newest stand still until the oldest gets there. None is begun beyond `maxCount`: new
// frames wait behind the newest then.
//
// Sections are not on disk: the settled sequences say what was sent, and a start reads what is left, in order.

/// The part of the unread frames that is read next. Both are the same where there is one section.
package enum SpoolSection: CaseIterable, Sendable {
    case oldest, newest
}

/// The frames that wait to be read.
package struct SpoolUnread: Sendable {
    package var spans = 0
    package var bytes = 0
    /// The time at which the first of them came, or the last was read; nil while none waits.
    package var since: MonotonicTime?
    /// The lower bound of the times at which they came.
    package var oldest = MonotonicTime(nanoseconds: 0)
}

/// The frames that wait to be read, by section.
package struct SpoolWaiting: Sendable {
    package var newest = SpoolUnread()
    /// The frames of the oldest section, where that is another one.
    package var backlog: SpoolUnread?
}

/// A segment that could not be read: the offset of the last try, the number of tries, and the time of the first.
private struct ReadFailure {
    let offset: Int
    let tries: Int
    let since: MonotonicTime
}

/// The place that a reader has reached.
struct ReadPosition {
    var segment: UInt64
    var offset: Int

    init(startOf segment: Segment) {
        self.segment = segment.firstSequence
        offset = segment.headerBytes
    }
}

/// Reads one section in order.
struct SpoolReader {
    /// The first sequence of its section. It reads segments from there on, up to the next section.
    let start: UInt64
    fileprivate(set) var position: ReadPosition?
    /// The highest sequence that it has read or stepped over.
    fileprivate(set) var lastRead: UInt64
    /// The frames that were appended (or recovered) and not yet read. This is an estimate: those that became corrupt or
    /// were evicted leave it when all is read.
    fileprivate(set) var unread = SpoolUnread()

    init(start: UInt64, lastRead: UInt64, unread: SpoolUnread = SpoolUnread()) {
        self.start = start
        self.lastRead = lastRead
        self.unread = unread
    }

    fileprivate mutating func recordAppend(_ frame: AppendedFrame, at now: MonotonicTime) {
        if unread.spans == 0 {
            unread.since = now
            unread.oldest = now
        }
        unread.spans += frame.spanCount
        unread.bytes += frame.payloadBytes
    }

    fileprivate mutating func recordRead(spans: Int, bytes: Int, isAll: Bool, at now: MonotonicTime) {
        unread.spans = isAll ? 0 : max(0, unread.spans - spans)
        unread.bytes = isAll ? 0 : max(0, unread.bytes - bytes)
        unread.since = isAll ? nil : now
    }
}

/// The readers of all sections: the place of each, and the segments that it could not read.
struct SpoolReaders {
    static let maxCount = 8
    /// The number of tries before a segment goes into quarantine, a pause of the forwarder apart.
    static let maxTries = 5

    /// The readers, one for each section, the oldest first; at least one.
    private var readers: [SpoolReader]
    /// The failures by segment.
    private var failures: [UInt64: ReadFailure] = [:]

    init(_ reader: SpoolReader) {
        readers = [reader]
    }

    subscript(index: Int) -> SpoolReader { readers[index] }

    var count: Int { readers.count }
    var newest: SpoolUnread { readers[readers.count - 1].unread }
    var backlog: SpoolUnread? { readers.count > 1 ? readers[0].unread : nil }

    func index(of section: SpoolSection) -> Int {
        section == .oldest ? 0 : readers.count - 1
    }

    func index(ofSegment firstSequence: UInt64) -> Int {
        readers.lastIndex { $0.start <= firstSequence } ?? 0
    }

    func isReading(_ segment: UInt64) -> Bool {
        readers.contains { $0.position?.segment == segment }
    }

    /// Returns the first sequences of the segments that are this reader's.
    func segmentRange(ofReader index: Int) -> Range<UInt64> {
        readers[index].start..<(index + 1 < readers.count ? readers[index + 1].start : .max)
    }

    mutating func begin(at sequence: UInt64) {
        readers.append(SpoolReader(start: sequence, lastRead: sequence - 1))
    }

    /// Ends the oldest section: the next one is the oldest then.
    mutating func endOldest() {
        readers.removeFirst()
    }

    // MARK: Positions

    mutating func move(_ reader: Int, to position: ReadPosition?) {
        readers[reader].position = position
    }

    mutating func advance(_ source: ReadSource, by count: Int) {
        let reader = index(ofSegment: source.segment)
        if readers[reader].position?.segment == source.segment {
            readers[reader].position?.offset = source.offset + count
        }
        if count > 0 { recordRead(of: source.segment, source.offset..<source.offset + count) }
    }

    /// Returns the sequences between the last one that was read and this one, which is read now.
    mutating func step(_ reader: Int, to sequence: UInt64) -> ClosedRange<UInt64>? {
        let lastRead = readers[reader].lastRead
        readers[reader].lastRead = max(lastRead, sequence)
        return sequence > lastRead + 1 ? lastRead + 1...sequence - 1 : nil
    }

    // MARK: What waits

    mutating func recordAppend(_ frame: AppendedFrame, at now: MonotonicTime) {
        readers[index(ofSegment: frame.segment)].recordAppend(frame, at: now)
    }

    /// Records a frame that is settled already, which a reader has to step over.
    mutating func recordWithdrawal(_ frame: AppendedFrame, at now: MonotonicTime) {
        let reader = index(ofSegment: frame.segment)
        readers[reader].unread.since = readers[reader].unread.since ?? now
    }

    /// Records what was read. `age` is that of the last frame in the batch; what follows is no older.
    mutating func recordRead(_ batch: SpoolBatch, by reader: Int, age: Duration?, isAll: Bool, at now: MonotonicTime) {
        readers[reader].recordRead(spans: batch.spanCount, bytes: batch.bytes.count, isAll: isAll, at: now)
        if let age { readers[reader].unread.oldest = now.advanced(by: .zero - age) }
    }

    mutating func recordDropped(_ spans: Int, inSegment firstSequence: UInt64) {
        let reader = index(ofSegment: firstSequence)
        readers[reader].unread.spans = max(0, readers[reader].unread.spans - spans)
    }

    // MARK: Failures

    /// Records that a segment could not be opened, or not be read at `offset`. Returns true if it has to be
    /// quarantined: after some tries, and some time.
    mutating func recordFailure(of segment: UInt64, at offset: Int, _ now: MonotonicTime, patience: Duration) -> Bool {
        let before = failures[segment]
        let failure = ReadFailure(offset: offset, tries: (before?.tries ?? 0) + 1, since: before?.since ?? now)
        let isOver = failure.tries >= Self.maxTries && now.duration(since: failure.since) >= patience
        failures[segment] = isOver ? nil : failure
        return isOver
    }

    /// Records that these bytes of a segment were read.
    mutating func recordRead(of segment: UInt64, _ bytes: Range<Int>) {
        if !failures.isEmpty, let failure = failures[segment], bytes.contains(failure.offset) {
            failures[segment] = nil
        }
    }

    /// Removes the failures of a segment that is gone.
    mutating func forget(_ segment: UInt64) {
        failures[segment] = nil
    }

    var isBalanced: Bool {
        !readers.isEmpty && zip(readers, readers.dropFirst()).allSatisfy { $0.start < $1.start }
            && readers.allSatisfy { $0.unread.spans >= 0 && $0.unread.bytes >= 0 }
    }
}

extension Spool {
    package var waiting: SpoolWaiting {
        state.withLock { SpoolWaiting(newest: $0.readers.newest, backlog: $0.readers.backlog) }
    }

    /// The unread frames of the newest section.
    package var unread: SpoolUnread {
        state.withLock { $0.readers.newest }
    }

    /// Begins a section: from now on new frames can be read beside those that wait. Returns false where none waits, or
    /// there are too many sections. The thread that reads calls it.
    package func beginSection() -> Bool {
        state.withLock { $0.beginSection() }
    }
}

extension SpoolState {
    mutating func beginSection() -> Bool {
        mergeReaders()
        guard readers.count < SpoolReaders.maxCount, nextUnread(readers.count - 1) != nil else { return false }
        // An empty segment has the next sequence in its name, and belongs to the new section.
        if let last = segments.indices.last, segments[last].sequences != nil { segments[last].seal() }
        readers.begin(at: writer.nextSequence)
        return true
    }

    /// Merges the oldest section with the next one, once it is read to its end.
    mutating func mergeReaders() {
        while readers.count > 1 && nextUnread(0) == nil {
            let own = readers.segmentRange(ofReader: 0)
            var isOver = true
            for segment in segments where own.contains(segment.firstSequence) {
                // It is not on the disk yet, so readers must not see it.
                if segment.publishedBytes < segment.bytes && !segment.isQuarantined { isOver = false }
                if segment.isQuarantined { pass(quarantined: segment, reader: 0) }
            }
            if !isOver { return }
            // These sequences should stand at the end of the section and are missing.
            step(0, to: own.upperBound)
            readers.endOldest()
        }
    }

    /// Returns the segment at which a reader stands, stepping to the next one as one ends; nil when it has read all
    /// there is.
    mutating func nextUnread(_ reader: Int) -> Int? {
        let own = readers.segmentRange(ofReader: reader)
        if let current = readers[reader].position, segments.index(of: current.segment) == nil {
            // The segment under the reader was dropped, so it goes on with the first one behind it.
            let next = segments.first { $0.firstSequence > current.segment && own.contains($0.firstSequence) }
            readers.move(reader, to: next.map(ReadPosition.init(startOf:)))
        }
        if readers[reader].position == nil {
            let lastRead = readers[reader].lastRead
            let first = segments.first { segment in
                own.contains(segment.firstSequence) && (segment.firstSequence > lastRead || segment.sequences == nil)
            }
            readers.move(reader, to: first.map(ReadPosition.init(startOf:)))
        }
        while let current = readers[reader].position, let index = segments.index(of: current.segment) {
            let segment = segments[index]
            if current.offset < segment.readableBytes { return index }
            if segment.publishedBytes < segment.bytes && !segment.isQuarantined { return nil }
            guard index + 1 < segments.count, own.contains(segments[index + 1].firstSequence) else { return nil }
            if segment.isQuarantined { pass(quarantined: segment, reader: reader) }
            readers.move(reader, to: ReadPosition(startOf: segments[index + 1]))
        }
        return nil
    }

    /// Steps over a segment in quarantine. Its sequences do not count as a gap: they may yet be read, after the next
    /// start. Those that were missing before it do.
    private mutating func pass(quarantined segment: Segment, reader: Int) {
        step(reader, to: segment.firstSequence)
        if let last = segment.lastSequence { _ = readers.step(reader, to: last) }
    }

    mutating func recordRead(_ batch: SpoolBatch, from section: SpoolSection, age: Duration?, _ now: MonotonicTime) {
        for frame in batch.frames {
            guard let index = segments.index(of: frame.segment) else { continue }
            segments[index].recordRead(FrameCount(frames: 1, spans: ledger.unsettledSpans(of: frame)))
        }
        let reader = readers.index(of: section)
        let isAll = nextUnread(reader) == nil
        readers.recordRead(batch, by: reader, age: age, isAll: isAll, at: now)
        mergeReaders()
    }

    /// Records that the segment under the reader could not be opened or read.
    mutating func recordReadFailure(
        _ error: SystemError, from section: SpoolSection, _ now: MonotonicTime, patience: Duration
    ) {
        guard let position = readers[readers.index(of: section)].position else { return disk.recordFailedRead() }
        recordReadFailure(error, of: position.segment, at: position.offset, now, patience: patience)
        if let index = segments.index(of: position.segment), segments[index].isQuarantined {
            recordRead(SpoolBatch(), from: section, age: nil, now)
        }
    }

    /// Records that a segment could not be opened, or not be read at `offset`. After the last try, what stands behind
    /// the offset counts as dropped, and the reader goes on behind the segment. The file stays, and its frames stay
    /// unsettled: if the next start can read them, they are sent then.
    mutating func recordReadFailure(
        _ error: SystemError, of segment: UInt64, at offset: Int, _ now: MonotonicTime, patience: Duration
    ) {
        disk.recordFailedRead()
        guard error.isOfTheMedium, let index = segments.index(of: segment),
            readers.recordFailure(of: segment, at: offset, now, patience: patience)
        else { return }
        let lost = segments[index].quarantine(from: offset)
        ledger.recordDropped(lost, .unreadable)
        readers.recordDropped(lost, inSegment: segment)
    }

    /// Records that a good frame was read, or that the section is over. Sequences between the one before it and this
    /// one are gone: they are counted, and settled so that nothing waits for them.
    mutating func step(_ reader: Int, to sequence: UInt64) {
        guard let gap = readers.step(reader, to: sequence) else { return }
        let lost = ledger.settled.sequences.countUnsettled(in: gap)
        if lost == 0 { return }
        ledger.recordCorrupt(frames: lost)
        for index in segments.indices {
            guard let held = segments[index].sequences, held.overlaps(gap) else { continue }
            let frames = ledger.settled.sequences.countUnsettled(in: gap.clamped(to: held))
            segments[index].release(FrameCount(frames: Int(frames), spans: 0), wereInFlight: false)
            ledger.recordDropped(segments[index].takeCorruptSpans(), .corrupt)
        }
        settle(gap)
    }
}
