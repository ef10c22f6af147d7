import Compression
import JSON
import Model
import NIOCore
import OTLP
import Platform
import ProtobufWire
import Synchronization

/// The half of the receiver that knows no transport: a request's bytes to what became of them.
struct TraceIntake: Sendable {
    enum Reply: Sendable {
        case now(TraceOutcome)
        /// Once the disk has the spans.
        case later(EventLoopFuture<TraceOutcome>)
    }

    enum BodyCoding {
        case identity
        /// gzip or zlib; the bytes tell which.
        case deflated
        case zstd
    }

    /// Reused from request to request, so that a scan allocates nothing.
    private final class Scratch: Sendable {
        struct Tools: ~Copyable {
            var scanner: SpanScanner
            var converter = JSONRequestConverter()
            let inflater = Inflater()
            let zstd = ZstdDecompressor()

            func decompress(
                _ body: UnsafeRawBufferPointer, _ coding: BodyCoding, limit: Int
            ) throws(DecompressionError) -> [UInt8] {
                coding == .zstd ? try zstd.decompress(body, limit: limit) : try inflater.inflate(body, limit: limit)
            }
        }
        let tools: Mutex<Tools>

        init(_ table: TaskAttributeTable) {
            tools = Mutex(Tools(scanner: SpanScanner(table: table)))
        }
    }

    /// After decompression.
    var maxBodyBytes: Int { bodyLimit.bytes }
    private let bodyLimit: BodyLimit
    private let sink: any SpanSink
    private let counters: ReceiverCounters
    private let scratch: Scratch
    private let relinker: TraceRelinker?
    /// Of requests that wait until Redis was asked for their tasks.
    private let held = ByteAllowance(16 << 20)

    init(
        bodyLimit: BodyLimit, attributes: TaskAttributeTable, sink: any SpanSink, counters: ReceiverCounters,
        relinker: TraceRelinker?
    ) {
        self.bodyLimit = bodyLimit
        self.sink = sink
        self.counters = counters
        self.relinker = relinker
        scratch = Scratch(attributes)
    }

    /// Every refusal of a whole request is made and counted here.
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
        scratch.tools.withLock { tools in
            defer { tools.scanner.forget() }
            return body.withUnsafeReadableBytes { body in
                guard coding != .identity, !body.isEmpty else { return read(body, &tools, source, eventLoop) }
                do throws(DecompressionError) {
                    let inflated = try tools.decompress(body, coding, limit: maxBodyBytes)
                    return inflated.withUnsafeBytes { read($0, &tools, source, eventLoop) }
                } catch {
                    return .now(.refused(refusal(of: error)))
                }
            }
        }
    }

    private func refusal(of error: DecompressionError) -> TraceRefusal {
        if case .tooLarge = error { return refusal(.tooLarge, "\(error) (otlp.max-body)") }
        return refusal(.malformed, "\(error)")
    }

    /// otlp.max-body holds for the JSON and for the protobuf that it becomes, which hardly ever is the longer one.
    private func read(
        _ body: UnsafeRawBufferPointer, _ tools: inout Scratch.Tools, _ source: SpanSource, _ eventLoop: any EventLoop
    ) -> Reply {
        guard source.encoding == .json else { return scan(body, JSONRemarks(), &tools.scanner, source, eventLoop) }
        do throws(MalformedJSON) {
            return try tools.converter.convertWithRemarks(body, limit: maxBodyBytes) {
                scan($0, $1, &tools.scanner, source, eventLoop)
            }
        } catch {
            if error.reason == .tooLarge { return .now(.refused(refusal(.tooLarge, "\(error) (otlp.max-body)"))) }
            return .now(.refused(refusal(.malformed, "not an ExportTraceServiceRequest: \(error)")))
        }
    }

    private func scan(
        _ body: UnsafeRawBufferPointer, _ remarks: JSONRemarks, _ scanner: inout SpanScanner, _ source: SpanSource,
        _ eventLoop: any EventLoop
    ) -> Reply {
        do throws(MalformedRequest) {
            try scanner.scan(body)
        } catch {
            if error.cause.reason == .tooMany {
                return .now(.refused(refusal(.tooLarge, "more than \(SpanScanner.maxSpans) spans in one request")))
            }
            return .now(.refused(refusal(.malformed, "not an ExportTraceServiceRequest: \(error)")))
        }
        // In place: the array is the scanner's, and is shared from here on.
        if let relinker, !scanner.taskSpans.isEmpty { relinker.source.look(for: &scanner.taskSpans, in: body) }
        var partial = PartialSuccess(
            badIDs: scanner.refused.count - remarks.badSpans, badValues: remarks.badSpans,
            firstProblem: remarks.firstProblem?.description ?? "")
        if scanner.spanCount == 0 { partial.warning = Self.emptiness(of: body, remarks) }
        let scanned = ScannedRequest(
            spanCount: scanner.spanCount - scanner.refused.count, taskSpans: scanner.taskSpans,
            refused: scanner.refused, partial: partial, source: source)
        return askRedis(for: scanned, body, eventLoop) ?? rewrite(scanned, body, eventLoop)
    }

    /// Why a body without spans may not be what its sender meant; nil for one that says nothing at all.
    private static func emptiness(of body: UnsafeRawBufferPointer, _ remarks: JSONRemarks) -> String? {
        let place = "spans stand in resourceSpans[].scopeSpans[].spans[]"
        if let key = remarks.unknownKey {
            return "no span could be read: \(place), and this body has \"\(key)\" instead"
        }
        return body.isEmpty ? nil : "no span could be read in this body: \(place)"
    }

    /// What the scanner found in a request.
    private struct ScannedRequest: Sendable {
        /// The spans that are left when the refused ones are taken out.
        let spanCount: Int
        var taskSpans: [TaskSpan]
        let refused: [Range<Int>]
        let partial: PartialSuccess
        let source: SpanSource
    }

    /// Where spans name tasks that Redis may know more of, the request goes on when Redis was asked. nil where there is nothing
    /// to wait for.
    private func askRedis(
        for scanned: ScannedRequest, _ body: UnsafeRawBufferPointer, _ eventLoop: any EventLoop
    ) -> Reply? {
        guard let relinker, !scanned.taskSpans.isEmpty else { return nil }
        let questions = relinker.questions(of: scanned.taskSpans, in: body)
        if questions.isEmpty { return nil }
        guard held.hold(body.count) else {
            relinker.recordNoRoom(questions.count)
            return nil
        }
        let asked = eventLoop.makePromise(of: Void.self)
        guard relinker.source.lookUp(questions, whenDone: { asked.succeed() }) else {
            held.release(body.count)
            asked.succeed()  // It has no future left, but NIO insists that a promise is kept.
            return nil
        }
        let copy = [UInt8](body)
        return .later(
            asked.futureResult.flatMap { [self] in
                defer { held.release(copy.count) }
                let reply = copy.withUnsafeBytes { body in
                    var scanned = scanned
                    relinker.source.look(for: &scanned.taskSpans, in: body)
                    return rewrite(scanned, body, eventLoop)
                }
                switch reply {
                case .now(let outcome): return eventLoop.makeSucceededFuture(outcome)
                case .later(let outcome): return outcome
                }
            })
    }

    /// Spans with bad ids are taken out, others get back the context that their task carries; then the request is kept.
    private func rewrite(
        _ scanned: ScannedRequest, _ body: UnsafeRawBufferPointer, _ eventLoop: any EventLoop
    ) -> Reply {
        var scanned = scanned
        do throws(WireError) {
            let findings = try relinker?.relink(&scanned.taskSpans, in: body)
            var edits = findings?.edits ?? []
            if edits.isEmpty && scanned.refused.isEmpty {
                return keep(body, of: scanned, body, findings, eventLoop)
            }
            edits += scanned.refused.map { SpanEdit($0, .remove) }
            edits.sort { $0.span.lowerBound < $1.span.lowerBound }
            let kept = try SpanRewriter.apply(edits, to: body)
            return kept.withUnsafeBytes { keep($0, of: scanned, body, findings, eventLoop) }
        } catch {
            // The scanner has read these bytes just now, so the rewriter can.
            return .now(.refused(refusal(.malformed, error.reason.rawValue)))
        }
    }

    /// `payload` is what is kept, `body` the request that the scanner has read: the same unless it was rewritten.
    private func keep(
        _ payload: UnsafeRawBufferPointer, of scanned: ScannedRequest, _ body: UnsafeRawBufferPointer,
        _ findings: TraceRelinker.Findings?, _ eventLoop: any EventLoop
    ) -> Reply {
        let outcome = TraceOutcome.accepted(scanned.partial)
        let hasSpans = scanned.spanCount > 0
        let promise =
            hasSpans && sink.acknowledgesAfterSync ? eventLoop.makePromise(of: TraceOutcome.self) : nil
        var whenDurable: (@Sendable (Bool) -> Void)?
        if let promise {
            let failed = TraceRefusal(.unavailable, "the disk did not take the spans")
            whenDurable = { promise.succeed($0 ? outcome : .refused(failed)) }
        }
        do throws(SinkRefusal) {
            try counters.recordSpans(scanned.source, spanCount: scanned.spanCount, refused: scanned.partial) {
                () throws(SinkRefusal) in
                if hasSpans { try sink.append(payload, spanCount: scanned.spanCount, whenDurable: whenDurable) }
            }
        } catch {
            promise?.succeed(outcome)  // It has no future left, but NIO insists that a promise is kept.
            return .now(.refused(TraceRefusal(error)))
        }
        if let findings { relinker?.recordAccepted(findings) }
        if hasSpans {
            for made in sink.observe(scanned.taskSpans, in: body) { counters.keep(made, in: sink) }
        }
        return promise.map { .later($0.futureResult) } ?? .now(outcome)
    }
}
