import TestSupport
import Testing

@testable import Spool

/// Thousands of random steps beside a plain list; each message names the seed that gives the same steps again.
@Suite("Random appends, reads from both ends, settlements, kills and faults")
struct SpoolModelTests {
    private func run(_ seed: UInt64, _ options: SpoolOptions, hasFaults: Bool = false, steps: Int = 2500) throws {
        print("spool model: seed \(seed)")
        var model = try SpoolModel(seed: seed, options: options, hasFaults: hasFaults)
        for _ in 0..<steps { try model.step() }
        #expect(model.sections > 0, "seed \(seed)")
    }

    @Test(
        "Nothing unsettled is lost, nothing settled comes twice, the books balance",
        arguments: 1...4 as ClosedRange<UInt64>)
    func refusing(seed: UInt64) throws {
        try run(seed, .small(maxBytes: 30_000, segmentBytes: 2000))
    }

    @Test(
        "The same with drop-oldest: only the oldest are missing, each counted",
        arguments: 11...14 as ClosedRange<UInt64>)
    func evicting(seed: UInt64) throws {
        try run(seed, .small(maxBytes: 20_000, segmentBytes: 1500, whenFull: .dropOldest))
    }

    @Test("The same with max-age", arguments: 21...24 as ClosedRange<UInt64>)
    func expiring(seed: UInt64) throws {
        try run(seed, .small(maxBytes: 40_000, segmentBytes: 1500, maxAgeSeconds: 90))
    }

    @Test("The same with one frame a segment", arguments: 31...32 as ClosedRange<UInt64>)
    func tinySegments(seed: UInt64) throws {
        try run(seed, .small(maxBytes: 30_000, segmentBytes: 1))
    }

    @Test(
        "The same on a disk that fails and tears: what was acknowledged is never lost",
        arguments: 41...48 as ClosedRange<UInt64>)
    func faulty(seed: UInt64) throws {
        try run(seed, .small(maxBytes: 30_000, segmentBytes: 2000), hasFaults: true)
    }

    @Test(
        "Whatever the sizes, the disk never holds a byte more than max-bytes, also while it fails and files are copied",
        arguments: 51...66 as ClosedRange<UInt64>)
    func bound(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let maxBytes = Int.random(in: 9500...20_000, using: &random)
        var options = SpoolOptions.small(
            maxBytes: maxBytes, segmentBytes: Int.random(in: 1...maxBytes, using: &random),
            whenFull: Bool.random(using: &random) ? .refuse : .dropOldest, sync: .interval(.nanoseconds(1)))
        // Nothing is given up as unreadable.
        options.readPatience = .nanoseconds(1 << 62)
        var model = try SpoolModel(seed: seed, options: options, hasFaults: true)
        for _ in 0..<1500 { try model.step() }
        #expect(model.disk.peakBytes > (maxBytes - SpoolState.overheadBytes) / 2, "the bound was near")
    }
}
