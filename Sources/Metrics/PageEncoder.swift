import ProtobufWire
import Text

/// Writes families into one buffer, and hands its content over whenever there is enough for a piece. A page of a
/// hundred megabytes therefore takes no more memory than one of a hundred kilobytes, and stays in the processor's
/// cache.
///
/// A family may come in portions: as long as the name is the same, its head is not written again. In protobuf a family
/// is a message whose length stands in front. One that is longer than a piece is written as several families of the
/// same name, which Prometheus takes for one.
package struct PageEncoder: ~Copyable {
    /// The approximate length of pieces: a series is never divided.
    private static let textPieceBytes = 64 << 10
    private static let protobufPieceBytes = 256 << 10

    private let format: PageFormat
    private var page = GrowingBytes()
    private var family: OpenFamily?
    /// The number of series so far, as the text formats count: a histogram has one for each bucket, its sum and its
    /// count.
    package private(set) var seriesCount = 0

    package init(_ format: PageFormat) {
        self.format = format
    }

    private var isPieceFull: Bool {
        page.count >= (format == .protobuf ? Self.protobufPieceBytes : Self.textPieceBytes)
    }

    /// Appends a family, or more of the one that came last.
    package mutating func append(_ family: MetricFamily, to sink: (UnsafeRawBufferPointer) -> Void) {
        var next = 0
        while next < family.samples.count { next = appendPiece(of: family, from: next, to: sink) }
    }

    /// Appends samples until a piece is handed over, or none is left. Returns the place that it reached.
    mutating func appendPiece(
        of family: MetricFamily, from start: Int, to sink: (UnsafeRawBufferPointer) -> Void
    ) -> Int {
        let end = family.samples.count
        if start == end || (family.isTextOnly && format != .text) { return end }
        if self.family?.isPart(of: family) != true { closeFamily() }
        let open = self.family ?? opened(family)
        for index in start..<end {
            let sample = family.samples[index]
            // This saves a third of the time that a page takes (docs/decisions/0018-series-and-pieces.md).
            if index + 1 < end { family.samples[index + 1].prefetch() }
            switch format {
            case .text: TextEncoder.append(sample, of: open, .prometheus, to: &page)
            case .openMetrics: TextEncoder.append(sample, of: open, .openMetrics, to: &page)
            case .protobuf: ProtobufEncoder.append(sample, of: open, to: &page)
            }
            seriesCount += sample.seriesCount(bucketStep: open.bucketStep)
            if isPieceFull {
                handOver(to: sink)
                return index + 1
            }
        }
        return end
    }

    /// Writes the end of a page, and hands over the rest.
    package mutating func finish(to sink: (UnsafeRawBufferPointer) -> Void) {
        closeFamily()
        if format == .openMetrics { page.append("# EOF\n") }
        handOver(to: sink)
    }

    /// Hands over the content of the buffer, and empties it.
    package mutating func handOver(to sink: (UnsafeRawBufferPointer) -> Void) {
        // The length of a message is known once it is complete.
        if format == .protobuf { closeFamily() }
        if page.count > 0 { sink(page.bytes) }
        page.truncate(to: 0)
    }

    /// Writes the head of a family.
    private mutating func opened(_ family: MetricFamily) -> OpenFamily {
        var open = OpenFamily(family)
        switch format {
        case .text: TextEncoder.appendHead(of: family, .prometheus, to: &page)
        case .openMetrics: TextEncoder.appendHead(of: family, .openMetrics, to: &page)
        case .protobuf:
            open.message = page.openMessage(guess: Self.protobufPieceBytes)
            ProtobufEncoder.appendHead(of: family, to: &page)
        }
        self.family = open
        return open
    }

    private mutating func closeFamily() {
        if let message = family?.message { page.close(message, guess: Self.protobufPieceBytes) }
        family = nil
    }
}

/// The family that samples are appended to.
struct OpenFamily {
    let name: [UInt8]
    let kind: MetricKind
    let bucketStep: Int
    /// The open message of the family, in protobuf only.
    var message: GrowingBytes.OpenMessage?

    init(_ family: MetricFamily) {
        name = Array(family.name.utf8)
        kind = family.kind
        bucketStep = family.bucketStep
    }

    func isPart(of family: MetricFamily) -> Bool { family.name.utf8.elementsEqual(name) }
}
