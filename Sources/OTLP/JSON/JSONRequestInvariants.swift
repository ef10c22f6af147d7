extension JSONRequestConverter {
    /// Checks what must hold for all bytes; for fuzzers and tests. Traps where it doesn't.
    ///
    /// A body that is converted must be accepted by the scanner as well, and must not become longer than promised. It
    /// must come out the same from a converter that has just read something else. A refusal must name a place in the
    /// body.
    package static func checkInvariants(_ body: UnsafeRawBufferPointer) {
        var converter = JSONRequestConverter()
        let first = converter.outcome(body)
        _ = converter.outcome(UnsafeRawBufferPointer(rebasing: body[..<(body.count / 2)]))
        precondition(first == converter.outcome(body), "the same body gives two results")
        switch first {
        case .failure(let error):
            precondition((0...body.count).contains(error.offset), "an error outside the body")
            precondition(error.path.utf8.count < 400, "a path without bound")
        case .success(let request):
            precondition(request.count <= body.count + body.count / 4, "more output than promised")
            request.withUnsafeBytes {
                var scanner = SpanScanner(table: table)
                do throws(MalformedRequest) {
                    try scanner.scan($0)
                } catch {
                    preconditionFailure("the scanner refuses what was converted: \(error)")
                }
            }
        }
    }

    private static let table = TaskAttributeTable()

    private mutating func outcome(_ body: UnsafeRawBufferPointer) -> Result<[UInt8], MalformedJSON> {
        do throws(MalformedJSON) {
            return .success(try convert(body) { Array($0) })
        } catch {
            return .failure(error)
        }
    }
}
