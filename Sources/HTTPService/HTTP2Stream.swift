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

        mutating func receive(_ part: ByteBuffer, isEnd: Bool, maxConnectionBytes: Int) -> Outcome {
            switch consume self {
            case .receiving(var reception):
                if let reason = reception.append(part, isWhole: isEnd, maxConnectionBytes: maxConnectionBytes) {
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
    /// Bytes came since the last look at streams that stall.
    var isMoving = true
    private let maxBytes: Int
    private var phase: Phase

    init(
        _ exchange: any HTTPExchange, maxBytes: Int, _ limits: HTTPLimits, omitsBody: Bool, arrival: NIODeadline
    ) {
        let reserved = min(maxBytes, HTTP2Limits.bodyReserveBytes)
        phase = .receiving(BodyReception(exchange, maxBytes: maxBytes, reservedBytes: reserved, limits))
        self.maxBytes = maxBytes
        self.omitsBody = omitsBody
        self.arrival = arrival
    }

    /// A request that its head alone has answered.
    ///
    /// - Parameter isIncomplete: a body follows, which is dropped.
    init(answeredWhileIncomplete isIncomplete: Bool, omitsBody: Bool, arrival: NIODeadline) {
        phase = isIncomplete ? .discarding(dropped: 0) : .answering
        maxBytes = 0
        self.omitsBody = omitsBody
        self.arrival = arrival
    }

    /// What the body holds of the allowances.
    var heldBytes: Int {
        switch phase {
        case .receiving(let reception): reception.bytes.readableBytes
        default: 0
        }
    }

    /// Whether more is to come, be the request answered or not.
    var isIncomplete: Bool {
        switch phase {
        case .answering: false
        default: true
        }
    }

    /// - Parameter connectionHolds: what the bodies of all streams of the connection hold together.
    func receive(_ part: ByteBuffer, isEnd: Bool, connectionHolds: Int) -> Outcome {
        let room = max(HTTP2Limits.heldBytesMax, maxBytes) - connectionHolds
        return phase.receive(part, isEnd: isEnd, maxConnectionBytes: room)
    }
}
