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

    func keep(_ spans: MadeSpans) throws(SinkRefusal) {
        preconditionFailure("this sink makes no spans")
    }

    func take(
        _ spans: AcceptedSpans, whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) -> (() -> [MadeSpans])? {
        try state.withLock { state throws(SinkRefusal) in
            do throws(MalformedRequest) {
                try state.scanner.scan(spans.payload)
            } catch {
                preconditionFailure("what is to be kept is no request: \(error)")
            }
            precondition(state.scanner.refused.isEmpty, "what is to be kept has a span that nobody takes")
            precondition(state.scanner.spanCount == spans.spanCount, "what is to be kept has other spans than counted")
            precondition(state.scanner.taskSpans.count == spans.taskSpans.count, "other task spans than are kept")
            for span in spans.taskSpans {
                for text in [span.queue, span.taskType, span.taskID] { _ = text.bytes(in: spans.scanned) }
            }
            state.calls += 1
            switch scene.sinkMood {
            case 1: throw .full("full")
            case 2: throw .tooLarge("too large")
            case 3 where state.calls % 2 == 0: throw .unavailable("unavailable")
            default: break
            }
            state.spanCount += spans.spanCount
            precondition((whenDurable != nil) == acknowledgesAfterSync, "nobody waits for the disk, or for nothing")
            if let whenDurable { state.waiting.append(whenDurable) }
        }
        return nil
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
