package import Model
import OTLP
import ProtobufWire
import Synchronization

/// Knows what tasks carry with them.
package protocol TaskContextSource: Sendable {
    /// The context that the task carries, if any. nil: its message is not known; Redis may know it.
    func context(queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, for asker: Asker) -> TraceContext??
    /// Asks for more, after which `context` knows it. False: it is not asked; else `whenDone` is called once, by any thread,
    /// soon: an acknowledgement waits for it.
    func lookUp(_ questions: [TaskQuestion], whenDone: @escaping @Sendable () -> Void) -> Bool
}

/// `traces.relink`
package enum RelinkMode: String, Sendable {
    case off = "false"
    /// Process spans get a link to the context that their task carries.
    case link = "true"
    /// It becomes their parent where they are alone in their trace; else a link.
    case parent
}

/// Restores the trace context of process spans that have neither parent nor link but name their task: the worker did not
/// read it, but the task carries it.
package final class TraceRelinker: Sendable {
    package struct Counts: Sendable {
        package var links: UInt64 = 0
        package var parents: UInt64 = 0
        /// Spans without parent and link whose task carries nothing, or is not known.
        package var notFound: UInt64 = 0
        /// Tasks that were not looked up, because too many bytes of requests wait for such answers already.
        package var noRoom: UInt64 = 0
    }

    let mode: RelinkMode
    private let source: any TaskContextSource
    private let counted = Mutex(Counts())
    private let lastRequest = Atomic<UInt64>(0)

    package init(_ mode: RelinkMode, source: any TaskContextSource) {
        self.mode = mode
        self.source = source
    }

    /// Tells the requests apart.
    func nextRequest() -> UInt64 { lastRequest.add(1, ordering: .relaxed).newValue }

    package var counts: Counts { counted.withLock { $0 } }

    /// Longer names are no task's: whoever sends spans has no say in the size of what Redis is asked.
    private static let maxNameBytes = 1024

    /// The tasks that are worth a look into Redis, each once: those of spans that are to be linked, and of those that do not
    /// say themselves how long the task has waited.
    func unknownTasks(of spans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [TaskQuestion] {
        var questions: [TaskQuestion] = []
        var asked: Set<TaskName> = []
        for span in spans where span.role == .process {
            let (wantsContext, wantsTime) = (isOrphan(span), span.saysNoWait)
            guard wantsContext || wantsTime, let (queue, id) = Self.names(span, in: body),
                source.context(queue: queue, id: id, for: span.asker) == nil
            else { continue }
            let task = TaskName(queue: QueueName(queue), id: [UInt8](id))
            guard asked.insert(task).inserted else { continue }
            questions.append(TaskQuestion(task: task, wantsContext: wantsContext, wantsTime: wantsTime))
        }
        return questions
    }

    private static func names(
        _ span: TaskSpan, in body: UnsafeRawBufferPointer
    ) -> (queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer)? {
        guard (1...maxNameBytes).contains(Int(span.taskID.count)), (1...maxNameBytes).contains(Int(span.queue.count))
        else {
            return nil
        }
        return (span.queue.bytes(in: body), span.taskID.bytes(in: body))
    }

    /// Calls back when Redis was asked; false where it is not.
    func lookUp(_ questions: [TaskQuestion], whenDone: @escaping @Sendable () -> Void) -> Bool {
        source.lookUp(questions, whenDone: whenDone)
    }

    func noteNoRoom(_ tasks: Int) {
        counted.withLock { $0.noRoom += UInt64(tasks) }
    }

    private func isOrphan(_ span: TaskSpan) -> Bool {
        mode != .off && span.role == .process && !span.parent.isValid && !span.link.isValid
    }

    /// What `relink` has found, to be counted once the spans are accepted.
    struct Findings {
        var edits: [SpanEdit] = []
        fileprivate var counts = Counts()
    }

    /// Sets what is restored in the spans, and returns the changes to be made to the request's bytes.
    func relink(_ spans: inout [TaskSpan], in body: UnsafeRawBufferPointer) throws(WireError) -> Findings {
        var findings = Findings()
        var found: [(index: Int, context: TraceContext)] = []
        for (index, span) in spans.enumerated() where isOrphan(span) {
            let context = Self.names(span, in: body).flatMap {
                source.context(queue: $0.queue, id: $0.id, for: span.asker) ?? nil
            }
            if let context, context.reference.isValid, context.reference != span.reference {
                found.append((index, context))
            } else {
                findings.counts.notFound += 1
            }
        }
        let alone = mode == .parent && !found.isEmpty ? try loners(found.map { spans[$0.index] }, in: body) : []
        for (index, context) in found {
            let range = Int(spans[index].content.offset)..<Int(spans[index].content.offset + spans[index].content.count)
            // What pairs it with its producer, either way.
            spans[index].link = context.reference
            spans[index].isLinkSampled = context.isSampled
            // A trace that was not sampled is nowhere: a span that is would be lost in it.
            if alone.contains(spans[index].reference.trace), context.isSampled || !spans[index].isSampled {
                spans[index].movedTo = context.reference.trace
                findings.edits.append(SpanEdit(range, .parent(context)))
                findings.counts.parents += 1
            } else {
                findings.edits.append(SpanEdit(range, .link(context)))
                findings.counts.links += 1
            }
        }
        return findings
    }

    func noteAccepted(_ findings: Findings) {
        let new = findings.counts
        if new.links == 0 && new.parents == 0 && new.notFound == 0 { return }
        counted.withLock { counts in
            counts.links += new.links
            counts.parents += new.parents
            counts.notFound += new.notFound
        }
    }

    /// The traces of these spans that have no other span in the request.
    private func loners(_ spans: [TaskSpan], in body: UnsafeRawBufferPointer) throws(WireError) -> Set<TraceID> {
        let traces = Set(spans.map(\.reference.trace))
        let counts = try SpanRewriter.spanCounts(of: traces, in: body)
        return traces.filter { counts[$0] == 1 }
    }
}

extension TaskSpan {
    /// Nothing in the span tells since when a first attempt could have been run.
    fileprivate var saysNoWait: Bool {
        wait == .absent && stamp == .absent && namesNoRetry
    }
}
