import Model
import NIOCore
import NIOEmbedded
import NIOPosix
import OTLP
import Platform
import Synchronization
import Testing

@testable import SpanReceiver

@Suite("The thread for long requests")
struct LongRequestsTests {
    private let loop = EmbeddedEventLoop()

    /// Nothing is started, unless a test does: what is run waits.
    private func requests(_ thread: SerialThread, waiting: Int = 1000) -> LongRequests {
        LongRequests(thread: thread, scratch: ScanTools(TaskAttributeTable()), waiting: ByteBudget(waiting))
    }

    private static let accepted = TraceIntake.Reply.now(.accepted(PartialSuccess()))

    @Test(
        "A body is long from 256 KiB on, a packed one from 16 KiB on",
        arguments: [
            (262_143, .identity, false), (262_144, .identity, true), (16_383, .deflated, false),
            (16_384, .deflated, true), (16_383, .zstd, false), (16_384, .zstd, true), (16_384, .identity, false),
        ] as [(Int, BodyCoding, Bool)])
    func lengths(bytes: Int, coding: BodyCoding, isLong: Bool) {
        #expect(requests(SerialThread(name: "test", clock: .system)).isLong(bytes, coding) == isLong)
    }

    @Test("What waits is bounded; a single one always finds its place, and one that is done leaves it")
    func bounded() throws {
        let thread = SerialThread(name: "test", clock: .system)
        let long = requests(thread)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        #expect(long.run(600, on: loop) { Self.accepted } != nil)
        #expect(long.run(401, on: loop) { Self.accepted } == nil && long.waiting.heldBytes == 600)
        #expect(long.run(400, on: loop) { Self.accepted } != nil && long.waiting.heldBytes == 1000)
        try thread.start()
        thread.stop(until: MonotonicTime(nanoseconds: .max))
        #expect(long.waiting.heldBytes == 0)
        let large = requests(SerialThread(name: "test", clock: .system))
        #expect(large.run(5000, on: loop) { Self.accepted } != nil && large.waiting.heldBytes == 5000)
    }

    @Test("While the program ends, a request is refused for now, and holds nothing")
    func ending() throws {
        let thread = SerialThread(name: "test", clock: .system)
        thread.stop(until: MonotonicTime(nanoseconds: 0))
        let long = requests(thread)
        let reply = long.run(10, on: loop) {
            Issue.record("it is not run")
            return Self.accepted
        }
        let outcome = Outcome()
        guard case .later(let future)? = reply else {
            Issue.record("an answer at once")
            return
        }
        future.whenSuccess { value in outcome.value.withLock { $0 = value } }
        #expect(outcome.refusal?.reason == .unavailable && outcome.refusal?.message == "the program is ending")
        #expect(long.waiting.heldBytes == 0)
    }
}
