import Model

/// The attempts at one task that were seen pending: the latest one, and the one before it, whose span may come late.
///
/// `SeenTasks.look` offers a ready time to a span, and `use` marks it as used once the span was accepted. Until then each
/// call of `look` may offer it again, but only once.
struct SeenAttempts {
    private struct Attempt {
        let ready: WallTime
        /// The retry count; nil where no message was read while the attempt was pending.
        var retried: Int32?
        var isUsed = false
        /// The window in which it left the list of pending tasks; nil while it is there, as far as is known.
        var left: LookWindow?
        /// The number of the call of `look` that offered its time last; 0 before the first.
        var offeredBy: UInt64 = 0

        /// Returns true if the attempt may have begun at `start`: not before it was ready, and when it left the list.
        /// Clocks of two machines may differ a little.
        func mayHaveBegun(at start: WallTime) -> Bool {
            start >= ready && left?.mayHold(start) ?? true
        }

        /// Returns true if a span with this retry count may be the attempt's; nil agrees with all.
        func agrees(with retryCount: Int32?) -> Bool {
            guard let retried, let retryCount else { return true }
            return retried == retryCount
        }

        mutating func offer(by look: UInt64) -> WallTime? {
            if isUsed || offeredBy == look { return nil }
            offeredBy = look
            return ready
        }
    }

    private var latest: Attempt?
    private var previous: Attempt?

    /// True if the latest attempt's time was used; nil where no attempt was seen pending.
    var isLatestUsed: Bool? { latest?.isUsed }

    mutating func recordPending(since ready: WallTime) {
        if latest?.ready == ready {
            // It was only out of sight.
            latest?.left = nil
            return
        }
        previous = latest
        // The earlier attempt can't be pending still.
        if let old = latest, old.left == nil { previous?.left = LookWindow(from: old.ready, to: ready) }
        latest = Attempt(ready: ready)
    }

    /// Records the number of failed attempts, from the message that was read while the latest attempt was pending.
    mutating func recordRetried(_ count: Int32) {
        latest?.retried = count
    }

    /// Records that the attempt that was pending since `ready` left the list of pending tasks within the window.
    mutating func recordGone(since ready: WallTime, _ window: LookWindow) {
        guard latest?.ready == ready, latest?.left == nil else { return }
        latest?.left = window
    }

    /// Returns the time since which the attempt that began at `start` could have begun. Returns nil where the attempt
    /// was not seen, or its time was used or was offered by this call already. `earliest` is the time of enqueueing:
    /// what was pending before it is another task.
    mutating func offer(retryCount: Int32?, start: WallTime, earliest: WallTime?, look: UInt64) -> WallTime? {
        func mayBe(_ attempt: Attempt?) -> Bool {
            guard let attempt else { return false }
            return attempt.mayHaveBegun(at: start) && attempt.agrees(with: retryCount)
                && attempt.ready >= earliest ?? attempt.ready
        }
        // If both may be it, it is the latest one: it began after that was pending.
        if mayBe(latest) { return latest?.offer(by: look) }
        return mayBe(previous) ? previous?.offer(by: look) : nil
    }

    /// Marks the time that the call of `look` has offered as used, so that other spans do not get it.
    mutating func use(_ ready: WallTime, offeredBy look: UInt64) {
        if latest?.ready == ready && latest?.offeredBy == look { latest?.isUsed = true }
        if previous?.ready == ready && previous?.offeredBy == look { previous?.isUsed = true }
    }
}
