import Glibc
import TestSupport
import Testing

@testable import Spool

/// Thousands of random lives of a spool, each ended by a power cut or a kill. A failure names its seed;
/// SPOOL_POWER_LOSS_RUNS=100000 runs more, from another first seed each time, or from SPOOL_POWER_LOSS_SEED.
@Suite("Power cuts")
struct PowerLossTests {
    private static let more = getenv("SPOOL_POWER_LOSS_RUNS").flatMap { Int(String(cString: $0)) }
    private static let runs = more ?? 600
    private static let seed = getenv("SPOOL_POWER_LOSS_SEED").flatMap { UInt64(String(cString: $0)) }
    private static let firstSeed = seed ?? (more == nil ? 1 : UInt64.random(in: 0...UInt64.max / 2))

    private func run(_ name: String, sync: SpoolSync, syncsFail: Bool) throws {
        print("\(name): \(Self.runs) runs from seed \(Self.firstSeed)")
        for seed in Self.firstSeed..<Self.firstSeed + UInt64(Self.runs) {
            var run = try PowerLossRun(seed: seed, sync: sync, syncsFail: syncsFail)
            for _ in 0..<4 { try run.live() }
        }
    }

    @Test("With sync always, nothing that was acknowledged is lost")
    func always() throws {
        try run("always", sync: .always, syncsFail: false)
    }

    @Test("With an interval, nothing is lost that was acknowledged before the last sync began")
    func interval() throws {
        try run("interval", sync: .interval(.milliseconds(200)), syncsFail: false)
    }

    @Test("With sync always on a disk whose syncs fail, nothing that was acknowledged is lost, nor sent before")
    func alwaysFailing() throws {
        try run("always, failing", sync: .always, syncsFail: true)
    }

    @Test("With an interval on a disk whose syncs fail: the same, as of the last sync that worked")
    func intervalFailing() throws {
        try run("interval, failing", sync: .interval(.milliseconds(200)), syncsFail: true)
    }

    @Test(
        "Of a divided request, all that was not sent is there after a power cut, or more",
        arguments: [SpoolSync.always, .interval(.nanoseconds(1))])
    func divided(sync: SpoolSync) throws {
        var found: [[Range<Int>]?: Int] = [:]
        for seed in Self.firstSeed..<Self.firstSeed + UInt64(Self.runs) {
            let disk = PowerLossDisk(seed: seed)
            let spool = try Spool(disk, .small(segmentBytes: 100, sync: sync))
            try spool.append("whole", spans: 10)
            #expect(spool.syncOnce())
            let frame = try #require(try spool.readWhole().frames.first)
            spool.settle(2..<6, of: frame)
            disk.failSyncs(oneIn: 2)
            spool.close()
            disk.failSyncs(oneIn: 0)
            disk.cutPower()
            let left = try Spool(disk).readBatch(maxBytes: 1 << 20, maxSpans: 100)
            #expect(left.texts == ["whole"], "seed \(seed)")
            #expect(left.unsentSpans == nil || left.unsentSpans == [0..<2, 6..<10], "seed \(seed)")
            found[left.unsentSpans, default: 0] += 1
        }
        #expect(found.count == 2, "\(found)")
    }

    @Test("Without syncs, whatever is left is never a wrong frame, and the books balance")
    func never() throws {
        try run("never", sync: .never, syncsFail: false)
    }
}
