import Model
import OTLP
import ProtobufWire
import Synchronization

/// The values of `traces.relink`.
package enum RelinkMode: String, Sendable {
    case off = "false"
    /// Process spans get a link to the context that their task carries.
    case link = "true"
    /// The context becomes their parent where they are alone in their trace; else a link.
    case parent
}

/// Restores the trace context of process spans that have neither parent nor link but name their task: the worker did
/// not read it, but the task carries it. It decides by what the spans know of their tasks (`TaskSpan.knowledge`).
package final class TraceRelinker: Sendable {
    package struct Counts: Sendable {
        package var links: UInt64 = 0
        package var parents: UInt64 = 0
        /// The number of spans without parent and link whose task carries nothing, or is unknown.
        package var notFound: UInt64 = 0
        /// The number of tasks that were not looked up, because too many bytes of requests wait for such answers
        /// already.
        package var overLimit: UInt64 = 0
    }

    /// The longest name of a task that Redis is asked for: the question must not grow with what senders send.
    static let maxNameBytes = 1024

    private let mode: RelinkMode
    let source: any TaskKnowledgeSource
    private let counted = Mutex(Counts())

    package init(_ mode: RelinkMode, source: any TaskKnowledgeSource) {
        self.mode = mode
        self.source = source
    }

    package var counts: Counts { counted.withLock { $0 } }

    // MARK: What Redis is asked

    /// Returns the tasks to ask Redis for, each once: those whose message is unknown, of spans that are to be linked
    /// and of spans that do not say themselves how long the task has waited.
    func questions(of spans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [TaskQuestion] {
        var questions: [TaskQuestion] = []
        var asked: Set<TaskName> = []
        for index in spans.indices where spans[index].role == .process && spans[index].knowledge.message == nil {
            let (wantsContext, wantsTime) = (isOrphan(spans[index]), spans[index].saysNoWait)
            guard wantsContext || wantsTime, let task = Self.task(of: spans[index], in: body),
                asked.insert(task).inserted
            else {
                continue
            }
            questions.append(TaskQuestion(task: task, wantsContext: wantsContext, wantsTime: wantsTime))
        }
        return questions
    }

    private static func task(of span: TaskSpan, in body: UnsafeRawBufferPointer) -> TaskName? {
        let lengths = 1...maxNameBytes
        guard lengths.contains(Int(span.taskID.count)), lengths.contains(Int(span.queue.count)) else { return nil }
        return TaskName(queue: QueueName(span.queue.bytes(in: body)), id: [UInt8](span.taskID.bytes(in: body)))
    }

    func recordOverLimit(_ tasks: Int) {
        counted.withLock { $0.overLimit += UInt64(tasks) }
    }

    // MARK: What is restored

    /// The findings of `relink`, to be counted once the spans are accepted.
    struct Findings {
        var edits: [SpanEdit] = []
        fileprivate(set) var counts = Counts()
    }

    /// Sets what is restored in the spans, and returns the changes that the request's bytes need.
    ///
    /// - Throws: `WireError` where the body is not a request; nothing may be changed then.
    func relink(_ spans: inout [TaskSpan], in body: UnsafeRawBufferPointer) throws(WireError) -> Findings {
        var findings = Findings()
        var found: [(index: Int, context: TraceContext)] = []
        for index in spans.indices where isOrphan(spans[index]) {
            let context = spans[index].knowledge.message?.context
            if let context, context.reference.isValid, context.reference != spans[index].reference {
                found.append((index, context))
            } else {
                findings.counts.notFound += 1
            }
        }
        let alone = mode == .parent && !found.isEmpty ? try loners(found.map { spans[$0.index] }, in: body) : []
        for (index, context) in found {
            let range = Int(spans[index].content.offset)..<Int(spans[index].content.offset + spans[index].content.count)
            // The link pairs it with its producer, either way.
            spans[index].link = context.reference
            spans[index].isLinkSampled = context.isSampled
            // A trace that was not sampled exists nowhere: a span that is exported would be lost in it.
            if alone.contains(spans[index].reference.trace), context.isSampled {
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

    private func isOrphan(_ span: TaskSpan) -> Bool {
        mode != .off && span.role == .process && !span.parent.isValid && !span.link.isValid
    }

    /// Returns the traces of these spans that have no other span in the request.
    private func loners(_ spans: [TaskSpan], in body: UnsafeRawBufferPointer) throws(WireError) -> Set<TraceID> {
        let traces = Set(spans.map(\.reference.trace))
        let counts = try SpanRewriter.spanCounts(of: traces, in: body)
        return traces.filter { counts[$0] == 1 }
    }

    func recordAccepted(_ findings: Findings) {
        let new = findings.counts
        if new.links == 0 && new.parents == 0 && new.notFound == 0 { return }
        counted.withLock { counts in
            counts.links += new.links
            counts.parents += new.parents
            counts.notFound += new.notFound
        }
    }
}

extension TaskSpan {
    /// True if the span does not tell since when a first attempt could have been run.
    fileprivate var saysNoWait: Bool {
        wait == .absent && stamp == .absent && mayBeFirstAttempt
    }
}
