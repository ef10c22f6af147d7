import Model
import OTLP
import Platform
import Synchronization
import WaitTime

/// The errors of the last hour behind their lock: spans and dead letters feed them, pages read them.
final class RecentErrors: Sendable {
    private let groups: Mutex<ErrorGroups>
    private let clock: Clock

    init(maxBytes: Int = ErrorGroups.maxBytes, clock: Clock) {
        groups = Mutex(ErrorGroups(maxBytes: maxBytes))
        self.clock = clock
    }

    /// Counts the failed attempts of an accepted request; `body` is the request that their ranges refer to.
    func recordAttempts(_ failed: [TaskSpan], in body: UnsafeRawBufferPointer) {
        let wall = clock.wall()
        record(
            failed.map { span in
                let end = max(span.endNanoseconds, span.startNanoseconds)
                return ErrorEvent(
                    .attempt, queue: QueueName(span.queue.bytes(in: body)),
                    taskType: TaskType(span.taskType.bytes(in: body)),
                    error: AttemptFailure.text(of: span, in: body).bytes(in: body),
                    taskID: ForeignText(span.taskID.bytes(in: body)), span: span.forwarded,
                    at: end == 0 ? wall : WallTime(clampedNanoseconds: end))
            })
    }

    /// Counts dead letters, those that were there at the start as well, if they died within the hour.
    func recordDeadLetters(_ letters: [DeadLetter]) {
        record(
            letters.map { letter in
                letter.errorMessage.bytes.withUnsafeBytes { error in
                    ErrorEvent(
                        .deadLetter, queue: letter.task.queue, taskType: letter.type, error: error,
                        taskID: ForeignText(letter.task.id), span: letter.context?.reference, at: letter.archivedAt,
                        seenAt: letter.isArrival ? nil : letter.archivedAt)
                }
            })
    }

    private func record(_ events: [ErrorEvent]) {
        if events.isEmpty { return }
        let (wall, now) = (clock.wall(), clock.monotonic())
        groups.withLock { groups in
            for event in events { groups.record(event, wall: wall, now: now) }
        }
    }

    /// Returns dead letters with the traces of their attempts, where these are known and the task carries none.
    func withTraces(_ letters: [DeadLetter]) -> [DeadLetter] {
        if letters.isEmpty { return letters }
        return groups.withLock { groups in
            letters.map { letter in
                var letter = letter
                if letter.context == nil { letter.attemptTrace = groups.attempt(at: letter.task)?.trace }
                return letter
            }
        }
    }

    /// Returns the trace of the newest failed attempt at a task; nil where none is known.
    func attemptTrace(of task: TaskName) -> TraceID? {
        groups.withLock { $0.attempt(at: task)?.trace }
    }

    /// The groups, the most frequent ones first.
    var all: [ErrorGroup] {
        let now = clock.monotonic()
        return groups.withLock { $0.all(at: now) }
    }

    /// The bytes that they take.
    var bytes: Int { groups.withLock { $0.bytes + $0.attemptBytes } }
    /// The number of errors that have no group of their own for lack of space.
    var leftOut: UInt64 { groups.withLock { $0.leftOut } }
}
