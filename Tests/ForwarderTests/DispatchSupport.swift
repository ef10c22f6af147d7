import Model
import OTLP
import ProtobufWire

@testable import Forwarder
@testable import Spool

/// A batch of one-frame requests with these sequences; each frame holds `spansPerFrame` spans, whose names are their
/// frame's sequence.
func makeBatch(
    _ sequences: some Sequence<Int>, spansPerFrame: Int = 1, nameBytes: Int = 0, resourceBytes: Int = 0
) -> SpoolBatch {
    var batch = SpoolBatch()
    for sequence in sequences {
        let padding = String(repeating: " ", count: nameBytes)
        let payload = makeRequest(name: "\(sequence)\(padding)", spans: spansPerFrame, resourceBytes: resourceBytes)
        payload.withUnsafeBytes { bytes in
            let encoded = FrameHeader.encode(
                sequence: UInt64(sequence), time: WallTime(nanoseconds: 0), spanCount: spansPerFrame, payload: bytes,
                key: .version1)
            encoded.withUnsafeBytes { header in
                if let header = FrameHeader(header, at: 0, key: .version1) {
                    batch.append(header, bytes[...], segment: 1)
                }
            }
        }
    }
    return batch
}

extension SpoolBatch {
    /// The same request, spooled as another one.
    func renamed(_ sequence: UInt64) -> SpoolBatch {
        var batch = self
        batch.frames = frames.map {
            Frame(segment: $0.segment, sequence: sequence, spanCount: $0.spanCount, time: $0.time, range: $0.range)
        }
        return batch
    }
}

func makeRequest(name: String, spans: Int, resourceBytes: Int = 0) -> [UInt8] {
    var writer = WireWriter()
    writer.message(1) { resource in
        if resourceBytes > 0 { resource.string(1, String(repeating: "r", count: resourceBytes)) }
        resource.message(2) { scope in
            for _ in 0..<spans { scope.message(2) { $0.string(5, name) } }
        }
    }
    return writer.bytes
}

/// A `Dispatch` with a backend that answers by a rule, on a clock that jumps from one moment to the next at which
/// something happens.
struct ModelledForwarder {
    typealias Answer = (_ batch: SpoolBatch, _ now: MonotonicTime) -> ForwardOutcome

    static let batchBytes = 1 << 20

    var dispatch: Dispatch
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    /// Requests that the spool has and nobody has read.
    var spooled: ArraySlice<SpoolBatch> = []
    /// Those that come later, and when; ascending.
    var arriving: ArraySlice<(time: MonotonicTime, batch: SpoolBatch)> = []
    var delivered: Set<UInt64> = []
    var deliveredSpans = 0
    /// Settled before their frame was, by its sequence.
    var partSpans: [UInt64: Int] = [:]
    var droppedSpans: [ForwardDrop: Int] = [:]
    /// Sequences of frames, by what they were refused for.
    var refused: [String: [UInt64]] = [:]
    var requests = 0
    /// How long the backend takes to answer a batch, by its sequences.
    var answerNanoseconds: (SpoolBatch) -> UInt64 = { _ in 5_000_000 }
    var pauses: [UInt64] = []
    /// Most batches, and most of their bytes, that were in memory at a time.
    var held = 0
    var heldBytes = 0
    private(set) var flying: [(consignment: Consignment, end: MonotonicTime)] = []
    private var random: SeededNumbers

    init(seed: UInt64 = 1, _ change: (inout ForwarderOptions) -> Void = { _ in }) throws {
        var options = try ForwarderOptions.test("http://h")
        options.maxBatchBytes = Self.batchBytes
        change(&options)
        dispatch = Dispatch(options)
        random = SeededNumbers(seed)
    }

    /// Until nothing is left, or for so many seconds of the model's time.
    mutating func run(seconds: Double = .infinity, _ answer: Answer) {
        let end =
            seconds.isFinite ? now.advanced(byNanoseconds: UInt64(seconds * 1e9)) : MonotonicTime(nanoseconds: .max)
        while now < end && !(spooled.isEmpty && arriving.isEmpty && dispatch.isIdle) {
            while let first = arriving.first, first.time <= now { spooled.append(arriving.removeFirst().batch) }
            while let next = dispatch.next(at: now, fresh: { Self.read(&spooled, isLone: $0) }) {
                flying.append((next, now.advanced(byNanoseconds: answerNanoseconds(next.batch) + random.next() % 1000)))
            }
            held = max(held, flying.count + dispatch.waitingCount)
            heldBytes = max(heldBytes, flying.reduce(dispatch.waitingBytes) { $0 + $1.consignment.batch.bytes.count })
            let first = flying.indices.min { flying[$0].end < flying[$1].end }
            let due = dispatch.nextMoment(freshAt: spooled.isEmpty ? nil : now)
            let moments = [first.map { flying[$0].end }, due, arriving.first?.time].compactMap { $0 }
            guard let moment = moments.map({ max($0, now.advanced(byNanoseconds: 1)) }).min() else { return }
            now = moment
            if let first, flying[first].end <= now {
                let consignment = flying.remove(at: first).consignment
                requests += 1
                let jitter = Double(random.next() % 1000) / 1000
                carryOut(dispatch.finish(consignment, answer(consignment.batch, now), at: now, jitter: jitter))
            }
        }
    }

    private static func read(_ spooled: inout ArraySlice<SpoolBatch>, isLone: Bool) -> SpoolBatch? {
        guard let batch = spooled.first else { return nil }
        if !isLone || batch.frames.count == 1 { return spooled.removeFirst() }
        spooled[spooled.startIndex] = batch.part(1..<batch.frames.count)
        return batch.part(0..<1)
    }

    private mutating func carryOut(_ effects: [DispatchEffect]) {
        for effect in effects {
            switch effect {
            case .settle(let frames, let dropped, let reason):
                for frame in frames { delivered.insert(frame.sequence) }
                for frame in frames {
                    deliveredSpans += frame.spanCount - (partSpans.removeValue(forKey: frame.sequence) ?? 0)
                }
                deliveredSpans -= dropped
                if dropped > 0 { droppedSpans[reason, default: 0] += dropped }
            case .settlePart(let frame, let spans, let dropped, let reason):
                partSpans[frame.sequence, default: 0] += spans
                deliveredSpans += spans - dropped
                if dropped > 0 { droppedSpans[reason, default: 0] += dropped }
            case .refused(let batch, let reason): refused[reason, default: []] += batch.frames.map(\.sequence)
            case .failing(_, _, let pause): pauses.append(pause)
            case .rejected, .suspected, .tooLarge, .answered: break
            }
        }
    }

    /// So many batches each second, with sequences from `first` on.
    mutating func arrive(batches: Int, frames: Int, from first: Int, perSecond: UInt64 = 1) {
        for index in 0..<batches {
            let start = first + index * frames
            let time = now.advanced(byNanoseconds: UInt64(index) * 1_000_000_000 / perSecond)
            arriving.append((time, makeBatch(start..<start + frames)))
        }
    }
}

struct SeededNumbers {
    private var state: UInt64

    init(_ seed: UInt64) {
        state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    /// xorshift64*
    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return (state &* 0x2545_F491_4F6C_DD1D) >> 11
    }
}
