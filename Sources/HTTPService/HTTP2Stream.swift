import NIOCore

/// One request of an HTTP/2 connection. The table of its phases stands at `HTTP2Machine`.
final class HTTP2Stream {
    enum Outcome {
        case nothing
        case complete(any HTTPExchange, ByteBuffer)
        case refused(HTTPResponse)
        /// More of a refused body came than is read and dropped.
        case overDrained
    }

    private enum Phase: ~Copyable {
        case receiving(BodyReception)
        case answering
        case discarding(dropped: Int)

        mutating func receive(_ part: ByteBuffer, isEnd: Bool) -> Outcome {
            switch consume self {
            case .receiving(var reception):
                if let reason = reception.append(part, isWhole: isEnd) {
                    self = isEnd ? .answering : .discarding(dropped: 0)
                    return .refused(reception.exchange.refuse(reason))
                }
                if isEnd {
                    self = .answering
                    return .complete(reception.exchange, reception.bytes)
                }
                self = .receiving(reception)
                return .nothing
            case .discarding(let dropped):
                let total = dropped + part.readableBytes
                self = .discarding(dropped: total)
                return total > HTTP2Limits.drainBytesMax && !isEnd ? .overDrained : .nothing
            case .answering:
                self = .answering
                return .nothing
            }
        }
    }

    let omitsBody: Bool
    let arrival: NIODeadline
    /// True if bytes came since the last look at streams that stall.
    var isMoving = true
    private var phase: Phase
    private let share: ConnectionShare
    /// The part of the share that the stream holds without its body; 0 where the share was used up.
    private(set) var heldHeadBytes = 0

    init(
        _ exchange: any HTTPExchange, maxBytes: Int, _ share: ConnectionShare, omitsBody: Bool, arrival: NIODeadline
    ) {
        let reserved = min(maxBytes, HTTP2Limits.bodyReserveBytes)
        phase = .receiving(BodyReception(exchange, maxBytes: maxBytes, reservedBytes: reserved, share))
        self.share = share
        self.omitsBody = omitsBody
        self.arrival = arrival
    }

    /// Makes a request that its head alone has answered.
    ///
    /// - Parameter isIncomplete: A body follows, which is dropped.
    init(
        answeredWhileIncomplete isIncomplete: Bool, _ share: ConnectionShare, omitsBody: Bool, arrival: NIODeadline
    ) {
        phase = isIncomplete ? .discarding(dropped: 0) : .answering
        self.share = share
        self.omitsBody = omitsBody
        self.arrival = arrival
    }

    deinit {
        share.releaseHead(heldHeadBytes)
    }

    /// Holds space for the stream, or for an answer that waits for the client's window; returns false where it is
    /// missing.
    func hold(_ bytes: Int) -> Bool {
        guard share.holdHead(bytes) else { return false }
        heldHeadBytes += bytes
        return true
    }

    /// True if more is to come, be the request answered or not.
    var isIncomplete: Bool {
        switch phase {
        case .answering: false
        default: true
        }
    }

    func receive(_ part: ByteBuffer, isEnd: Bool) -> Outcome { phase.receive(part, isEnd: isEnd) }
}
