import Model
import Testing

@Suite("Trace and span ids")
struct SpanIdentifierTests {
    private static let good = ids + kind(5)

    @Test("a span with good ids is taken, its ids big-endian")
    func goodIDs() throws {
        let parent: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 2]
        let link = Field.message(13, Field.bytes(1, traceBytes.reversed()), Field.bytes(2, spanBytes.reversed()))
        let task = try #require(try Scanned(request(Self.good, Field.bytes(4, parent), link)).tasks.first)
        #expect(task.reference.trace.hex == "0102030405060708090a0b0c0d0e0f10")
        #expect(task.reference.span.hex == "a1a2a3a4a5a6a7a8")
        #expect(task.parent.hex == "0100000000000002")
        #expect(task.link.trace.hex == "100f0e0d0c0b0a090807060504030201")
        #expect(task.link.span.hex == "a8a7a6a5a4a3a2a1")
    }

    @Test(
        "a span with a bad id is refused by count, and the rest goes on",
        arguments: [
            [],
            Field.bytes(1, traceBytes),
            Field.bytes(2, spanBytes),
            Field.bytes(1, [UInt8](repeating: 0, count: 16)) + Field.bytes(2, spanBytes),
            Field.bytes(1, traceBytes) + Field.bytes(2, [UInt8](repeating: 0, count: 8)),
            Field.bytes(1, []) + Field.bytes(2, spanBytes),
            Field.bytes(1, traceBytes) + Field.bytes(2, []),
            Field.bytes(1, Array(traceBytes.dropLast())) + Field.bytes(2, spanBytes),
            Field.bytes(1, traceBytes + [17]) + Field.bytes(2, spanBytes),
            Field.bytes(1, spanBytes) + Field.bytes(2, spanBytes),
            Field.bytes(1, traceBytes) + Field.bytes(2, Array(spanBytes.dropLast())),
            Field.bytes(1, traceBytes) + Field.bytes(2, spanBytes + [9]),
            Field.bytes(1, traceBytes) + Field.bytes(2, traceBytes),
            ids + Field.bytes(4, [1]),
            ids + Field.bytes(4, traceBytes),
            ids + Field.message(13, Field.bytes(1, Array(traceBytes.dropLast())), Field.bytes(2, spanBytes)),
            ids + Field.message(13, Field.bytes(1, traceBytes), Field.bytes(2, [1, 2, 3])),
            ids + Field.message(13, Field.bytes(1, traceBytes), Field.bytes(2, spanBytes))
                + Field.message(13, Field.bytes(1, [1])),
            // Behind a good one: the last one counts.
            ids + Field.bytes(1, [1]),
        ] as [[UInt8]])
    func refusedIDs(bad: [UInt8]) throws {
        let scanned = try Scanned(request([Self.good, bad + kind(5), Self.good]))
        #expect(scanned.spanCount == 3)
        #expect(scanned.tasks.count == 2)
        #expect(scanned.refused.count == 1)
        let range = try #require(scanned.refused.first)
        #expect(Array(scanned.body[range]) == bad + kind(5))
    }

    @Test("a span of no task is refused as well, when its id is bad")
    func refusedWithoutRole() throws {
        let scanned = try Scanned(request([kind(3), ids + kind(3)]))
        #expect(scanned.spanCount == 2)
        #expect(scanned.refused.count == 1)
        #expect(scanned.tasks.isEmpty)
    }

    @Test("an empty span is refused, not overlooked")
    func emptySpan() throws {
        let scanned = try Scanned(request([[], []]))
        #expect(scanned.spanCount == 2)
        #expect(scanned.refused.count == 2)
        #expect(scanned.refused.allSatisfy { $0.isEmpty })
    }

    @Test("a parent or a link of zeros, or an empty one, stands for none", arguments: [0, 8])
    func noParent(count: Int) throws {
        let zeros = [UInt8](repeating: 0, count: count)
        let link = Field.message(13, Field.bytes(1, zeros + zeros), Field.bytes(2, zeros))
        let scanned = try Scanned(request(Self.good, Field.bytes(4, zeros), link, Field.message(13)))
        #expect(scanned.refused.isEmpty)
        #expect(scanned.tasks.first?.parent == SpanID.none)
        #expect(scanned.tasks.first?.link == SpanReference.none)
    }

    @Test("half of an id that is zero is no zero id")
    func halfZero() throws {
        let high = [UInt8](repeating: 0, count: 15) + [1]
        let low = [1] + [UInt8](repeating: 0, count: 15)
        let span = Field.bytes(2, spanBytes) + kind(5)
        #expect(try Scanned(request([Field.bytes(1, high) + span, Field.bytes(1, low) + span])).tasks.count == 2)
    }

    @Test("the first link with valid ids counts")
    func firstValidLink() throws {
        let none = Field.message(13, Field.bytes(1, [UInt8](repeating: 0, count: 16)), Field.bytes(2, spanBytes))
        let first = Field.message(13, Field.bytes(2, [0, 0, 0, 0, 0, 0, 0, 1]), Field.bytes(1, traceBytes))
        let second = Field.message(13, Field.bytes(1, traceBytes), Field.bytes(2, spanBytes))
        let task = try #require(try Scanned(request(none, first, second, Self.good)).tasks.first)
        #expect(task.link.span == SpanID(1))
    }

    @Test("of many links the first and the last seven with valid ids are kept, in their order")
    func manyLinks() throws {
        func link(_ id: UInt8) -> [UInt8] {
            Field.message(13, Field.bytes(1, traceBytes), Field.bytes(2, [0, 0, 0, 0, 0, 0, 0, id]))
        }
        func ids(_ count: UInt8) throws -> [UInt64] {
            let links = (0...count).flatMap { link($0) }
            let task = try #require(try Scanned(request(Self.good, links)).tasks.first)
            return ([task.link] + task.moreLinks).map(\.span.value)
        }
        #expect(try ids(1) == [1])
        #expect(try ids(3) == [1, 2, 3])
        #expect(try ids(8) == Array(1...8))
        #expect(try ids(200) == [1] + Array(194...200))
    }
}
