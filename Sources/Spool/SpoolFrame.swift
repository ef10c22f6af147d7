package import Model

/// The address of a payload: where its frame stands, and what is known of it without reading it again.
package struct SpoolFrame: Sendable, Equatable {
    /// The first sequence of its segment.
    let segment: UInt64
    package let sequence: UInt64
    /// Where its header begins in the segment.
    let offset: Int
    package let payloadBytes: Int
    package let spanCount: Int
    /// When it was appended.
    package let time: WallTime

    /// Where the next frame begins in the segment.
    var end: Int { offset + FrameHeader.count + payloadBytes }

    init(_ header: FrameHeader, segment: UInt64, offset: Int) {
        self.segment = segment
        self.offset = offset
        sequence = header.sequence
        payloadBytes = header.payloadCount
        spanCount = header.spanCount
        time = header.time
    }
}

/// Payloads in a row, to be sent as one: protobuf messages of one type concatenate to one message.
package struct SpoolBatch: Sendable {
    package var bytes: [UInt8] = []
    package var frames: [SpoolFrame] = []
    /// Spans that are still to be sent.
    package var spanCount = 0
    /// The spans that are still to be sent of a frame that was sent in part before the start; such a frame comes alone.
    package var unsentSpans: [Range<Int>]?

    package init() {}

    package var isEmpty: Bool { frames.isEmpty }

    /// Hands the bytes over: no copy of them stays here.
    package mutating func takeBytes() -> [UInt8] {
        let taken = bytes
        bytes = []
        return taken
    }

    /// Makes room once for what a chunk of so many bytes may bring.
    mutating func reserve(_ count: Int) {
        if bytes.isEmpty { bytes.reserveCapacity(count) }
    }

    mutating func append(_ frame: SpoolFrame, _ payload: UnsafeRawBufferPointer) {
        bytes += payload
        frames.append(frame)
        spanCount += frame.spanCount
    }
}

/// What a delivery carries, by its addresses: its bytes stay on disk until it is sent, and each time it is sent again.
package enum SpoolAddress: Sendable, Equatable {
    /// Whole frames, at least one.
    case frames([SpoolFrame])
    /// Some spans of a single frame, counted from 0.
    case spans(Range<Int>, of: SpoolFrame)

    package var frames: [SpoolFrame] {
        switch self {
        case .frames(let frames): frames
        case .spans(_, let frame): [frame]
        }
    }

    package var spanCount: Int {
        switch self {
        case .frames(let frames): frames.reduce(0) { $0 + $1.spanCount }
        case .spans(let range, _): range.count
        }
    }
}
