package import Model

/// The address of a payload: the place of its frame, and the facts that are known without reading it again.
package struct SpoolFrame: Sendable, Equatable {
    /// The first sequence of its segment.
    let segment: UInt64
    package let sequence: UInt64
    /// The place of its header in the segment.
    let offset: Int
    package let payloadBytes: Int
    package let spanCount: Int
    /// The time at which it was appended.
    package let time: WallTime

    /// The place of the next frame in the segment.
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
    /// The number of spans that are still to be sent.
    package var spanCount = 0
    /// The spans that are still to be sent of a frame that was sent in part before the start; such a frame comes alone.
    package var unsentSpans: [Range<Int>]?

    package init() {}

    package var isEmpty: Bool { frames.isEmpty }

    /// Hands the bytes over, and keeps no copy of them.
    package mutating func takeBytes() -> [UInt8] {
        let taken = bytes
        bytes = []
        return taken
    }

    /// Makes space once for what a chunk of `count` bytes may bring.
    mutating func reserve(_ count: Int) {
        if bytes.isEmpty { bytes.reserveCapacity(count) }
    }

    mutating func append(_ frame: SpoolFrame, _ payload: UnsafeRawBufferPointer) {
        bytes += payload
        frames.append(frame)
        spanCount += frame.spanCount
    }
}

/// The addresses that a delivery carries. Its bytes stay on disk until it is sent, and each time it is sent again.
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
