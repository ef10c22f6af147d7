import Model
import Platform
import Synchronization
import TestSupport

@testable import Spool

extension SpoolOptions {
    /// Small segments, and no thread that syncs.
    static func small(
        maxBytes: Int = 1 << 20, segmentBytes: Int = 1024, whenFull: SpoolWhenFull = .refuse,
        maxAgeSeconds: Int64? = nil,
        sync: SpoolSync = .never
    ) -> SpoolOptions {
        var options = SpoolOptions(
            maxBytes: maxBytes, maxAge: maxAgeSeconds.map { .seconds($0) }, whenFull: whenFull,
            sync: sync, segmentBytes: segmentBytes)
        // The clock of these tests stands still.
        options.readPatience = .zero
        return options
    }
}

extension Spool {
    convenience init(
        _ fileSystem: any SpoolFileSystem, _ options: SpoolOptions = .small(), _ clock: TestClock = TestClock()
    ) throws(SpoolError) {
        try self.init(fileSystem: fileSystem, options: options, clock: clock.clock)
    }

    func append(_ payload: [UInt8], spans: Int = 1) throws {
        try payload.withUnsafeBytes { try append($0, spanCount: spans) }
    }

    /// Appends, and notes in `heard` what the waiting sender is told.
    func append(_ text: String, spans: Int = 1, heard: Heard) throws {
        try Array(text.utf8).withUnsafeBytes { bytes in
            try append(bytes, spanCount: spans) { isDurable in heard.answers.withLock { $0.append(isDurable) } }
        }
    }

    func append(_ text: String, spans: Int = 1) throws {
        try append(Array(text.utf8), spans: spans)
    }

    /// The payloads of all that is unread, as text, frame by frame.
    func readAll() throws(SpoolError) -> [String] {
        var texts: [String] = []
        while true {
            let batch = try readBatch(maxBytes: 4096, maxSpans: 1000)
            if batch.isEmpty { return texts }
            texts += batch.texts
        }
    }

    /// All that is unread, as one batch.
    func readWhole() throws(SpoolError) -> SpoolBatch {
        var whole = SpoolBatch()
        while true {
            let batch = try readBatch(maxBytes: 1 << 20, maxSpans: 1_000_000)
            if batch.isEmpty { return whole }
            whole.bytes += batch.bytes
            whole.frames += batch.frames
            whole.spanCount += batch.spanCount
        }
    }

    /// Whether the books balance: recovered + appended = delivered + dropped + held.
    var isBalanced: Bool {
        let now = statistics
        let incoming = UInt64(now.recoveredSpans) + now.appendedSpans
        return state.withLock { $0.isBalanced } && now.spans >= 0
            && incoming == now.deliveredSpans + now.droppedSpans.values.reduce(0, +) + UInt64(now.spans)
    }
}

/// What senders were told that waited for a sync.
final class Heard: Sendable {
    let answers = Mutex<[Bool]>([])

    var all: [Bool] { answers.withLock { $0 } }
}

extension SpoolBatch {
    var texts: [String] { payloads.map { String(decoding: $0, as: UTF8.self) } }

    var payloads: [[UInt8]] {
        var start = 0
        return frames.map { frame in
            defer { start += frame.payloadBytes }
            return Array(bytes[start..<start + frame.payloadBytes])
        }
    }
}
