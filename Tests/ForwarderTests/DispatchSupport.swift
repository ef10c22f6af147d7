import Model
import OTLP
import ProtobufWire
import TestSupport

@testable import Forwarder
@testable import OTLPClient
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
                    batch.append(SpoolFrame(header, segment: 1, offset: 0), bytes)
                }
            }
        }
    }
    return batch
}

extension SpoolBatch {
    /// Some of its frames, as a batch of their own.
    func part(_ indices: Range<Int>) -> SpoolBatch {
        var part = SpoolBatch()
        var start = 0
        for (index, frame) in frames.enumerated() {
            let payload = bytes[start..<start + frame.payloadBytes]
            if indices.contains(index) { payload.withUnsafeBytes { part.append(frame, $0) } }
            start += frame.payloadBytes
        }
        return part
    }

    /// The same request, spooled as another one.
    func renamed(_ sequence: UInt64) -> SpoolBatch {
        var batch = SpoolBatch()
        bytes.withUnsafeBytes { payload in
            let encoded = FrameHeader.encode(
                sequence: sequence, time: frames[0].time, spanCount: spanCount, payload: payload, key: .version1)
            encoded.withUnsafeBytes { header in
                if let header = FrameHeader(header, at: 0, key: .version1) {
                    batch.append(SpoolFrame(header, segment: 1, offset: 0), payload)
                }
            }
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
    typealias Answer = (_ batch: SpoolBatch, _ now: MonotonicTime) -> OTLPOutcome

    static let batchBytes = 1 << 20

    var dispatch: Dispatch
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    /// Requests that the spool has and that were never read.
    var spooled: ArraySlice<SpoolBatch> = []
    /// What was read and is not settled, by sequence.
    private var stored: [UInt64: SpoolBatch] = [:]
    /// Those that come later, and when; ascending.
    var arriving: ArraySlice<(time: MonotonicTime, batch: SpoolBatch)> = []
    var delivered: Set<UInt64> = []
    var deliveredSpans = 0
    /// Settled spans of frames of which others are not, by sequence.
    var settledSpans: [UInt64: Int] = [:]
    var droppedSpans: [ForwardDrop: Int] = [:]
    /// Sequences of frames, by what they were refused for.
    var refused: [String: [UInt64]] = [:]
    var requests = 0
    /// How long the backend takes to answer a batch, by its sequences.
    var answerTime: (SpoolBatch) -> Duration = { _ in .milliseconds(5) }
    var pauses: [Duration] = []
    /// Most deliveries at a time, and most bytes that were in memory.
    var held = 0
    var heldBytes = 0
    private(set) var flying: [(delivery: Delivery, batch: SpoolBatch, end: MonotonicTime)] = []
    private var random: SeededGenerator

    init(seed: UInt64 = 1, _ change: (inout ForwarderOptions) -> Void = { _ in }) throws {
        var options = try ForwarderOptions.test("http://h")
        options.maxBatchBytes = Self.batchBytes
        change(&options)
        dispatch = Dispatch(options)
        random = SeededGenerator(seed: seed)
    }

    /// Until nothing is left, or for so many seconds of the model's time.
    mutating func run(seconds: Double = .infinity, _ answer: Answer) {
        let end =
            seconds.isFinite ? now.advanced(byNanoseconds: UInt64(seconds * 1e9)) : MonotonicTime(nanoseconds: .max)
        while now < end && !(spooled.isEmpty && arriving.isEmpty && dispatch.isIdle) {
            while let first = arriving.first, first.time <= now { spooled.append(arriving.removeFirst().batch) }
            let due = startRequests()
            held = max(held, flying.count + dispatch.waitingCount)
            heldBytes = max(heldBytes, flying.reduce(0) { $0 + $1.batch.bytes.count })
            let first = flying.indices.min { flying[$0].end < flying[$1].end }
            let moments = [first.map { flying[$0].end }, due, arriving.first?.time].compactMap { $0 }
            guard let moment = moments.map({ max($0, now.advanced(by: .nanoseconds(1))) }).min() else { return }
            now = moment
            if let first, flying[first].end <= now {
                let (delivery, batch, _) = flying.remove(at: first)
                requests += 1
                let jitter = Double(random.next() % 1000) / 1000
                carryOut(dispatch.finish(delivery, answer(batch, now), at: now, jitter: jitter))
            }
        }
    }

    /// Does what the dispatch says until it says to wait. Returns until when.
    private mutating func startRequests() -> MonotonicTime? {
        while true {
            switch dispatch.next(at: now, freshAt: spooled.isEmpty ? nil : now) {
            case .wait(let moment): return moment
            case .send(let delivery): fly(delivery)
            case .read(let isLone):
                let batch = readFresh(isLone: isLone)
                if let delivery = dispatch.begin(batch.frames, at: now) { fly(delivery) }
            }
        }
    }

    private mutating func readFresh(isLone: Bool) -> SpoolBatch {
        var batch = spooled.removeFirst()
        if isLone && batch.frames.count > 1 {
            spooled.insert(batch.part(1..<batch.frames.count), at: spooled.startIndex)
            batch = batch.part(0..<1)
        }
        for index in batch.frames.indices { stored[batch.frames[index].sequence] = batch.part(index..<index + 1) }
        return batch
    }

    /// Sends what a delivery carries, as the spool has it.
    private mutating func fly(_ delivery: Delivery) {
        var batch = SpoolBatch()
        batch.frames = delivery.address.frames
        for frame in batch.frames { batch.bytes += stored[frame.sequence]?.bytes ?? [] }
        batch.bytes = delivery.body(batch) ?? []
        batch.spanCount = delivery.spanCount
        var sent = delivery
        sent.bytes = batch.bytes.count
        flying.append((sent, batch, now.advanced(by: answerTime(batch) + .nanoseconds(random.next() % 1000))))
    }

    private mutating func carryOut(_ effects: [DispatchEffect]) {
        for effect in effects {
            switch effect {
            case .settle(let address, let dropped, let reason):
                settle(address)
                deliveredSpans += address.spanCount - dropped
                if dropped > 0 { droppedSpans[reason, default: 0] += dropped }
            case .refused(let address, let reason): refused[reason, default: []] += address.frames.map(\.sequence)
            case .failing(_, _, let pause), .paused(_, let pause): pauses.append(pause)
            case .rejected, .suspected, .tooLarge, .answered: break
            }
        }
    }

    private mutating func settle(_ address: SpoolAddress) {
        if case .spans(let range, let frame) = address {
            settledSpans[frame.sequence, default: 0] += range.count
            if settledSpans[frame.sequence] != frame.spanCount { return }
            settledSpans[frame.sequence] = nil
        }
        for frame in address.frames {
            delivered.insert(frame.sequence)
            stored[frame.sequence] = nil
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
