import Model

/// The reason why the wait of a process span is unknown: the `reason` of `asynq_task_wait_unknown_total`.
package enum UnknownWaitReason: String, CaseIterable, Sendable {
    case noSource = "no_source"
    /// It is a later attempt without an exact source: the time since the enqueueing holds backoff and earlier runs.
    case retry
    /// The span has a stamp, but it can't be read as a time.
    case badStamp = "bad_stamp"
    /// The wait would be shorter than −1 s.
    case clockSkew = "clock_skew"
}

/// The wait that one process span tells by itself.
enum WaitFinding: Equatable {
    case known(seconds: Double)
    /// The wait of a scheduled task since it was due. The up to five seconds until Asynq's forwarder moved it are in
    /// the wait.
    case sinceDue(seconds: Double)
    case unknown(UnknownWaitReason)
    /// The wait depends on the span's producer; if that never comes, this is the reason.
    case needsProducer(otherwise: UnknownWaitReason)

    /// The wait in seconds; nil where it is unknown.
    var seconds: Double? {
        switch self {
        case .known(let seconds), .sinceDue(let seconds): seconds
        case .unknown, .needsProducer: nil
        }
    }
}

enum WaitSource {
    /// Returns the wait by the sources 1 to 3, in their order: the attribute that measured it, the time when the task
    /// was seen to be pending, a stamp (first attempts only). A value that can't be a time does not apply. Neither does
    /// a pending time after the start: it belongs to the next task under the same id. `isLater` says that it is a later
    /// attempt, whatever the span says. If the span takes it for the first, its worker has measured from the stamp, and
    /// only source 2 counts.
    static func find(_ span: borrowing TaskSpan, in body: UnsafeRawBufferPointer, isLater: Bool = false) -> WaitFinding
    {
        var otherwise = UnknownWaitReason.noSource
        let isRetry = retryCount(of: span, in: body) > 0
        let isMeasuredFromStamp = isLater && !isRetry && Stamp.parse(span.stamp, in: body) != nil
        if !isMeasuredFromStamp, let measured = span.wait.number(in: body) {
            let finding = accept(seconds: measured * span.waitUnitSeconds)
            if finding != .unknown(.badStamp) { return finding }
            otherwise = .badStamp
        }
        if let ready = span.knowledge.readyTime, ready.time <= span.start {
            let finding = wait(from: ready.time, to: span.startNanoseconds)
            if finding != .unknown(.badStamp) { return finding }
            otherwise = .badStamp
        }
        if isLater || isRetry { return .unknown(.retry) }
        guard span.startNanoseconds > 0 else { return .unknown(.badStamp) }
        if let stamp = Stamp.parse(span.stamp, in: body) {
            let due = span.stampMeaning == .enqueued ? Stamp.parse(span.processAt, in: body) : nil
            let finding = wait(from: stamp, due: due, to: span.startNanoseconds)
            if finding != .unknown(.badStamp) { return finding }
        }
        if span.stamp != .absent { otherwise = .badStamp }
        return span.parent.isValid || span.link.isValid ? .needsProducer(otherwise: otherwise) : .unknown(otherwise)
    }

    /// Returns the wait by source 4: from the end of the producer span, or from when a scheduled task was due, if that
    /// is later.
    static func wait(fromProducerEnd end: UInt64, due: UInt64, to start: UInt64) -> WaitFinding {
        // The producer of a task that was scheduled ahead counts as one that ended when the task was due.
        due < end
            ? wait(from: WallTime(clampedNanoseconds: end), to: start)
            : wait(sinceDue: WallTime(clampedNanoseconds: due), to: start)
    }

    /// Returns the wait by source 5: a first attempt's time since the enqueueing that the task's message in Redis
    /// tells.
    static func stored(_ span: borrowing TaskSpan, in body: UnsafeRawBufferPointer) -> WaitFinding? {
        guard span.startNanoseconds > 0, let message = span.knowledge.message, let stamp = message.enqueuedAt else {
            return nil
        }
        // The span does not say which attempt it was, and the task has failed before: it may have been a later one.
        if span.retryCount == .absent && message.retried > 0 { return .unknown(.retry) }
        let due = WallTime(clampedNanoseconds: dueNanoseconds(of: span, in: body))
        return wait(from: stamp, due: max(due, message.processAt ?? due), to: span.startNanoseconds)
    }

    /// Returns the time when a scheduled task was due, as the span says (`asynq.task.process_at`); 0 for a span that
    /// does not say so.
    static func dueNanoseconds(of span: borrowing TaskSpan, in body: UnsafeRawBufferPointer) -> UInt64 {
        Stamp.parse(span.processAt, in: body).map { UInt64(clamping: $0.nanoseconds) } ?? 0
    }

    /// Returns the wait from the enqueueing, or from when the task was due, if that is later: Asynq enqueues at once
    /// what is due.
    private static func wait(from enqueued: WallTime, due: WallTime?, to start: UInt64) -> WaitFinding {
        guard let due, due > enqueued else { return wait(from: enqueued, to: start) }
        return wait(sinceDue: due, to: start)
    }

    private static func wait(sinceDue due: WallTime, to start: UInt64) -> WaitFinding {
        let finding = wait(from: due, to: start)
        return finding.seconds.map { .sinceDue(seconds: $0) } ?? finding
    }

    private static func wait(from ready: WallTime, to start: UInt64) -> WaitFinding {
        accept(seconds: Double(WallTime(clampedNanoseconds: start).nanoseconds(since: ready)) / 1e9)
    }

    private static func accept(seconds: Double) -> WaitFinding {
        if !seconds.isFinite || seconds > PlausibleSeconds.longest { return .unknown(.badStamp) }
        if seconds < PlausibleSeconds.toleratedSkew { return .unknown(.clockSkew) }
        return .known(seconds: max(0, seconds))
    }

    /// Returns the number of retries so far, 0 for a first attempt or for a span that does not say.
    static func retryCount(of span: borrowing TaskSpan, in body: UnsafeRawBufferPointer) -> Double {
        span.retryCount.number(in: body) ?? 0
    }
}
