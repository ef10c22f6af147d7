import NIOCore

/// The body of one request as it comes, within its limits.
///
/// The bytes that it holds of the connection's share are returned when it is gone, whatever ends it: the request is complete,
/// refused, reset, or its connection is closed. A body that comes in one part is never held.
struct BodyReception: ~Copyable {
    let exchange: any HTTPExchange
    /// The bytes that came so far.
    private(set) var bytes = ByteBuffer()
    /// The bytes that are held of the share: all of them, but none of a body that came in one part.
    private(set) var heldBytes = 0
    private let maxBytes: Int
    private let reservedBytes: Int
    private let share: ConnectionShare

    /// - Parameters:
    ///   - maxBytes: The value of `exchange.maxBodyBytes`, which is asked once for each request.
    ///   - reservedBytes: The space for a body that comes in parts, to begin with; it grows with the body.
    init(_ exchange: any HTTPExchange, maxBytes: Int, reservedBytes: Int, _ share: ConnectionShare) {
        self.exchange = exchange
        self.maxBytes = maxBytes
        self.reservedBytes = reservedBytes
        self.share = share
    }

    deinit {
        share.releaseBody(heldBytes)
    }

    /// Appends a part. Returns the reason why it is not kept, in which case nothing is changed.
    ///
    /// - Parameters:
    ///   - isWhole: No other part is expected; a first part is then kept as it came, without a copy, until it is
    ///     answered.
    ///   - mayBeWhole: The length is unknown, and a first part is not copied either.
    mutating func append(_ part: ByteBuffer, isWhole: Bool, mayBeWhole: Bool = false) -> BodyRefusal? {
        if part.readableBytes == 0 { return nil }
        let total = bytes.readableBytes + part.readableBytes
        if total > maxBytes { return .tooLarge }
        if isWhole && bytes.readableBytes == 0 {
            bytes = part
            return nil
        }
        guard share.holdBody(part.readableBytes) else { return .overloaded }
        heldBytes += part.readableBytes
        if mayBeWhole && bytes.readableBytes == 0 {
            bytes = part
            return nil
        }
        bytes.reserveCapacity(reservedBytes)
        bytes.writeImmutableBuffer(part)
        return nil
    }
}
