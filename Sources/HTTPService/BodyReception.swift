import NIOCore

/// The body of one request as it comes, within its limits.
///
/// The bytes that it holds of the listener's allowance (`HTTPLimits.hold`) are returned when it is gone, whatever ends it: the
/// request is complete, refused, reset, or its connection is closed.
struct BodyReception: ~Copyable {
    let exchange: any HTTPExchange
    /// What came so far. All of it is held of the allowance.
    private(set) var bytes = ByteBuffer()
    private let maxBytes: Int
    private let reservedBytes: Int
    private let limits: HTTPLimits

    /// - Parameters:
    ///   - maxBytes: `exchange.maxBodyBytes`, which is asked once for each request.
    ///   - reservedBytes: room that is made for a body that comes in parts; more is made as it grows.
    init(_ exchange: any HTTPExchange, maxBytes: Int, reservedBytes: Int, _ limits: HTTPLimits) {
        self.exchange = exchange
        self.maxBytes = maxBytes
        self.reservedBytes = reservedBytes
        self.limits = limits
    }

    deinit {
        limits.release(bytes.readableBytes)
    }

    /// Appends a part. Returns why it is not kept, in which case nothing is changed.
    ///
    /// - Parameters:
    ///   - isWhole: no other part is expected; a first part is then kept as it came, without a copy.
    ///   - maxConnectionBytes: what the connection may hold beside what it holds.
    mutating func append(_ part: ByteBuffer, isWhole: Bool, maxConnectionBytes: Int = .max) -> BodyRefusal? {
        if part.readableBytes == 0 { return nil }
        let total = bytes.readableBytes + part.readableBytes
        if total > maxBytes { return .tooLarge }
        guard part.readableBytes <= maxConnectionBytes, limits.hold(part.readableBytes) else { return .overloaded }
        if isWhole && bytes.readableBytes == 0 {
            bytes = part
        } else {
            bytes.reserveCapacity(reservedBytes)
            bytes.writeImmutableBuffer(part)
        }
        return nil
    }
}
