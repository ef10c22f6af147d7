import Metrics
import Testing

@testable import WaitTime

@Suite("Bytes for what is remembered of spans")
struct TableSharesTests {
    private func options(_ mebibytes: Int, collectsWaits: Bool = false) -> TaskAggregatorOptions {
        options(bytes: mebibytes << 20, collectsWaits: collectsWaits)
    }

    private func options(bytes: Int, collectsWaits: Bool = false) -> TaskAggregatorOptions {
        var options = TaskAggregatorOptions(
            bounds: HistogramBounds(ascending: 1), maxTaskTypes: 1, maxQueues: 1, quantileWindow: .seconds(60))
        options.collectsWaits = collectsWaits
        options.divide(bytes)
        return options
    }

    private func bytes(_ options: TaskAggregatorOptions) -> Int {
        let bytes = TaskAggregator(options).tableBytes
        return bytes.pairing.limit + bytes.duplicates.limit + bytes.startedAttempts.limit
    }

    @Test("The tables together take no more, and use most of it", arguments: [8, 12, 16, 24, 32, 44, 100])
    func within(mebibytes: Int) {
        for collectsWaits in [false, true] {
            let options = options(mebibytes, collectsWaits: collectsWaits)
            #expect(bytes(options) <= mebibytes << 20)
            #expect(bytes(options) >= min(mebibytes, 40) << 19)
            #expect(options.pairingCapacity >= 1000)
        }
    }

    @Test("44 MiB are enough for all the defaults, and repeated spans have theirs with 8")
    func defaults() {
        let all = options(44)
        #expect(all.pairingCapacity == 100_000 && all.duplicateMemory == 100_000 && all.startedAttemptsBytes == 9 << 20)
        #expect(options(8).duplicateMemory == 100_000)
        #expect(options(100).pairingCapacity == 100_000)
    }

    @Test("Repeated spans get as much as exactly two thirds, and no byte more", arguments: [100, 3000, 50_000])
    func exactShare(capacity: Int) {
        func bytes(_ capacity: Int) -> Int { RecentReferences(capacity: capacity).bytes.limit }
        let share = bytes(capacity)
        let exact = options(bytes: share * 3 / 2).duplicateMemory
        #expect(share % 2 == 0 && exact >= capacity && bytes(exact) == share && bytes(exact + 1) > share)
        #expect(bytes(options(bytes: share * 3 / 2 - 1).duplicateMemory) < share)
    }
}
