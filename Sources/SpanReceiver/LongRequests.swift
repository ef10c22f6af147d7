import NIOCore
import Platform

/// Requests that would hold the event loop for milliseconds; a thread reads them, with tools of its own.
struct LongRequests: Sendable {
    private static let leastBytes = 256 << 10
    /// The size from which a packed body counts as long: it may become a thousand times as much.
    private static let leastPackedBytes = 16 << 10

    let thread: SerialThread
    let scratch: ScanTools
    /// The bytes of bodies that wait for their turn.
    let waiting: ByteBudget

    func isLong(_ bytes: Int, _ coding: BodyCoding) -> Bool {
        bytes >= (coding == .identity ? Self.leastBytes : Self.leastPackedBytes)
    }

    /// Queues the body for the thread, which runs it in its turn. Returns nil where too many bytes wait already.
    func run(
        _ bytes: Int, on eventLoop: any EventLoop, _ body: @escaping @Sendable () -> TraceIntake.Reply
    ) -> TraceIntake.Reply? {
        guard waiting.holdOneAtLeast(bytes) else { return nil }
        let promise = eventLoop.makePromise(of: TraceOutcome.self)
        let isTaken = thread.run {
            switch body() {
            case .now(let outcome): promise.succeed(outcome)
            case .later(let future): future.cascade(to: promise)
            }
            waiting.release(bytes)
        }
        if !isTaken {
            waiting.release(bytes)
            promise.succeed(.refused(TraceRefusal(.unavailable, "the program is ending")))
        }
        return .later(promise.futureResult)
    }
}
