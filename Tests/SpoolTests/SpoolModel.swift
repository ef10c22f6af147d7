import Glibc
import TestSupport
import Testing

@testable import Spool

/// A spool and, beside it, a plain list of what it must hold. Each step is checked against the list.
struct SpoolModel {
    struct Payload {
        let identity: UInt64
        let bytes: [UInt8]
        let spans: Int
    }

    let seed: UInt64
    let disk = MemoryFileSystem()
    let clock = TestClock()
    let options: SpoolOptions
    let hasFaults: Bool
    var random: SeededGenerator
    var spool: Spool
    var nextIdentity: UInt64 = 1
    /// Acknowledged and not settled, in order of their append.
    var held: [Payload] = []
    /// Settled, by identity; they may come again only after a fault.
    var settled: Set<UInt64> = []
    /// Appends that failed: the sender was told so.
    var refused: Set<UInt64> = []
    var inFlight: [SpoolBatch] = []
    /// Since the last start: the last one read from each end, all that were read, and what the newest section begins with.
    var lastRead: [SpoolSection: UInt64] = [:]
    var readIdentities: Set<UInt64> = []
    var newestBegin: UInt64 = 0
    var sections = 0
    /// The disk failed since the last start, so that a checkpoint may be old.
    var wasFaulty = false

    init(seed: UInt64, options: SpoolOptions, hasFaults: Bool) throws {
        self.seed = seed
        self.options = options
        self.hasFaults = hasFaults
        random = SeededGenerator(seed: seed)
        spool = try Spool(disk, options, clock)
    }

    mutating func step() throws {
        if hasFaults && Int.random(in: 0..<6, using: &random) == 0 { injectFault() }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<45: append()
        case 45..<47: if spool.beginSection() { noteSection() }
        case 47..<65: try read()
        case 65..<82: settle()
        case 82..<87: settleSpans()
        case 87..<92: readAgain()
        case 92..<95:
            _ = spool.syncOnce()
            spool.probeAfterFailure()
        case 95..<98:
            clock.advance(seconds: Int64.random(in: 0...20, using: &random))
            spool.dropExpired()
        default: try reopen()
        }
        clock.advance(seconds: 1)
        #expect(spool.isBalanced, "seed \(seed)")
        #expect(disk.peakBytes <= options.maxBytes - SpoolState.overheadBytes, "seed \(seed)")
        if !hasFaults { #expect(spool.statistics.corruptFrames == 0, "seed \(seed)") }
    }

    private mutating func injectFault() {
        wasFaulty = true
        let operations: [Fault.Operation] = [
            .append, .append, .truncate, .write, .sync, .delete, .open, .syncDirectory, .read,
        ]
        let operation = operations.randomElement(using: &random) ?? .append
        disk.inject(
            Fault(
                operation: operation, keptBytes: Int.random(in: 0...600, using: &random), code: EIO,
                times: Int.random(in: 1...2, using: &random)))
    }

    private mutating func append() {
        var bytes = (0..<8).map { UInt8(truncatingIfNeeded: nextIdentity >> (8 * $0)) }
        let count = Int.random(in: 0..<400, using: &random)
        bytes += (0..<count).map { UInt8(truncatingIfNeeded: $0 &+ Int(truncatingIfNeeded: nextIdentity)) }
        let payload = Payload(identity: nextIdentity, bytes: bytes, spans: Int.random(in: 1...9, using: &random))
        nextIdentity += 1
        do {
            try spool.append(bytes, spans: payload.spans)
            held.append(payload)
        } catch {
            refused.insert(payload.identity)
            if case SpoolError.full = error { return }
            #expect(hasFaults, "seed \(seed): \(error)")
        }
    }

    private mutating func noteSection() {
        sections += 1
        newestBegin = nextIdentity
        lastRead[.newest] = 0
    }

    private mutating func read() throws {
        if inFlight.count >= 15 { return }
        let section: SpoolSection = Bool.random(using: &random) ? .oldest : .newest
        let maxBytes = Int.random(in: 1...3000, using: &random)
        let maxSpans = Int.random(in: 1...40, using: &random)
        let batch: SpoolBatch
        do {
            batch = try spool.readBatch(from: section, maxBytes: maxBytes, maxSpans: maxSpans)
        } catch {
            #expect(hasFaults, "seed \(seed): \(error)")
            return
        }
        if batch.isEmpty {
            if section == .oldest && !hasFaults && options.maxAge == nil && options.whenFull == .refuse {
                #expect(
                    held.allSatisfy { readIdentities.contains($0.identity) }, "seed \(seed): nothing is passed over")
            }
            return
        }
        let withinLimits = batch.bytes.count <= maxBytes && batch.spanCount <= maxSpans
        #expect(batch.frames.count == 1 || withinLimits, "seed \(seed)")
        let unsent = batch.unsentSpans.map { $0.reduce(0) { $0 + $1.count } }
        #expect(batch.spanCount == unsent ?? batch.frames.reduce(0) { $0 + $1.spanCount })
        for bytes in batch.payloads { try check(bytes, from: section) }
        inFlight.append(batch)
    }

    /// A payload that was handed out is one that is held, and comes once, and in its section's order.
    private mutating func check(_ bytes: [UInt8], from section: SpoolSection) throws {
        try #require(bytes.count >= 8, "seed \(seed)")
        let identity = Self.identity(of: bytes)
        #expect(identity > lastRead[section, default: 0], "seed \(seed)")
        if spool.waiting.backlog != nil && section == .newest { #expect(identity >= newestBegin, "seed \(seed)") }
        lastRead[section] = identity
        let isFirst = readIdentities.insert(identity).inserted
        #expect(isFirst, "seed \(seed): \(identity) again")
        if let payload = held.first(where: { $0.identity == identity }) {
            #expect(payload.bytes == bytes, "seed \(seed)")
        } else {
            #expect(
                wasFaulty && (settled.contains(identity) || refused.contains(identity)),
                "seed \(seed), payload \(identity)")
        }
    }

    static func identity(of bytes: [UInt8]) -> UInt64 {
        bytes.prefix(8).enumerated().reduce(0) { $0 | UInt64($1.element) << (8 * $1.offset) }
    }

    private mutating func settle() {
        guard let index = inFlight.indices.randomElement(using: &random) else { return }
        let batch = inFlight.remove(at: index)
        let rejected =
            Int.random(in: 0...3, using: &random) == 0 ? Int.random(in: 0...batch.spanCount, using: &random) : 0
        spool.settle(batch.frames, dropping: (spans: rejected, reason: "rejected"))
        let identities = Set(batch.payloads.map { Self.identity(of: $0) })
        settled.formUnion(identities)
        held.removeAll { identities.contains($0.identity) }
    }

    /// Some spans of a frame are sent, and others of it are not.
    private mutating func settleSpans() {
        guard let frame = inFlight.randomElement(using: &random)?.frames.randomElement(using: &random) else { return }
        let first = Int.random(in: 0..<frame.spanCount, using: &random)
        spool.settle(first..<Int.random(in: first..<frame.spanCount, using: &random), of: frame)
    }

    /// What waits for its answer is read once more. Frames may be missing that were dropped, and none is another one.
    private mutating func readAgain() {
        // One that expires so may be younger than one that was never read, and is still there.
        if options.maxAge != nil { return }
        guard let index = inFlight.indices.randomElement(using: &random) else { return }
        let before = inFlight[index]
        do {
            let batch = try spool.read(.frames(before.frames))
            let payloads = Dictionary(zip(before.frames.map(\.sequence), before.payloads)) { $1 }
            for (frame, payload) in zip(batch.frames, batch.payloads) {
                #expect(payloads[frame.sequence] == payload, "seed \(seed)")
            }
            if !hasFaults && options.whenFull == .refuse { #expect(batch.frames == before.frames, "seed \(seed)") }
        } catch {
            #expect(hasFaults, "seed \(seed): \(error)")
        }
    }

    /// Kill and start again: no close, nothing in memory survives.
    private mutating func reopen() throws {
        disk.clearFaults()
        let before = spool.statistics
        spool = try Spool(disk, options, clock)
        let read = Set(inFlight.flatMap(\.payloads).map { Self.identity(of: $0) })
        inFlight = []
        lastRead = [:]
        readIdentities = []
        var lenient = options
        lenient.maxAge = nil
        let found = try Spool(MemoryFileSystem(disk.files), lenient, clock).readWhole()
        let identities = found.payloads.map { Self.identity(of: $0) }
        #expect(found.spanCount == spool.statistics.recoveredSpans, "seed \(seed)")
        let missing = held.filter { !identities.contains($0.identity) }
        let dropsOldest = options.whenFull == .dropOldest || options.maxAge != nil
        if !dropsOldest { #expect(missing.isEmpty, "seed \(seed)") }
        // What is missing was dropped: the oldest, and as many as were counted. What was read in time is not dropped for
        // its age later.
        if let youngest = missing.last?.identity {
            let left = held.filter { identities.contains($0.identity) }
            #expect(left.allSatisfy { $0.identity > youngest || read.contains($0.identity) }, "seed \(seed)")
        }
        if !wasFaulty {
            #expect(
                identities == held.map(\.identity).filter { id in !missing.contains { $0.identity == id } },
                "seed \(seed)")
            #expect(found.spanCount == before.spans, "seed \(seed)")
        }
        held.removeAll { payload in missing.contains { $0.identity == payload.identity } }
        for (identity, bytes) in zip(identities, found.payloads)
        where !held.contains(where: { $0.identity == identity }) {
            // Came again after a fault: it is held once more.
            #expect(wasFaulty && (settled.contains(identity) || refused.contains(identity)), "seed \(seed)")
            let frame = found.frames[identities.firstIndex(of: identity) ?? 0]
            held.append(Payload(identity: identity, bytes: bytes, spans: frame.spanCount))
        }
        held.sort { $0.identity < $1.identity }
        wasFaulty = false
    }
}
