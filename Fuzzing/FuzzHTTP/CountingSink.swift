import Model
import OTLP
import SpanReceiver
import Synchronization

/// Counts the spans that come, after it has looked whether they are there.
final class CountingSink: SpanSink {
    private struct State {
        var spanCount = 0
        var calls = 0
        var waiting: [@Sendable (Bool) -> Void] = []
        var scanner: SpanScanner
    }

    private let scene: Scene
    private let state: Mutex<State>
    let acknowledgesAfterSync: Bool

    init(_ scene: Scene, _ attributes: TaskAttributeTable) {
        self.scene = scene
        state = Mutex(State(scanner: SpanScanner(table: attributes)))
        acknowledgesAfterSync = scene.acknowledgesAfterSync
    }

    var spanCount: Int { state.withLock { $0.spanCount } }

    func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, confirm: () -> Bool,
        whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) {
        try state.withLock { state throws(SinkRefusal) in
            do throws(MalformedRequest) {
                try state.scanner.scan(payload)
            } catch {
                preconditionFailure("what is to be kept is no request: \(error)")
            }
            precondition(state.scanner.refused.isEmpty, "what is to be kept has a span that no backend takes")
            precondition(state.scanner.spanCount == spanCount, "what is to be kept has other spans than counted")
            state.calls += 1
            switch scene.sinkMood {
            case 1: throw SinkRefusal(.spoolFull, "full")
            case 2: throw SinkRefusal(.tooLarge, "too large")
            case 3 where state.calls % 2 == 0: throw SinkRefusal(.unavailable, "unavailable")
            default: break
            }
            precondition(confirm(), "the sender was answered before its request was kept")
            state.spanCount += spanCount
            precondition(
                (whenDurable != nil) == acknowledgesAfterSync, "a wait for the disk that is none, or none at all")
            if let whenDurable { state.waiting.append(whenDurable) }
        }
    }

    /// Of the request that was kept last.
    func observe(_ taskSpans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [MadeRequest] {
        state.withLock { state in
            precondition(state.scanner.taskSpans.count == taskSpans.count, "other task spans than are kept")
            for span in taskSpans {
                for text in [span.queue, span.taskType, span.taskID] { _ = text.bytes(in: body) }
            }
        }
        return []
    }

    /// The disk answers for all that it was given.
    func sync(succeeds: Bool) {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for whenDurable in waiting { whenDurable(succeeds) }
    }
}
