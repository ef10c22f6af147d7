import Model

/// The findings of the scanner in a request.
struct ScannedRequest: Sendable {
    /// The number of spans without the refused ones.
    let spanCount: Int
    var taskSpans: [TaskSpan]
    let refused: [Range<Int>]
    let partial: PartialSuccess
    let source: SpanSource
}

/// A request with bytes and task spans of its own, for another thread: the scanner and its body go on to the next one.
struct RequestCopy: Sendable {
    let scanned: ScannedRequest
    private let body: [UInt8]
    /// The payload; nil where it is the body.
    private let payload: [UInt8]?

    init(_ scanned: ScannedRequest, _ body: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) {
        var own = scanned
        own.taskSpans = scanned.taskSpans.map(\.self)
        self.scanned = own
        self.body = [UInt8](body)
        self.payload = payload.baseAddress == body.baseAddress ? nil : [UInt8](payload)
    }

    var bytes: Int { body.count + (payload?.count ?? 0) }

    func withBytes<Failure: Error>(
        _ use: (_ body: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try body.withUnsafeBufferPointer { body throws(Failure) in
            let body = UnsafeRawBufferPointer(body)
            guard let payload else { return try use(body, body) }
            try payload.withUnsafeBufferPointer { payload throws(Failure) in
                try use(body, UnsafeRawBufferPointer(payload))
            }
        }
    }
}
