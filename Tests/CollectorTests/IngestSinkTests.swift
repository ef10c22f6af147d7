import Forwarder
import Logging
import Metrics
import Model
import Platform
import SpanReceiver
import Synchronization
import Testing
import WaitTime

@testable import AsynqRedis
@testable import Collector
@testable import Forwarder
@testable import Spool

/// A directory in memory.
final class NoDisk: SpoolFileSystem {
    final class File: SpoolFile {
        let bytes = Mutex<[UInt8]>([])

        var count: Int { get throws(SystemError) { bytes.withLock { $0.count } } }
        func append(
            _ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at end: Int
        ) throws(SystemError) {
            let whole = Array(head) + Array(payload)
            bytes.withLock { $0 += whole }
        }
        func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
            self.bytes.withLock { $0 = Array($0.prefix(offset)) + bytes }
        }
        func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
            bytes.withLock { Array($0.dropFirst(offset).prefix(count)) }
        }
        func truncate(to count: Int) throws(SystemError) {}
        func sync() throws(SystemError) {}
    }

    func open(_ name: String) throws(SystemError) -> any SpoolFile { File() }
    func names() throws(SystemError) -> [String] { [] }
    func delete(_ name: String) throws(SystemError) {}
    func rename(_ name: String, to newName: String) throws(SystemError) {}
    func syncDirectory() throws(SystemError) {}
}

@Suite("Where accepted spans go")
struct IngestSinkTests {
    private let clock = Clock.system

    private func makeSpool(_ options: SpoolOptions) throws -> Spool {
        try Spool(fileSystem: NoDisk(), options: options, clock: clock)
    }

    private func makeAggregator() -> LockedAggregator {
        LockedAggregator(
            TaskAggregatorOptions(
                bounds: HistogramBounds(ascending: 1), maxTaskTypes: 1, maxQueues: 1, quantileWindow: .nanoseconds(1)),
            clock: clock)
    }

    @Test(
        "Made spans wake the forwarder once they can be read: with sync always when they are on the disk",
        arguments: [
            SpoolSync.always, .never,
        ])
    func madeSpans(sync: SpoolSync) throws {
        let spool = try makeSpool(SpoolOptions(maxBytes: 1 << 20, sync: sync))
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let options = try #require(try options(["--tempo-endpoint=http://127.0.0.1:1"])?.forwarder)
        let forwarder = Forwarder(spool: spool, options: options, clock: clock, logger: logger)
        let sink = IngestSink(aggregator: makeAggregator(), seenTasks: nil, spool: spool, forwarder: forwarder)
        #expect(sink.acknowledgesAfterSync == (sync == .always))
        // As its thread does before it sleeps.
        forwarder.wakeRule.store(.firstSpan, ordering: .releasing)
        ReceiverCounters().keep(MadeRequest(payload: [1, 2, 3], spanCount: 1), in: sink)
        if sync == .always {
            #expect(forwarder.wakeRule.load(ordering: .acquiring) == .firstSpan, "nothing can be read yet")
            #expect(spool.syncOnce())
        }
        #expect(forwarder.wakeRule.load(ordering: .acquiring) == .never)
    }

    private func refusal(_ sink: IngestSink, bytes: Int) -> RefusalReason? {
        do throws(SinkRefusal) {
            try [UInt8](repeating: 0, count: bytes).withUnsafeBufferPointer { payload throws(SinkRefusal) in
                try sink.append(UnsafeRawBufferPointer(payload), spanCount: 1, confirm: { true }, whenDurable: nil)
            }
            return nil
        } catch {
            return error.reason
        }
    }

    @Test("A spool that is full, that could never hold the request, and one that is closed are told apart")
    func refusals() throws {
        let spool = try makeSpool(SpoolOptions(maxBytes: 64 << 10, sync: .never))
        let sink = IngestSink(aggregator: makeAggregator(), seenTasks: nil, spool: spool, forwarder: nil)
        #expect(refusal(sink, bytes: 64 << 10) == .tooLarge)
        #expect(refusal(sink, bytes: 32 << 10) == nil)
        #expect(refusal(sink, bytes: 32 << 10) == .spoolFull)
        spool.close()
        #expect(refusal(sink, bytes: 1) == .unavailable)
    }

    @Test("Without a trace backend nothing is kept, and nothing waits for a disk")
    func withoutSpool() {
        let sink = IngestSink(aggregator: makeAggregator(), seenTasks: nil, spool: nil, forwarder: nil)
        #expect(!sink.acknowledgesAfterSync && refusal(sink, bytes: 1 << 20) == nil)
    }

    /// A span of task "t" of queue "q", the two letters of `body`, from 103 s to 104 s, with what is known of the task.
    private static func attempt(_ number: UInt64, lookedFor body: [UInt8], in seen: SeenTasks) -> [TaskSpan] {
        var span = TaskSpan()
        span.reference = SpanReference(trace: TraceID(high: 1, low: 1), span: SpanID(number))
        span.queue = ByteRange(offset: 0, count: 1)
        span.taskID = ByteRange(offset: 1, count: 1)
        span.startNanoseconds = 103_000_000_000
        span.endNanoseconds = 104_000_000_000
        var spans = [span]
        body.withUnsafeBytes { seen.look(for: &spans, in: $0) }
        return spans
    }

    @Test("The ready time that a span was told is used up when the span was accepted")
    func readyTimes() {
        let seen = SeenTasks()
        seen.record(queue: QueueName("q"), id: Array("t".utf8), ready: WallTime(seconds: 100), task: nil)
        let sink = IngestSink(aggregator: makeAggregator(), seenTasks: seen, spool: nil, forwarder: nil)
        let body = Array("qt".utf8)
        func looked(_ number: UInt64) -> [TaskSpan] { Self.attempt(number, lookedFor: body, in: seen) }
        // Its request was refused, and it comes again.
        #expect(looked(1).first?.knowledge.readyTime != nil)
        let spans = looked(1)
        #expect(body.withUnsafeBytes { sink.observe(spans, in: $0) }.isEmpty)
        #expect(looked(2).first?.knowledge.readyTime == nil)
        let wait = sink.aggregator.slowestWaits.first
        #expect(wait?.seconds == 3 && wait?.queue == QueueName("q"))
    }

    @Test("A span that comes again uses up no ready time: it belongs to the attempt that follows")
    func repeatedSpan() {
        let seen = SeenTasks()
        let sink = IngestSink(aggregator: makeAggregator(), seenTasks: seen, spool: nil, forwarder: nil)
        let body = Array("qt".utf8)
        func looked(_ number: UInt64) -> [TaskSpan] { Self.attempt(number, lookedFor: body, in: seen) }
        // The first attempt was never seen pending. Its sender did not hear the answer, and the task is pending again.
        #expect(body.withUnsafeBytes { sink.observe(looked(1), in: $0) }.isEmpty)
        seen.record(queue: QueueName("q"), id: Array("t".utf8), ready: WallTime(seconds: 102), task: nil)
        let again = looked(1)
        #expect(again.first?.knowledge.readyTime != nil)
        #expect(body.withUnsafeBytes { sink.observe(again, in: $0) }.isEmpty)
        #expect(looked(2).first?.knowledge.readyTime?.time == WallTime(seconds: 102))
    }

    @Test("A span whose trace is forwarded can be opened from its wait, and no other", arguments: [true, false])
    func exemplars(isForwarded: Bool) throws {
        let spool = isForwarded ? try makeSpool(SpoolOptions(maxBytes: 1 << 20, sync: .never)) : nil
        let sink = IngestSink(aggregator: makeAggregator(), seenTasks: nil, spool: spool, forwarder: nil)
        var span = TaskSpan()
        span.reference = SpanReference(trace: TraceID(high: 1, low: 1), span: SpanID(2))
        span.startNanoseconds = 103_000_000_000
        span.wait = .integer(3)
        #expect([UInt8]().withUnsafeBytes { sink.observe([span], in: $0) }.isEmpty)
        let wait = try #require(sink.aggregator.slowestWaits.first)
        #expect(wait.span == (isForwarded ? span.reference : nil))
    }
}
