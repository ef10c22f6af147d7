import Model
import Testing

@testable import Forwarder
@testable import Spool

@Suite("Parts of batches")
struct BatchPartTests {
    private static let batch: SpoolBatch = {
        var batch = SpoolBatch()
        for (index, text) in ["a", "", "ccc", "dddd"].enumerated() {
            let payload = Array(text.utf8)
            payload.withUnsafeBytes { bytes in
                let encoded = FrameHeader.encode(
                    sequence: UInt64(index + 1), time: WallTime(nanoseconds: Int64(index)), spanCount: index + 1,
                    payload: bytes, key: .version1)
                encoded.withUnsafeBytes { header in
                    if let header = FrameHeader(header, at: 0, key: .version1) {
                        batch.append(header, bytes[...], segment: 1)
                    }
                }
            }
        }
        return batch
    }()

    @Test(
        "A part of a batch holds its frames' bytes, spans and sequences",
        arguments: [0..<4, 0..<2, 2..<4, 1..<3, 3..<3])
    func part(range: Range<Int>) {
        let part = Self.batch.part(range)
        let texts = ["a", "", "ccc", "dddd"][range]
        #expect(part.bytes == Array(texts.joined().utf8))
        #expect(part.frames.map(\.sequence) == range.map { UInt64($0 + 1) })
        #expect(part.frames.map(\.spanCount) == range.map { $0 + 1 })
        #expect(part.spanCount == range.reduce(0) { $0 + $1 + 1 })
        #expect(part.frames.map { String(decoding: part.bytes[$0.range], as: UTF8.self) } == Array(texts))
    }

    @Test("The parts of a part are those of the whole")
    func partOfPart() {
        let part = Self.batch.part(1..<4).part(1..<3)
        #expect(part.bytes == Array("cccdddd".utf8))
        #expect(part.frames.map(\.sequence) == [3, 4])
    }
}
