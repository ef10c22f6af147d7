import Model
import Platform
import Synchronization

// A delivery that is sent again is read again. Meanwhile a frame may have
//
//   been evicted, expired or settled   it needs no sending, and is counted already
//   become older than `max-age`        it is dropped now
//   lost its checksum                  it is dropped as corrupt
//   become unreadable                  as for the reader: tries, then quarantine; then it is dropped as unreadable, and
//                                      stays unsettled on disk, so that the next start may read it
extension Spool {
    /// Reads the frames of an address. Frames that need not be sent any more are left out, and are off the books.
    ///
    /// - Throws: `.io` where the disk fails. Nothing is lost then; it may be tried again after a pause.
    package func read(_ address: SpoolAddress) throws(SpoolError) -> SpoolBatch {
        let ages = ages
        let wanted = withState { state in
            let wanted = state.stillWanted(address, ages)
            state.deleteSettledSegments(fileSystem)
            return wanted
        }
        var batch = SpoolBatch()
        var corrupt: [SpoolFrame] = []
        for run in Self.runs(of: wanted) {
            do throws(SystemError) {
                try read(run, into: &batch, corrupt: &corrupt)
            } catch {
                // The disk fails at the first frame of the run that was not read.
                let failed = run.first { !batch.frames.contains($0) && !corrupt.contains($0) } ?? run[0]
                recordReadFailure(error, at: failed)
                throw .io(error)
            }
        }
        if !corrupt.isEmpty {
            withState { state in
                state.dropCorrupt(corrupt)
                state.deleteSettledSegments(fileSystem)
            }
        }
        return batch
    }

    /// Returns the frames in rows: those that stand back to back in one segment form one.
    private static func runs(of frames: [SpoolFrame]) -> [[SpoolFrame]] {
        var runs: [[SpoolFrame]] = []
        for frame in frames {
            if let last = runs.last?.last, last.segment == frame.segment, last.end == frame.offset {
                runs[runs.count - 1].append(frame)
            } else {
                runs.append([frame])
            }
        }
        return runs
    }

    private func read(
        _ run: [SpoolFrame], into batch: inout SpoolBatch, corrupt: inout [SpoolFrame]
    ) throws(SystemError) {
        let (start, end) = (run[0].offset, run[run.count - 1].end)
        let found = try withState { state throws(SystemError) in
            try state.opened(run[0].segment, fileSystem)
        }
        // The segment was deleted since the frames were asked for.
        guard let (file, key) = found else { return }
        let bytes = try file.read(end - start, at: start)
        for frame in run {
            let isThere = bytes.withUnsafeBytes { bytes in
                guard let header = FrameHeader(bytes, at: frame.offset - start, key: key),
                    SpoolFrame(header, segment: frame.segment, offset: frame.offset) == frame,
                    header.checks(bytes, at: frame.offset - start, key: key)
                else { return false }
                let payload = bytes[frame.offset - start + FrameHeader.count..<frame.end - start]
                batch.append(frame, UnsafeRawBufferPointer(rebasing: payload))
                return true
            }
            if isThere { continue }
            // Either the file ends too early, or the disk can't read on: the next byte tells which.
            if frame.end - start > bytes.count { _ = try file.read(1, at: start + bytes.count) }
            corrupt.append(frame)
        }
        state.withLock { $0.readers.recordRead(of: run[0].segment, start..<end) }
    }

    private func recordReadFailure(_ error: SystemError, at frame: SpoolFrame) {
        let now = clock.monotonic()
        let patience = options.readPatience
        withState { $0.recordReadFailure(error, of: frame.segment, at: frame.offset, now, patience: patience) }
    }
}

extension SpoolState {
    /// Returns the frames of an address that are still to be sent. Those that expired, and those that can't be read any
    /// more, leave the books.
    fileprivate mutating func stillWanted(
        _ address: SpoolAddress, _ ages: SpoolAges
    ) -> [SpoolFrame] {
        let held = address.frames.filter { segments.index(of: $0.segment) != nil && ledger.holds($0.sequence) }
        let expired = held.filter { ages.isExpired($0.time, clockOffset: clockOffset(of: $0)) }
        if !expired.isEmpty {
            if case .spans(let range, let frame) = address {
                ledger.recordDropped(settle(spans: range, of: frame), .expired)
            } else {
                expire(expired, wereInFlight: true)
            }
        }
        return held.filter { frame in
            if expired.contains(frame) { return false }
            guard let index = segments.index(of: frame.segment), frame.end > segments[index].readableBytes
            else { return true }
            lose(frame, ofSegmentAt: index)
            return false
        }
    }

    /// Removes a frame in flight that the disk does not give back from the books, with all its parts. On disk it stays
    /// unsettled.
    private mutating func lose(_ frame: SpoolFrame, ofSegmentAt index: Int) {
        let spans = ledger.unsettledSpans(of: frame)
        ledger.lose(frame)
        ledger.recordDropped(spans, .unreadable)
        segments[index].release(FrameCount(frames: 1, spans: spans), wereInFlight: true)
    }

    fileprivate mutating func dropCorrupt(_ frames: [SpoolFrame]) {
        ledger.recordCorrupt(frames: UInt64(frames.count))
        ledger.recordDropped(settle(frames, wereInFlight: true), .corrupt)
    }
}
