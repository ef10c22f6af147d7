import Platform
import Synchronization

// A request that the forwarder divides is one frame still: it is settled with the last of its parts. On the books each part
// counts by itself. At the end of the process, what is left of a frame of which some parts are settled takes its place:
//
//     frame 7 [ sent | sent | left | sent ]  ──►  frame 91 [ left ] appended and synced  ──►  frame 7 settled
//
// so that the next start sends what was left and no more. A kill between the two leaves both: it is sent twice then.

/// What is left of a frame.
package struct SpoolRest: Sendable {
    package let frame: SpoolBatch.Frame
    package let payload: [UInt8]
    package let spanCount: Int

    package init(of frame: SpoolBatch.Frame, payload: [UInt8], spanCount: Int) {
        self.frame = frame
        self.payload = payload
        self.spanCount = spanCount
    }
}

extension Spool {
    /// So many spans of a frame that is not settled yet need not be kept any more: delivered, all but those that are dropped.
    package func settle(part spans: Int, of frame: SpoolBatch.Frame, dropping: (spans: Int, reason: String)) {
        state.withLock { state in
            let held = state.settle(part: spans, of: frame)
            let dropped = min(max(0, dropping.spans), held)
            state.deliveredSpans += UInt64(held - dropped)
            if dropped > 0 { state.dropped[dropping.reason, default: 0] += UInt64(dropped) }
        }
    }

    /// Takes the place of its frame when the spool is closed.
    package func keepAtClose(_ rests: [SpoolRest]) {
        state.withLock { $0.rests = rests }
    }

    /// Called when nobody else uses the spool any more.
    func putRestsInPlace() {
        let kept = state.withLock { state in
            defer { state.rests = [] }
            return state.rests.compactMap { rest in append(rest, &state).map { (rest: rest, entry: $0) } }
        }
        if kept.isEmpty { return }
        let isDurable = syncOnce()
        state.withLock { state in
            for (rest, entry) in kept {
                if isDurable {
                    let held = state.settle([rest.frame], wereInFlight: true)
                    state.deliveredSpans += UInt64(max(0, held - rest.spanCount))
                } else {
                    // Better the whole once more than the rest twice.
                    state.takeBack(entry)
                }
            }
        }
        _ = syncOnce()
    }

    /// nil where there is no room, or the frame is settled or gone. Nothing is evicted for what is there already.
    private func append(_ rest: SpoolRest, _ state: inout SpoolState) -> AppendedFrame? {
        let frameBytes = FrameHeader.count + rest.payload.count
        let room = options.maxBytes - state.bytesOnDisk
        guard state.refusal == nil, frameBytes + SegmentHeader.count <= min(room, FrameHeader.maxPayload),
            !state.settled.contains(rest.frame.sequence),
            state.segments.contains(where: { $0.firstSequence == rest.frame.segment })
        else { return nil }
        do throws(SpoolError) {
            try openSegment(for: frameBytes, rest.frame.time, &state)
            try rest.payload.withUnsafeBufferPointer { payload throws(SpoolError) in
                try write(UnsafeRawBufferPointer(payload), rest.spanCount, rest.frame.time, &state)
            }
        } catch {
            state.note(error)
            return nil
        }
        return state.noteAppended(rest.spanCount, rest.payload.count, nil)
    }
}

extension SpoolState {
    /// Returns how many of the spans were on the books.
    mutating func settle(part spans: Int, of frame: SpoolBatch.Frame) -> Int {
        guard let index = segments.firstIndex(where: { $0.firstSequence == frame.segment }) else { return 0 }
        let before = settledParts[frame.sequence] ?? 0
        let held = min(max(0, spans), frame.spanCount - before)
        settledParts[frame.sequence] = before + held
        segments[index].unsettledSpans -= held
        segments[index].inFlightSpans -= held
        return held
    }
}
