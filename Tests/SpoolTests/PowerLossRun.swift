import Synchronization
import TestSupport
import Testing

@testable import Spool

/// One disk, several lives of a spool on it, and a list of what was promised.
struct PowerLossRun {
    private let seed: UInt64
    private let sync: SpoolSync
    private let syncsFail: Bool
    private let disk: PowerLossDisk
    private let clock = TestClock()
    private let options: SpoolOptions
    private var random: SeededGenerator
    private var spool: Spool
    /// Every payload ever appended, by its identity.
    private var payloads: [UInt64: [UInt8]] = [:]
    /// Acknowledged and not delivered.
    private var acknowledged: Set<UInt64> = []
    /// The part of it that a power cut must not take.
    private var promised: Set<UInt64> = []
    /// Appended with `sync: always` and not yet answered.
    private var waiting: [(identity: UInt64, heard: Heard)] = []
    /// Payloads up to this identity are of an earlier life.
    private var bornBefore: UInt64 = 0
    private var inFlight: [SpoolBatch] = []

    init(seed: UInt64, sync: SpoolSync, syncsFail: Bool) throws {
        self.seed = seed
        self.sync = sync
        self.syncsFail = syncsFail
        random = SeededGenerator(seed: seed)
        disk = PowerLossDisk(seed: seed &+ 1_000_000_007)
        options = .small(maxBytes: 1 << 20, segmentBytes: Int.random(in: 200...6000, using: &random), sync: sync)
        spool = try Spool(disk, options, clock)
    }

    /// Some random steps, an end, a start, and a look at what is there.
    mutating func live() throws {
        disk.failSyncs(oneIn: syncsFail ? Int.random(in: 2...6, using: &random) : 0)
        for _ in 0..<Int.random(in: 0...25, using: &random) { try step() }
        // Now and then the end comes before those who wait were answered.
        let isKill = Int.random(in: 0..<4, using: &random) == 0
        if !isKill { disk.cutPower() }
        waiting = []
        inFlight = []
        disk.failSyncs(oneIn: 0)
        spool = try Spool(disk, options, clock)
        bornBefore = UInt64(payloads.count)
        // A disk that fails takes even from the page cache.
        let held = try Spool(MemoryFileSystem(disk.files), options, clock).statistics.recoveredSpans
        #expect(held == spool.statistics.recoveredSpans, "seed \(seed)")
        let lost = try look(mustHave: isKill && !syncsFail ? acknowledged : promised)
        acknowledged.subtract(lost)
        promised.formIntersection(acknowledged)
    }

    private mutating func step() throws {
        clock.advance(seconds: Int64.random(in: 0...1, using: &random))
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<5: try append()
        case 5..<7: if sync != .never { try syncOnce() }
        case 7..<9: try read()
        default: settle()
        }
        #expect(spool.isBalanced, "seed \(seed)")
    }

    private mutating func append() throws {
        let identity = UInt64(payloads.count + 1)
        var bytes = (0..<8).map { UInt8(truncatingIfNeeded: identity >> (8 * $0)) }
        bytes += random.bytes(Int.random(in: 0...3, using: &random) == 0 ? 1500 : 30)
        payloads[identity] = bytes
        let heard = Heard()
        do {
            try bytes.withUnsafeBytes { payload in
                try spool.append(payload, spanCount: 1) { isDurable in heard.answers.withLock { $0.append(isDurable) } }
            }
        } catch SpoolError.io where syncsFail {
            // Refused as long as the disk refuses copies, too.
            return
        }
        if sync == .always {
            waiting.append((identity, heard))
        } else {
            acknowledged.insert(identity)
        }
    }

    /// What the thread does.
    private mutating func syncOnce() throws {
        let before = acknowledged
        let hasWorked = spool.syncOnce()
        if sync != .always {
            if hasWorked {
                promised = before
            } else {
                // What the cache has dropped, no spool can save; what was promised, it can't have dropped.
                acknowledged.subtract(try look(mustHave: promised))
            }
            return
        }
        for (identity, heard) in waiting {
            #expect(heard.all.count == 1, "seed \(seed): everyone hears once")
            if heard.all != [true] { continue }
            acknowledged.insert(identity)
            promised.insert(identity)
        }
        waiting = []
    }

    private mutating func read() throws {
        if Int.random(in: 0...2, using: &random) == 0 { _ = spool.beginSection() }
        let section: SpoolSection = Bool.random(using: &random) ? .oldest : .newest
        let batch = try spool.readBatch(from: section, maxBytes: Int.random(in: 1...3000, using: &random), maxSpans: 20)
        for payload in batch.payloads {
            let identity = check(payload)
            // (What was recovered may be there though no sender was told so.)
            let isOnDisk = sync != .always || identity <= bornBefore || acknowledged.contains(identity)
            #expect(isOnDisk, "seed \(seed): read before it was on the disk")
        }
        if !batch.isEmpty { inFlight.append(batch) }
    }

    private mutating func settle() {
        guard let index = inFlight.indices.randomElement(using: &random) else { return }
        let batch = inFlight.remove(at: index)
        spool.settle(batch.frames)
        let identities = batch.payloads.map { SpoolModel.identity(of: $0) }
        acknowledged.subtract(identities)
        promised.subtract(identities)
    }

    /// A payload that is read is one that was appended, byte for byte.
    @discardableResult
    private func check(_ payload: [UInt8]) -> UInt64 {
        let identity = payload.count < 8 ? 0 : SpoolModel.identity(of: payload)
        #expect(payloads[identity] == payload, "seed \(seed): not what was appended")
        return identity
    }

    /// Reads a copy of all that the start has found. Returns what is missing.
    private func look(mustHave: Set<UInt64>) throws -> Set<UInt64> {
        let copy = try Spool(MemoryFileSystem(disk.files), options, clock)
        let held = copy.statistics.recoveredSpans
        let found = try copy.readWhole()
        #expect(found.spanCount == held, "seed \(seed)")
        let identities = found.payloads.map { check($0) }
        #expect(Set(identities).count == identities.count, "seed \(seed): twice")
        let lost = mustHave.subtracting(identities)
        #expect(lost.isEmpty, "seed \(seed): lost \(lost.sorted())")
        copy.settle(found.frames)
        #expect(copy.isBalanced && copy.statistics.spans == 0, "seed \(seed)")
        return acknowledged.subtracting(identities)
    }
}
