package import Model

/// Why the wait of a process span is not known: the `reason` of `asynq_task_wait_unknown_total`.
package enum UnknownWaitReason: String, CaseIterable, Sendable {
    case noSource = "no_source"
    /// A later attempt without an exact source: the time since the enqueueing holds backoff and earlier runs.
    case retry
    /// There is a stamp, but it can't be read as a time.
    case badStamp = "bad_stamp"
    /// The wait would be shorter than −1 s.
    case clockSkew = "clock_skew"
}

/// What one process span says of its wait by itself.
enum WaitFinding: Equatable {
    case known(seconds: Double)
    case unknown(UnknownWaitReason)
    /// Only the span's producer can tell; if it never comes, this is the reason.
    case needsProducer(otherwise: UnknownWaitReason)
}

/// Knows since when tasks were pending, from having seen them in Redis.
package protocol ReadyTimeSource: Sendable {
    /// Since when the attempt that began at `start` could have begun; nil where that was not seen. Given once for each
    /// attempt. `retryCount` is nil where the span does not say it.
    func takeReadyTime(
        queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, retryCount: Int32?, start: WallTime
    ) -> WallTime?
    /// What the task's message in Redis says; nil where it was not read.
    func storedTimes(queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, for asker: Asker) -> StoredTimes?
}

/// What a task's message says of its times.
package struct StoredTimes: Sendable {
    let enqueuedAt: WallTime?
    /// When it is due, if it was scheduled ahead.
    let processAt: WallTime?
    /// Attempts that failed so far.
    let retried: Int32

    package init(enqueuedAt: WallTime?, processAt: WallTime?, retried: Int32) {
        self.enqueuedAt = enqueuedAt
        self.processAt = processAt
        self.retried = retried
    }
}

enum WaitSource {
    /// Sources 1 to 3 of the wait, in their order: the attribute that measured it, the time when the task was seen to be
    /// pending, a stamp (first attempts only). One that is no time of this age does not apply.
    static func find(
        _ span: TaskSpan, in body: UnsafeRawBufferPointer, seen: (any ReadyTimeSource)? = nil
    ) -> WaitFinding {
        // Whatever comes of it: no other attempt may have it.
        let ready = readyTime(of: span, in: body, seen)
        var otherwise = UnknownWaitReason.noSource
        if let measured = span.wait.number(in: body) {
            let finding = accept(seconds: measured * span.waitUnitSeconds)
            if finding != .unknown(.badStamp) { return finding }
            otherwise = .badStamp
        }
        if let ready {
            let finding = wait(from: ready, to: span.startNanoseconds)
            if finding != .unknown(.badStamp) { return finding }
            otherwise = .badStamp
        }
        if retryCount(of: span, in: body) > 0 { return .unknown(.retry) }
        guard span.startNanoseconds > 0 else { return .unknown(.badStamp) }
        if let stamp = Stamp.parse(span.stamp, in: body) {
            var ready = stamp
            if span.stampMeaning == .enqueued, let due = Stamp.parse(span.processAt, in: body) {
                ready = max(ready, due)
            }
            let finding = wait(from: ready, to: span.startNanoseconds)
            if finding != .unknown(.badStamp) { return finding }
        }
        if span.stamp != .absent { otherwise = .badStamp }
        return span.parent.isValid || span.link.isValid ? .needsProducer(otherwise: otherwise) : .unknown(otherwise)
    }

    private static func readyTime(
        of span: TaskSpan, in body: UnsafeRawBufferPointer, _ seen: (any ReadyTimeSource)?
    ) -> WallTime? {
        guard let seen, !span.taskID.isEmpty, !span.queue.isEmpty, span.startNanoseconds > 0 else { return nil }
        return seen.takeReadyTime(
            queue: span.queue.bytes(in: body), id: span.taskID.bytes(in: body),
            retryCount: span.retryCount.number(in: body).flatMap { Int32(exactly: $0) },
            start: WallTime(nanoseconds: Int64(clamping: span.startNanoseconds)))
    }

    /// Source 4: from the end of the producer span, or from when a scheduled task was due, if that is later.
    static func wait(fromProducerEnd end: UInt64, due: UInt64, to start: UInt64) -> WaitFinding {
        wait(from: WallTime(nanoseconds: Int64(clamping: max(end, due))), to: start)
    }

    /// Source 5: a first attempt's time since the enqueueing that the task's message in Redis tells.
    static func stored(
        _ span: TaskSpan, in body: UnsafeRawBufferPointer, seen: (any ReadyTimeSource)?
    ) -> WaitFinding? {
        guard let seen, !span.taskID.isEmpty, !span.queue.isEmpty, span.startNanoseconds > 0,
            let times = seen.storedTimes(
                queue: span.queue.bytes(in: body), id: span.taskID.bytes(in: body),
                for: span.asker),
            let stamp = times.enqueuedAt
        else { return nil }
        // The span does not say which attempt it was, and the task has failed before: perhaps it was a later one.
        if span.retryCount == .absent && times.retried > 0 { return .unknown(.retry) }
        let due = WallTime(nanoseconds: Int64(clamping: dueNanoseconds(of: span, in: body)))
        return wait(from: max(stamp, due, times.processAt ?? stamp), to: span.startNanoseconds)
    }

    /// When a scheduled task was due, as the span says (`asynq.task.process_at`); 0 where it does not say so.
    static func dueNanoseconds(of span: TaskSpan, in body: UnsafeRawBufferPointer) -> UInt64 {
        Stamp.parse(span.processAt, in: body).map { UInt64(clamping: $0.nanoseconds) } ?? 0
    }

    private static func wait(from ready: WallTime, to start: UInt64) -> WaitFinding {
        let started = WallTime(nanoseconds: Int64(clamping: start))
        return accept(seconds: Double(started.nanoseconds(since: ready)) / 1e9)
    }

    private static func accept(seconds: Double) -> WaitFinding {
        if !seconds.isFinite || seconds > PlausibleSeconds.longest { return .unknown(.badStamp) }
        if seconds < PlausibleSeconds.toleratedSkew { return .unknown(.clockSkew) }
        return .known(seconds: max(0, seconds))
    }

    /// Retries so far, 0 for a first attempt or where the span does not say.
    static func retryCount(of span: TaskSpan, in body: UnsafeRawBufferPointer) -> Double {
        span.retryCount.number(in: body) ?? 0
    }
}
