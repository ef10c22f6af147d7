import NIOCore

/// The time that a request may take to come, however steadily its bytes drip.
///
/// | state     | bytes            | end of the request | end of the answer                  |
/// |-----------|------------------|--------------------|------------------------------------|
/// | idle      | → running        | → answering        | –                                  |
/// | running   | –                | → answering        | –                                  |
/// | answering | the next request has begun | →  answering | → running if the next has begun, else idle |
///
/// While a request is being answered the time of the next one stands still: that is held back until the client has read the
/// answer.
struct RequestClock {
    /// The result of asking the clock.
    enum Check: Equatable {
        /// No request is under way.
        case rest
        case again(after: TimeAmount)
        case tooSlow
    }

    private enum State {
        case idle
        case running(since: NIODeadline)
        case answering(nextHasBegun: Bool)
    }

    static let timeout = TimeAmount.seconds(HTTPLimits.requestSeconds)

    private var state = State.idle

    /// True if a request has begun and is not complete.
    var isRunning: Bool {
        if case .running = state { true } else { false }
    }

    /// True if bytes have come behind the request that is being answered.
    var nextHasBegun: Bool {
        if case .answering(nextHasBegun: true) = state { true } else { false }
    }

    mutating func bytesArrived(at now: NIODeadline) {
        switch state {
        case .idle: state = .running(since: now)
        case .running: break
        case .answering: state = .answering(nextHasBegun: true)
        }
    }

    /// Records the end of a request. What came behind it counts from the next bytes on.
    mutating func requestEnded() {
        state = .answering(nextHasBegun: false)
    }

    mutating func answerEnded(at now: NIODeadline) {
        guard case .answering(let nextHasBegun) = state else { return }
        state = nextHasBegun ? .running(since: now) : .idle
    }

    func check(at now: NIODeadline) -> Check {
        switch state {
        case .idle, .answering(nextHasBegun: false): return .rest
        case .answering(nextHasBegun: true): return .again(after: Self.timeout)
        case .running(let start):
            let left = start + Self.timeout - now
            return left > .zero ? .again(after: left) : .tooSlow
        }
    }
}
