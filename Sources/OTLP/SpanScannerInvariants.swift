import Model
import ProtobufWire

extension SpanScanner {
    /// Checks what must hold for all bytes; for fuzzers and tests. Traps where it doesn't.
    ///
    /// All that the scanner found must lie in the body, and must come out the same from a scanner that has just read
    /// something else. Without the refused spans the body must be a request that has all the others as they were. A
    /// refusal must name a place in the body.
    package static func checkInvariants(_ body: UnsafeRawBufferPointer) {
        var scanner = SpanScanner(table: invariantsTable)
        let error = scanner.failure(body)
        var used = scanner
        _ = used.failure(UnsafeRawBufferPointer(rebasing: body[..<(body.count / 2)]))
        let errorAgain = used.failure(body)
        precondition(error?.description == errorAgain?.description, "the same body gives two errors")
        if let error {
            precondition((0...body.count).contains(error.cause.offset), "an error outside the body")
            return
        }
        precondition(scanner.spanCount == used.spanCount && scanner.refused == used.refused, "two counts of one body")
        precondition(scanner.finds(used, in: body, body), "the same body gives two results")
        precondition(scanner.spanCount >= scanner.refused.count + scanner.taskSpans.count, "more spans than there are")
        var end = 0
        for range in scanner.refused {
            precondition(range.lowerBound >= end && range.upperBound <= body.count, "refused spans outside the body")
            end = range.upperBound
        }
        checkRemoval(scanner, body)
        checkEdits(scanner, body)
    }

    /// Gives each task span a link or, by turns, a parent, and removes the refused ones. All else stays, and a second
    /// scan finds what was added.
    private static func checkEdits(_ scanner: SpanScanner, _ body: UnsafeRawBufferPointer) {
        if scanner.taskSpans.isEmpty { return }
        let reference = SpanReference(trace: TraceID(high: 1, low: 2), span: SpanID(3))
        let context = TraceContext(reference: reference, isSampled: true, traceState: Array("a=b".utf8))
        var edits = scanner.refused.map { SpanEdit($0, .remove) }
        for (index, span) in scanner.taskSpans.enumerated() {
            let range = Int(span.content.offset)..<Int(span.content.offset + span.content.count)
            edits.append(SpanEdit(range, index % 2 == 0 ? .link(context) : .parent(context)))
        }
        edits.sort { $0.span.lowerBound < $1.span.lowerBound }
        let edited: [UInt8]
        do throws(WireError) {
            edited = try SpanRewriter.apply(edits, to: body)
            let counts = try SpanRewriter.spanCounts(of: Set(scanner.taskSpans.map(\.reference.trace)), in: body)
            precondition(counts.values.reduce(0, +) >= scanner.taskSpans.count, "spans of a trace were not counted")
        } catch {
            preconditionFailure("the rewriter refuses what was scanned: \(error)")
        }
        edited.withUnsafeBytes { edited in
            var again = SpanScanner(table: invariantsTable)
            precondition(again.failure(edited) == nil, "what was edited is not a request")
            precondition(again.refused.isEmpty, "an edited span is refused")
            precondition(again.spanCount == scanner.spanCount - scanner.refused.count, "spans were lost")
            precondition(again.taskSpans.count == scanner.taskSpans.count, "task spans were lost")
            for (index, (before, after)) in zip(scanner.taskSpans, again.taskSpans).enumerated() {
                if index % 2 == 0 {
                    precondition(after.reference == before.reference && after.parent == before.parent, "another span")
                    precondition(after.link == (before.link.isValid ? before.link : reference), "another link")
                } else {
                    precondition(
                        after.parent == reference.span && after.reference.trace == reference.trace, "no parent")
                    precondition(
                        after.link == before.link && after.reference.span == before.reference.span, "another link")
                }
                precondition(after.startNanoseconds == before.startNanoseconds, "another start")
                precondition(
                    after.taskID.bytes(in: edited).elementsEqual(before.taskID.bytes(in: body)), "another task")
            }
        }
    }

    private static func checkRemoval(_ scanner: SpanScanner, _ body: UnsafeRawBufferPointer) {
        let kept: [UInt8]
        do throws(WireError) {
            kept = try SpanRewriter.removing(scanner.refused, from: body)
        } catch {
            preconditionFailure("the rewriter refuses what was scanned: \(error)")
        }
        precondition(kept.count <= body.count, "spans were taken out, and the request has grown")
        kept.withUnsafeBytes { kept in
            var again = SpanScanner(table: invariantsTable)
            let error = again.failure(kept)
            precondition(error == nil, "what was left is not a request")
            precondition(again.refused.isEmpty, "a refused span was left")
            precondition(again.spanCount == scanner.spanCount - scanner.refused.count, "spans were lost")
            precondition(again.finds(scanner, in: kept, body), "the spans that were left have changed")
            if scanner.refused.isEmpty {
                precondition(kept.elementsEqual(body), "nothing was refused, and bytes changed")
            }
        }
    }

    private static let invariantsTable = TaskAttributeTable()

    private mutating func failure(_ body: UnsafeRawBufferPointer) -> MalformedRequest? {
        do throws(MalformedRequest) {
            try scan(body)
            return nil
        } catch {
            return error
        }
    }

    /// Returns true if both have found the same task spans, each in its own body.
    private func finds(_ other: SpanScanner, in body: UnsafeRawBufferPointer, _ otherBody: UnsafeRawBufferPointer)
        -> Bool
    {
        taskSpans.count == other.taskSpans.count
            && zip(taskSpans, other.taskSpans).allSatisfy { $0.isSame($1, in: body, otherBody) }
    }
}

extension TaskSpan {
    fileprivate func isSame(
        _ other: TaskSpan, in body: UnsafeRawBufferPointer, _ otherBody: UnsafeRawBufferPointer
    ) -> Bool {
        func texts(_ text: ByteRange, _ otherText: ByteRange) -> Bool {
            text.bytes(in: body).elementsEqual(otherText.bytes(in: otherBody))
        }
        func values(_ value: AttributeValue, _ otherValue: AttributeValue) -> Bool {
            switch (value, otherValue) {
            case (.string(let text), .string(let otherText)): texts(text, otherText)
            case (.double(let number), .double(let otherNumber)): number.bitPattern == otherNumber.bitPattern
            default: value == otherValue
            }
        }
        return role == other.role && reference == other.reference && parent == other.parent && link == other.link
            && moreLinks == other.moreLinks
            && startNanoseconds == other.startNanoseconds && endNanoseconds == other.endNanoseconds
            && isError == other.isError && isLinkSampled == other.isLinkSampled && texts(queue, other.queue)
            && texts(errorType, other.errorType) && texts(taskType, other.taskType) && texts(taskID, other.taskID)
            && values(retryCount, other.retryCount)
            && values(wait, other.wait) && waitUnitSeconds == other.waitUnitSeconds && values(stamp, other.stamp)
            && stampMeaning == other.stampMeaning && values(processAt, other.processAt)
    }
}
