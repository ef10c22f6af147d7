import Model
import NIOCore
import NIOEmbedded
import OTLP
import Platform
import ProtobufWire
import Synchronization

@testable import SpanReceiver

/// An OTLP request while it is written, span by span.
struct RequestMaker {
    private var spans: [[UInt8]] = []

    /// A span of kind CONSUMER that names the task `id` of queue `q`. `more` adds fields.
    mutating func process(
        _ number: UInt64, id: String = "t", trace: UInt64? = nil, more: (inout WireWriter) -> Void = { _ in }
    ) {
        span(number, trace: trace) { span in
            span.varint(6, 5)
            Self.attribute("messaging.destination.name", "q", to: &span)
            if !id.isEmpty { Self.attribute("messaging.message.id", id, to: &span) }
            more(&span)
        }
    }

    /// A span that tells of no task.
    mutating func span(_ number: UInt64, trace: UInt64? = nil, more: (inout WireWriter) -> Void = { _ in }) {
        var writer = WireWriter()
        writer.data(1, TraceID(high: 7, low: trace ?? number).bytes)
        writer.data(2, SpanID(number).bytes)
        more(&writer)
        spans.append(writer.bytes)
    }

    /// A span whose trace id is zero.
    mutating func badSpan() {
        var writer = WireWriter()
        writer.data(1, [UInt8](repeating: 0, count: 16))
        writer.data(2, SpanID(1).bytes)
        spans.append(writer.bytes)
    }

    static func attribute(_ key: String, _ value: String, to span: inout WireWriter) {
        span.message(9) { attribute in
            attribute.string(1, key)
            attribute.message(2) { $0.string(1, value) }
        }
    }

    static func attribute(_ key: String, _ value: Int64, to span: inout WireWriter) {
        span.message(9) { attribute in
            attribute.string(1, key)
            attribute.message(2) { $0.int(3, value) }
        }
    }

    var bytes: [UInt8] {
        var request = WireWriter()
        request.message(1) { resource in
            resource.message(2) { scope in
                for span in spans { scope.message(2, span) }
            }
        }
        return request.bytes
    }
}

/// What a scanner finds in a request.
func scan(_ body: [UInt8]) throws -> SpanScanner {
    var scanner = SpanScanner()
    try body.withUnsafeBytes { try scanner.scan($0) }
    return scanner
}

func context(_ number: UInt64, isSampled: Bool = true) -> TraceContext {
    TraceContext(
        reference: SpanReference(trace: TraceID(high: 8, low: number), span: SpanID(number)), isSampled: isSampled)
}

/// A Redis of which the test says what it knows, by the id of the task.
final class FakeKnowledge: TaskKnowledgeSource {
    struct State {
        var messages: [String: CarriedMessage] = [:]
        var looks = 0
        var questions: [TaskQuestion] = []
        var answers = true
        var whenDone: (@Sendable () -> Void)?
    }

    let state = Mutex(State())

    init(_ messages: [String: CarriedMessage] = [:]) {
        state.withLock { $0.messages = messages }
    }

    func look(for spans: inout [TaskSpan], in body: UnsafeRawBufferPointer) {
        state.withLock { state in
            state.looks += 1
            for index in spans.indices where spans[index].role == .process {
                let id = String(decoding: spans[index].taskID.bytes(in: body), as: UTF8.self)
                spans[index].knowledge.message = state.messages[id]
            }
        }
    }

    func lookUp(_ questions: [TaskQuestion], whenDone: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            state.questions += questions
            if state.answers { state.whenDone = whenDone }
            return state.answers
        }
    }

    /// Redis answers what was asked.
    func answer(_ messages: [String: CarriedMessage]) {
        let whenDone = state.withLock { state in
            state.messages.merge(messages) { $1 }
            return state.whenDone.take()
        }
        whenDone?()
    }
}

/// A sink that keeps what it gets where the test can look.
final class FakeSink: SpanSink {
    struct State {
        var refusal: SinkRefusal?
        /// Waited for by each append.
        var disk: Semaphore?
        var kept: [[UInt8]] = []
        var spanCounts: [Int] = []
        var observed: [[TaskSpan]] = []
        /// The ids of the tasks that were observed.
        var taskIDs: [String] = []
        var made: [MadeRequest] = []
        var whenDurable: (@Sendable (Bool) -> Void)?
    }

    let state = Mutex(State())
    let acknowledgesAfterSync: Bool

    init(acknowledgesAfterSync: Bool = false) {
        self.acknowledgesAfterSync = acknowledgesAfterSync
    }

    func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, confirm: () -> Bool,
        whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) {
        state.withLock { $0.disk }?.wait()
        try state.withLock { state throws(SinkRefusal) in
            if let refusal = state.refusal { throw refusal }
            guard confirm() else { throw SinkRefusal(.unavailable, "late") }
            state.kept.append([UInt8](payload))
            state.spanCounts.append(spanCount)
            if let whenDurable { state.whenDurable = whenDurable }
        }
    }

    func observe(_ taskSpans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [MadeRequest] {
        state.withLock { state in
            state.observed.append(taskSpans)
            state.taskIDs += taskSpans.map { String(decoding: $0.taskID.bytes(in: body), as: UTF8.self) }
            defer { state.made = [] }
            return state.made
        }
    }

    var kept: [[UInt8]] { state.withLock { $0.kept } }
    var observed: [[TaskSpan]] { state.withLock { $0.observed } }
}

/// An intake with all around it that is not under test.
struct IntakeStage {
    let sink: FakeSink
    let knowledge: FakeKnowledge
    let relinker: TraceRelinker
    let counters = ReceiverCounters()
    let memory: ByteBudget
    let intake: TraceIntake
    let loop = EmbeddedEventLoop()

    init(
        _ mode: RelinkMode = .link, knows messages: [String: CarriedMessage] = [:], sink: FakeSink = FakeSink(),
        maxBodyBytes: Int = 64 << 20, memoryBytes: Int = 256 << 20, appends: AppendThread? = nil,
        worker: SerialThread? = nil
    ) {
        self.sink = sink
        knowledge = FakeKnowledge(messages)
        memory = ByteBudget(memoryBytes)
        relinker = TraceRelinker(mode, source: knowledge)
        intake = TraceIntake(
            bodyLimit: BodyLimit(maxBodyBytes), memory: memory, attributes: TaskAttributeTable(), sink: sink,
            counters: counters, relinker: relinker, appends: appends, worker: worker)
    }

    /// What became of the request; nil while it waits for something.
    func take(
        _ body: [UInt8], _ coding: BodyCoding = .identity, from source: SpanSource = .httpProtobuf,
        on eventLoop: (any EventLoop)? = nil
    ) -> Outcome {
        let outcome = Outcome()
        switch intake.take(ByteBuffer(bytes: body), coding, from: source, on: eventLoop ?? loop) {
        case .now(let value): outcome.value.withLock { $0 = value }
        case .later(let future): future.whenSuccess { value in outcome.value.withLock { $0 = value } }
        }
        return outcome
    }

    var values: ReceiverCounters.Values { counters.current }
}

final class Outcome: Sendable {
    let value = Mutex<TraceOutcome?>(nil)

    /// What was said of an accepted request.
    var partial: PartialSuccess? {
        if case .accepted(let partial)? = value.withLock({ $0 }) { partial } else { nil }
    }

    /// Spans that were refused for their ids, where the others were accepted.
    var badIDs: Int? { partial?.badIDs }

    var refusal: TraceRefusal? {
        if case .refused(let refusal)? = value.withLock({ $0 }) { refusal } else { nil }
    }

    var isKnown: Bool { value.withLock { $0 != nil } }
}
