import Model
import NIOCore

/// The findings of the scanner in a request.
struct ScannedRequest: Sendable {
    /// The number of spans without the refused ones.
    let spanCount: Int
    var taskSpans: [TaskSpan]
    let refused: [Range<Int>]
    let partial: PartialSuccess
    let source: SpanSource
}

/// The bytes of a request while it is read.
struct RequestBytes {
    let bytes: UnsafeRawBufferPointer
    /// The buffer with just these bytes; nil where they lie in a buffer that the next request is written into.
    let buffer: ByteBuffer?

    init(_ bytes: UnsafeRawBufferPointer, in buffer: ByteBuffer? = nil) {
        self.bytes = bytes
        self.buffer = buffer
    }

    /// A reference to the bytes that outlives the request, or a copy of them.
    var kept: ByteBuffer {
        // A small request would hold all that came in one read.
        if let buffer, buffer.storageCapacity <= bytes.count * 2 { return buffer }
        return ByteBuffer(bytes: bytes)
    }
}

/// A request with bytes and task spans of its own, for another thread: the scanner and its buffers go on to the next one.
struct KeptRequest: Sendable {
    let scanned: ScannedRequest
    private let body: ByteBuffer
    /// The payload; nil where it is the body.
    private let payload: ByteBuffer?

    init(_ scanned: ScannedRequest, in body: RequestBytes, payload: UnsafeRawBufferPointer) {
        var own = scanned
        let spans = scanned.taskSpans
        // Most of the capacity of the scanner's array: it takes as much again for the next request.
        if spans.count * 2 < spans.capacity { own.taskSpans = spans.map { $0 } }
        self.scanned = own
        self.body = body.kept
        self.payload = payload.baseAddress == body.bytes.baseAddress ? nil : ByteBuffer(bytes: payload)
    }

    /// The bytes that it holds in memory.
    var bytes: Int {
        body.storageCapacity + (payload?.storageCapacity ?? 0)
            + scanned.taskSpans.count * MemoryLayout<TaskSpan>.stride
    }

    func withBytes<Failure: Error>(
        _ use: (_ body: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try body.withUnsafeReadableBytes { body throws(Failure) in
            guard let payload else { return try use(body, body) }
            try payload.withUnsafeReadableBytes { payload throws(Failure) in try use(body, payload) }
        }
    }
}
