import TestSupport
import Testing

@testable import Spool

@Suite("The numbers of a spool before anything has come")
struct StartValuesTests {
    @Test("All of them are zero, and nothing has failed")
    func statistics() {
        let statistics = SpoolStatistics()
        #expect(numbersBesideZero(in: statistics) == [])
        #expect(statistics.droppedSpans.isEmpty && statistics.oldestAge == nil && statistics.lastFailure == nil)
    }

    @Test("A file that can't be read is tried for a minute, and a segment is an eighth of the spool within bounds")
    func options() {
        func segmentBytes(_ maxBytes: Int) -> Int { SpoolOptions(maxBytes: maxBytes, sync: .always).segmentBytes }
        #expect(SpoolOptions(maxBytes: 1, sync: .always).readPatience == .seconds(60))
        #expect(SpoolOptions(maxBytes: 1, sync: .always).whenFull == .refuse)
        #expect(SpoolOptions(maxBytes: 1, sync: .always).maxAge == nil)
        for (maxBytes, bytes) in [
            (1, 64 << 10), (512 << 10, 64 << 10), (1 << 20, 128 << 10), (128 << 20, 16 << 20), (16 << 30, 16 << 20),
            (32 << 30, 32 << 20),
        ] { #expect(segmentBytes(maxBytes) == bytes, "of \(maxBytes)") }
        #expect(SpoolOptions(maxBytes: 1 << 30, sync: .always, segmentBytes: 7).segmentBytes == 7)
    }
}
