import Model
import Spool
import Synchronization

/// Decides where in the spool the next batch is read, and when. It is pure: it gets times and what waits.
///
/// | what waits                                   | what is read                                                  |
/// |----------------------------------------------|---------------------------------------------------------------|
/// | young spans                                  | one section, in order, in batches that are full or old enough |
/// | more than a batch, some of it too old        | a new section is begun; the two take turns                    |
/// | with a limit, more than a batch, when an outage ends | the same, however short the outage was                |
///
/// Taking turns: new spans go first, but of four requests in a row one is the backlog's, and of two if the others are
/// not full batches. The backlog has all that is left, too, but is no faster than the limit. As long as three quarters
/// of what the backend takes suffice for new spans, they wait for one request at most. The backlog makes progress
/// whatever arrives.
struct ReadTurns {
    private static let failurePause = Duration.seconds(1)
    /// The number of full batches of the newest section in a row, while the oldest waits.
    private static let maxFullInARow = 3

    private let options: ForwarderOptions
    private var limit: DrainRate?
    /// The number of batches of the newest section that were read since one of the oldest.
    private var newestInARow = 0
    /// The pauses after a read that failed.
    private var pauses: [SpoolSection: MonotonicTime] = [:]
    private var wasBlocked = false

    init(_ options: ForwarderOptions) {
        self.options = options
        if options.maxDrainSpansPerSecond > 0 { limit = DrainRate(spansPerSecond: options.maxDrainSpansPerSecond) }
    }

    /// Returns true if enough waits in the newest section that new spans should not wait behind it. It is asked
    /// whenever something may be sent. `isBlocked` says that the backend takes nothing, as far as is known.
    mutating func wantsSection(_ unread: SpoolUnread, isBlocked: Bool, at now: MonotonicTime) -> Bool {
        let isBack = wasBlocked && !isBlocked
        wasBlocked = isBlocked
        // One batch keeps no other span waiting.
        let isMore = unread.spans > maxSpans(of: .oldest) || unread.bytes > options.maxBatchBytes
        guard !isBlocked && isMore && unread.since != nil else { return false }
        return now.duration(since: unread.oldest) >= options.maxOrdered || (isBack && limit != nil)
    }

    /// Returns the section to read now; nil if none is ready.
    func choose(_ waiting: SpoolWaiting, at now: MonotonicTime, flushing: Bool, isProbing: Bool) -> SpoolSection? {
        let isReady = { (section: SpoolSection) in
            moment(of: section, waiting, at: now, flushing: flushing, isProbing: isProbing).map { $0 <= now } ?? false
        }
        let most = isFull(waiting.newest) ? Self.maxFullInARow : 1
        let first: SpoolSection = newestInARow < most ? .newest : .oldest
        let second: SpoolSection = first == .newest ? .oldest : .newest
        return isReady(first) ? first : isReady(second) ? second : nil
    }

    private func isFull(_ unread: SpoolUnread) -> Bool {
        WakeRule.fullBatch.isMet(by: unread, options)
    }

    /// Returns the time from which a batch may be read; nil while there is none.
    func moment(
        of section: SpoolSection, _ waiting: SpoolWaiting, at now: MonotonicTime, flushing: Bool, isProbing: Bool
    ) -> MonotonicTime? {
        let unread = section == .newest ? waiting.newest : waiting.backlog
        guard let unread, let since = unread.since else { return nil }
        var moment = now
        switch section {
        case .newest:
            if !flushing && !isFull(unread) { moment = since.advanced(by: options.maxDelay) }
        case .oldest:
            // No more spans join it. Probes are few, and have to be others each time.
            if let limit, !isProbing { moment = limit.opens }
        }
        return max(moment, pauses[section] ?? moment)
    }

    /// Returns what an append has to bring so that a batch may be read at once. A batch that is read for its age is
    /// read at its moment.
    func wakeRule(_ newest: SpoolUnread, at now: MonotonicTime) -> WakeRule {
        isPaused(.newest, at: now) ? .never : newest.spans == 0 ? .firstSpan : .fullBatch
    }

    func maxSpans(of section: SpoolSection?) -> Int {
        guard section == .oldest, let limit else { return options.maxBatchSpans }
        return min(options.maxBatchSpans, limit.spansPerSecond)
    }

    mutating func recordRead(_ spans: Int, from section: SpoolSection, at now: MonotonicTime) {
        newestInARow = section == .newest ? min(newestInARow + 1, Self.maxFullInARow) : 0
        if section == .oldest { limit?.recordRead(spans, at: now) }
    }

    /// Gives the disk a pause; the other section, which lies in other files, goes on.
    mutating func recordFailure(of section: SpoolSection, at now: MonotonicTime) {
        pauses[section] = now.advanced(by: Self.failurePause)
    }

    func isPaused(_ section: SpoolSection, at now: MonotonicTime) -> Bool {
        pauses[section].map { now < $0 } ?? false
    }
}

/// The appends that wake the forwarder's thread.
enum WakeRule: UInt8, AtomicRepresentable {
    /// No append wakes it: it is awake, or new spans may not be read now.
    case never
    /// An append into an empty spool wakes it: its batch's time begins.
    case firstSpan
    /// An append that makes a batch full wakes it.
    case fullBatch

    func isMet(by unread: SpoolUnread, _ options: ForwarderOptions) -> Bool {
        switch self {
        case .never: false
        case .firstSpan: unread.spans > 0
        case .fullBatch: unread.spans >= options.maxBatchSpans || unread.bytes >= options.maxBatchBytes
        }
    }
}
