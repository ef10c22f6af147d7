import Compression
import JSON
import Model
import NIOCore
import OTLP
import Platform
import ProtobufWire
import Synchronization

/// The half of the receiver that knows no transport: it takes a request's bytes and returns an outcome.
struct TraceIntake: Sendable {
    enum Reply: Sendable {
        case now(TraceOutcome)
        /// The outcome comes once the disk has the spans.
        case later(EventLoopFuture<TraceOutcome>)
    }

    /// The largest body after decompression.
    var maxBodyBytes: Int { bodyLimit.bytes }
    private let bodyLimit: BodyLimit
    private let sink: any SpanSink
    private let counters: ReceiverCounters
    private let scratch: ScanTools
    private let relinker: TraceRelinker?
    /// The thread that appends; nil where nothing is written to a disk: the sink is called on the event loop.
    private let appends: AppendThread?
    private let worker: LongRequests?
    /// The memory of what complete requests are made into, and of those that wait until Redis was asked for their
    /// tasks.
    private let memory: ByteBudget
    /// The part of it for those that wait for Redis.
    private let waiting = ByteBudget(16 << 20)

    init(
        bodyLimit: BodyLimit, memory: ByteBudget = ByteBudget(256 << 20), attributes: TaskAttributeTable,
        sink: any SpanSink, counters: ReceiverCounters,
        relinker: TraceRelinker?, appends: AppendThread? = nil, worker: SerialThread? = nil
    ) {
        self.appends = appends
        self.worker = worker.map {
            LongRequests(
                thread: $0, scratch: ScanTools(attributes), waiting: ByteBudget(memory.limitBytes / 2))
        }
        self.bodyLimit = bodyLimit
        self.memory = memory
        self.sink = sink
        self.counters = counters
        self.relinker = relinker
        scratch = ScanTools(attributes)
    }

    /// Makes and counts every refusal of a whole request.
    func refusal(_ reason: TraceRefusal.Reason, _ message: String) -> TraceRefusal {
        if let counted = reason.badRequest { counters.recordRefusedRequest(counted) }
        return TraceRefusal(reason, message)
    }

    func bodyTooLarge() -> TraceRefusal {
        refusal(.tooLarge, TraceRefusal.bodyTooLarge(maxBodyBytes))
    }

    func tooManyBodies() -> TraceRefusal {
        refusal(.overloaded, TraceRefusal.tooManyBodies)
    }

    /// Takes an ExportTraceServiceRequest. JSON becomes protobuf first, so that the scanner, the spool and the backend see
    /// one format.
    func take(
        _ body: ByteBuffer, _ coding: BodyCoding, from source: SpanSource, on eventLoop: any EventLoop
    ) -> Reply {
        guard let worker, worker.isLong(body.readableBytes, coding) else {
            return take(body, coding, from: source, with: scratch, on: eventLoop)
        }
        return work(body.readableBytes, by: worker, on: eventLoop) {
            take(body, coding, from: source, with: worker.scratch, on: eventLoop)
        }
    }

    /// Hands work that would hold the event loop to the worker.
    private func work(
        _ bytes: Int, by worker: LongRequests, on eventLoop: any EventLoop, _ body: @escaping @Sendable () -> Reply
    ) -> Reply {
        worker.run(bytes, on: eventLoop, body) ?? .now(.refused(tooManyBodies()))
    }

    private func take(
        _ body: ByteBuffer, _ coding: BodyCoding, from source: SpanSource, with scratch: ScanTools,
        on eventLoop: any EventLoop
    ) -> Reply {
        scratch.tools.withLock { tools in
            defer { tools.scanner.forget() }
            return body.withUnsafeReadableBytes { bytes in
                guard coding != .identity, !bytes.isEmpty else {
                    return read(RequestBytes(bytes, in: body), with: &tools, from: source, on: eventLoop)
                }
                let limit = requestLimit
                do throws(DecompressionError) {
                    let inflated = try tools.decompress(bytes, coding, limit: limit)
                    return holding(inflated.count) {
                        inflated.withUnsafeBytes { read(RequestBytes($0), with: &tools, from: source, on: eventLoop) }
                    }
                } catch {
                    if case .tooLarge = error { return tooLarge("\(error)", limit) }
                    return .now(.refused(refusal(.malformed, "\(error)")))
                }
            }
        }
    }

    // MARK: Memory

    /// The bytes that a request may be made into now: `otlp.max-body`, or what is left of the memory for it.
    private var requestLimit: Int { min(maxBodyBytes, memory.spareBytes) }

    private func holdWaiting(_ bytes: Int) -> Bool {
        guard waiting.hold(bytes) else { return false }
        if memory.hold(bytes) { return true }
        waiting.release(bytes)
        return false
    }

    private func releaseWaiting(_ bytes: Int) {
        waiting.release(bytes)
        memory.release(bytes)
    }

    /// Runs the body, and holds bytes of memory while it runs.
    private func holding(_ bytes: Int, _ body: () -> Reply) -> Reply {
        guard memory.hold(bytes) else { return tooLarge("the request becomes one of \(bytes) bytes", 0) }
        defer { memory.release(bytes) }
        return body()
    }

    /// Answers a request that became more than its limit. It can't succeed later either, unless requests that wait for
    /// Redis hold what it lacks.
    private func tooLarge(_ text: String, _ limit: Int) -> Reply {
        if limit == maxBodyBytes { return .now(.refused(refusal(.tooLarge, "\(text) (otlp.max-body)"))) }
        if waiting.heldBytes > 0 { return .now(.refused(tooManyBodies())) }
        return .now(.refused(refusal(.tooLarge, "\(text) (memory.limit)")))
    }

    /// Reads a body. `otlp.max-body` holds for the JSON and for the protobuf that it becomes, which hardly ever is the
    /// longer one.
    private func read(
        _ body: RequestBytes, with tools: inout ScanTools.Tools, from source: SpanSource, on eventLoop: any EventLoop
    ) -> Reply {
        guard source.encoding == .json else {
            return scan(body, remarks: JSONRemarks(), with: &tools.scanner, from: source, on: eventLoop)
        }
        let limit = requestLimit
        do throws(MalformedJSON) {
            return try tools.converter.convertWithRemarks(body.bytes, limit: limit) { request, remarks in
                holding(request.count) {
                    scan(RequestBytes(request), remarks: remarks, with: &tools.scanner, from: source, on: eventLoop)
                }
            }
        } catch {
            if error.reason == .tooLarge { return tooLarge("\(error)", limit) }
            return .now(.refused(refusal(.malformed, "not an ExportTraceServiceRequest: \(error)")))
        }
    }

    private func scan(
        _ request: RequestBytes, remarks: JSONRemarks, with scanner: inout SpanScanner, from source: SpanSource,
        on eventLoop: any EventLoop
    ) -> Reply {
        let body = request.bytes
        do throws(MalformedRequest) {
            try scanner.scan(body, maxTaskBytes: memory.spareBytes)
        } catch {
            if error.cause.reason == .tooMany {
                return .now(.refused(refusal(.tooLarge, "too many spans in one request; send smaller batches")))
            }
            if let signal = OtherSignal.found(in: body) { return .now(.accepted(recordEmpty(signal, source))) }
            return .now(.refused(refusal(.malformed, "not an ExportTraceServiceRequest: \(error)")))
        }
        let mayBeOther = scanner.refused.count == scanner.spanCount || !scanner.hasStart
        if scanner.spanCount > 0, mayBeOther,
            let signal = OtherSignal.found(in: body)
        {
            return .now(.accepted(recordEmpty(signal, source)))
        }
        // They are changed in place: the array is the scanner's, and is shared from here on.
        if let relinker, !scanner.taskSpans.isEmpty { relinker.source.look(for: &scanner.taskSpans, in: body) }
        let badValues = remarks.badSpans + scanner.badValues
        var partial = PartialSuccess(
            badIDs: scanner.refused.count - badValues, badValues: badValues,
            firstProblem: remarks.firstProblem?.description ?? scanner.firstBadValue?.description ?? "")
        if scanner.spanCount == 0 { partial.warning = Self.emptiness(of: body, remarks) }
        let scanned = ScannedRequest(
            spanCount: scanner.spanCount - scanner.refused.count, taskSpans: scanner.taskSpans,
            refused: scanner.refused, partial: partial, source: source)
        return askRedis(for: scanned, request, on: eventLoop) ?? rewrite(scanned, request, on: eventLoop)
    }

    /// Counts a request of another signal, which has no spans, and returns its warning.
    private func recordEmpty(_ signal: OtherSignal, _ source: SpanSource) -> PartialSuccess {
        var partial = PartialSuccess()
        partial.warning = "no span could be read: this body has \(signal.rawValue), and /v1/traces takes spans only"
        counters.recordAccepted(source, spanCount: 0, refused: partial)
        return partial
    }

    /// Returns the reason why a body without spans may not be what its sender meant; nil for one that says nothing at
    /// all.
    private static func emptiness(of body: UnsafeRawBufferPointer, _ remarks: JSONRemarks) -> String? {
        let place = "spans stand in resourceSpans[].scopeSpans[].spans[]"
        if let key = remarks.unknownKey {
            return "no span could be read: \(place), and this body has \"\(key)\" instead"
        }
        return body.isEmpty ? nil : "no span could be read in this body: \(place)"
    }

    /// Asks Redis for tasks that spans name and it may know more of; the request goes on after the answer. Returns nil
    /// where there is nothing to wait for.
    private func askRedis(
        for scanned: ScannedRequest, _ request: RequestBytes, on eventLoop: any EventLoop
    ) -> Reply? {
        let body = request.bytes
        guard let relinker, !scanned.taskSpans.isEmpty else { return nil }
        let questions = relinker.questions(of: scanned.taskSpans, in: body)
        if questions.isEmpty { return nil }
        let kept = request.kept
        let bytes = kept.storageCapacity
        guard holdWaiting(bytes) else {
            relinker.recordOverLimit(questions.count)
            return nil
        }
        let asked = eventLoop.makePromise(of: Void.self)
        guard relinker.source.lookUp(questions, whenDone: { asked.succeed() }) else {
            releaseWaiting(bytes)
            asked.succeed()  // It has no future left, but NIO insists that a promise is kept.
            return nil
        }
        return .later(
            asked.futureResult.flatMap { [self] in
                releaseWaiting(bytes)
                let goOn = { @Sendable in
                    kept.withUnsafeReadableBytes { body in
                        var scanned = scanned
                        relinker.source.look(for: &scanned.taskSpans, in: body)
                        return rewrite(scanned, RequestBytes(body, in: kept), on: eventLoop)
                    }
                }
                let isLong = worker?.isLong(kept.readableBytes, .identity) ?? false
                let reply = if isLong, let worker { work(bytes, by: worker, on: eventLoop, goOn) } else { goOn() }
                switch reply {
                case .now(let outcome): return eventLoop.makeSucceededFuture(outcome)
                case .later(let outcome): return outcome
                }
            })
    }

    /// Removes spans with bad ids, and gives others the context that their task carries; then the request is kept.
    private func rewrite(
        _ scanned: ScannedRequest, _ request: RequestBytes, on eventLoop: any EventLoop
    ) -> Reply {
        let body = request.bytes
        var scanned = scanned
        do throws(WireError) {
            let findings = try relinker?.relink(&scanned.taskSpans, in: body)
            var edits = findings?.edits ?? []
            if edits.isEmpty && scanned.refused.isEmpty {
                return keep(body, of: scanned, in: request, findings: findings, on: eventLoop)
            }
            edits += scanned.refused.map { SpanEdit($0, .remove) }
            edits.sort { $0.span.lowerBound < $1.span.lowerBound }
            let kept = try SpanRewriter.apply(edits, to: body)
            return holding(kept.count) {
                kept.withUnsafeBytes { keep($0, of: scanned, in: request, findings: findings, on: eventLoop) }
            }
        } catch {
            // The scanner has read these bytes just now, so the rewriter can.
            return .now(.refused(refusal(.malformed, error.reason.rawValue)))
        }
    }

    /// Keeps a request. `payload` is what is kept, `body` the request that the scanner has read: the same unless it was
    /// rewritten.
    private func keep(
        _ payload: UnsafeRawBufferPointer, of scanned: ScannedRequest, in body: RequestBytes,
        findings: TraceRelinker.Findings?, on eventLoop: any EventLoop
    ) -> Reply {
        guard scanned.spanCount > 0 else {
            counters.recordAccepted(scanned.source, spanCount: 0, refused: scanned.partial)
            if let findings { relinker?.recordAccepted(findings) }
            return .now(.accepted(scanned.partial))
        }
        if let appends { return keep(payload, of: scanned, in: body, findings: findings, by: appends, on: eventLoop) }
        let outcome = TraceOutcome.accepted(scanned.partial)
        let promise = sink.acknowledgesAfterSync ? eventLoop.makePromise(of: TraceOutcome.self) : nil
        do throws(SinkRefusal) {
            try store(
                payload, of: scanned, in: body.bytes, findings: findings, confirm: { true },
                whenDurable: promise.map { Self.answer($0, outcome) })
        } catch {
            promise?.succeed(outcome)  // It has no future left, but NIO insists that a promise is kept.
            return .now(.refused(countRefused(scanned, error)))
        }
        return promise.map { .later($0.futureResult) } ?? .now(outcome)
    }

    /// Keeps a request by the thread that appends.
    private func keep(
        _ payload: UnsafeRawBufferPointer, of scanned: ScannedRequest, in body: RequestBytes,
        findings: TraceRelinker.Findings?, by appends: AppendThread, on eventLoop: any EventLoop
    ) -> Reply {
        let kept = KeptRequest(scanned, in: body, payload: payload)
        let outcome = TraceOutcome.accepted(scanned.partial)
        let promise = eventLoop.makePromise(of: TraceOutcome.self)
        let awaitsSync = sink.acknowledgesAfterSync
        let append = { @Sendable [self] (job: AppendJob) -> TraceOutcome? in
            do throws(SinkRefusal) {
                try kept.withBytes { body, payload throws(SinkRefusal) in
                    try store(
                        payload, of: kept.scanned, in: body, findings: findings, confirm: job.claim,
                        whenDurable: awaitsSync ? Self.answer(promise, outcome) : nil)
                }
                return awaitsSync ? nil : outcome
            } catch {
                return job.claim() ? .refused(countRefused(kept.scanned, error)) : nil
            }
        }
        let job = AppendJob(
            bytes: kept.bytes, answer: promise, work: append,
            whenLate: {
                .refused(countRefused(kept.scanned, SinkRefusal(.unavailable, AppendThread.stalled)))
            })
        do throws(SinkRefusal) {
            try appends.submit(job, on: eventLoop)
        } catch {
            let refused = TraceOutcome.refused(countRefused(scanned, error))
            promise.succeed(refused)  // It has no future left, but NIO insists that a promise is kept.
            return .now(refused)
        }
        return .later(awaitsSync ? answer(of: promise, within: Self.syncPatience, on: eventLoop) : promise.futureResult)
    }

    /// The time for one sync. What was appended stays in the spool, and is forwarded once the disk has it.
    private static let syncPatience = TimeAmount.seconds(5)

    /// Returns the answer of a promise that may be kept too late: then its sender hears that it has to send again.
    private func answer(
        of promise: EventLoopPromise<TraceOutcome>, within patience: TimeAmount, on eventLoop: any EventLoop
    ) -> EventLoopFuture<TraceOutcome> {
        let timeout = eventLoop.scheduleTask(in: patience) {
            promise.succeed(.refused(TraceRefusal(.unavailable, AppendThread.stalled)))
        }
        promise.futureResult.whenComplete { _ in timeout.cancel() }
        return promise.futureResult
    }

    private static func answer(
        _ promise: EventLoopPromise<TraceOutcome>, _ outcome: TraceOutcome
    ) -> @Sendable (_ isDurable: Bool) -> Void {
        { promise.succeed($0 ? outcome : .refused(TraceRefusal(.unavailable, "the disk did not take the spans"))) }
    }

    /// Has the sink keep a request, and the metrics see it.
    private func store(
        _ payload: UnsafeRawBufferPointer, of scanned: ScannedRequest, in body: UnsafeRawBufferPointer,
        findings: TraceRelinker.Findings?, confirm: () -> Bool, whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) {
        try sink.append(
            payload, spanCount: scanned.spanCount,
            confirm: {
                guard confirm() else { return false }
                counters.recordAccepted(scanned.source, spanCount: scanned.spanCount, refused: scanned.partial)
                return true
            }, whenDurable: whenDurable)
        if let findings { relinker?.recordAccepted(findings) }
        for made in sink.observe(scanned.taskSpans, in: body) { counters.keep(made, in: sink) }
    }

    private func countRefused(_ scanned: ScannedRequest, _ refusal: SinkRefusal) -> TraceRefusal {
        counters.recordRefused(
            scanned.source, spanCount: scanned.spanCount, refused: scanned.partial, reason: refusal.reason)
        return TraceRefusal(refusal)
    }
}
