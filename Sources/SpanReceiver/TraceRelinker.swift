package import Model
import OTLP
import ProtobufWire
import Synchronization

/// Knows what tasks carry with them.
package protocol TaskContextSource: Sendable {
    /// What is known at once. Not read: Redis may know more.
    func context(
        queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer
    ) -> (isRead: Bool, context: TraceContext?)
    /// Asks for more, after which `context` knows it. False: it is not asked; else `whenDone` is called once, by any thread,
    /// soon: an acknowledgement waits for it.
    func lookUp(_ tasks: [TaskName], whenDone: @escaping @Sendable () -> Void) -> Bool
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

    package init(_ mode: RelinkMode, source: any TaskContextSource) {
        self.mode = mode
        self.source = source
    }

    package var counts: Counts { counted.withLock { $0 } }

    /// The tasks that are worth a look into Redis: those of spans that are to be linked, and of those that do not say
    /// themselves how long the task has waited.
    func unknownTasks(of spans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [TaskName] {
        var names: [TaskName] = []
        for span in spans where span.role == .process && (isOrphan(span) || span.saysNoWait) {
            guard !span.taskID.isEmpty, !span.queue.isEmpty else { continue }
            let (queue, id) = (span.queue.bytes(in: body), span.taskID.bytes(in: body))
            if source.context(queue: queue, id: id).isRead { continue }
            names.append(TaskName(queue: QueueName(queue), id: [UInt8](id)))
        }
        return names
    }

    /// Calls back when Redis was asked; false where it is not.
    func lookUp(_ tasks: [TaskName], whenDone: @escaping @Sendable () -> Void) -> Bool {
        source.lookUp(tasks, whenDone: whenDone)
    }

    func noteNoRoom(_ tasks: Int) {
        counted.withLock { $0.noRoom += UInt64(tasks) }
    }

    private func isOrphan(_ span: TaskSpan) -> Bool {
        mode != .off && span.role == .process && !span.parent.isValid && !span.link.isValid
    }

    /// Sets what is restored in the spans, and returns the changes to be made to the request's bytes.
    func relink(_ spans: inout [TaskSpan], in body: UnsafeRawBufferPointer) throws(WireError) -> [SpanEdit] {
        var found: [(index: Int, context: TraceContext)] = []
        var notFound: UInt64 = 0
        for (index, span) in spans.enumerated() where isOrphan(span) {
            let context = span.taskID.isEmpty || span.queue.isEmpty
                ? nil : source.context(queue: span.queue.bytes(in: body), id: span.taskID.bytes(in: body)).context
            if let context, context.reference.isValid, context.reference != span.reference {
                found.append((index, context))
            } else {
                notFound += 1
            }
        }
        let alone = mode == .parent && !found.isEmpty ? try loners(found.map { spans[$0.index] }, in: body) : []
        var edits: [SpanEdit] = []
        for (index, context) in found {
            let range = Int(spans[index].content.offset)..<Int(spans[index].content.offset + spans[index].content.count)
            // What pairs it with its producer, either way.
            spans[index].link = context.reference
            if alone.contains(spans[index].reference.trace) {
                spans[index].movedTo = context.reference.trace
                edits.append(SpanEdit(range, .parent(context)))
            } else {
                edits.append(SpanEdit(range, .link(context)))
            }
        }
        let parents = UInt64(edits.count { if case .parent = $0.change { true } else { false } })
        if !edits.isEmpty || notFound > 0 {
            counted.withLock { counts in
                counts.parents += parents
                counts.links += UInt64(edits.count) - parents
                counts.notFound += notFound
            }
        }
        return edits
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
        guard wait == .absent, stamp == .absent else { return false }
        switch retryCount {
        case .absent: return true
        case .integer(let count): return count == 0
        default: return false
        }
    }
}
