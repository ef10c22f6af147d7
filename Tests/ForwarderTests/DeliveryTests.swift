import Model
import Testing

@testable import Forwarder
@testable import Spool

@Suite("Deliveries")
struct DeliveryTests {
    private static func delivery(_ batch: SpoolBatch) -> Delivery {
        Delivery(.frames(batch.frames), isFresh: true, acceptedBefore: 0)
    }

    @Test("Halves of frames have about as many bytes, and every frame is in one of them", arguments: 2...9)
    func frames(count: Int) throws {
        for large in 1...count {
            var batch = SpoolBatch()
            for index in 1...count {
                let frame = makeBatch([index], nameBytes: index == large ? 1000 : 10)
                batch.frames += frame.frames
            }
            let halves = try #require(Self.delivery(batch).halves(bySpans: false))
            #expect(halves.flatMap(\.address.frames) == batch.frames)
            #expect(halves.allSatisfy { !$0.address.frames.isEmpty && !$0.isFresh && $0.division == nil })
            #expect(halves.map(\.bytes).reduce(0, +) == batch.frames.reduce(0) { $0 + $1.payloadBytes })
            let most = try #require(halves.map(\.bytes).max())
            #expect(most <= 1100 + count * 40 / 2)
        }
    }

    @Test("A single frame is halved by spans, down to one, each span once and in order", arguments: [2, 3, 7, 64])
    func spans(count: Int) throws {
        let batch = makeBatch([5], spansPerFrame: count)
        #expect(Self.delivery(batch).halves(bySpans: false) == nil)
        var pending = [Self.delivery(batch)]
        var found: [Range<Int>] = []
        while let next = pending.popLast() {
            if let halves = next.halves(bySpans: true) {
                pending += halves.reversed()
            } else if case .spans(let range, let frame) = next.address {
                #expect(frame == batch.frames[0])
                found.append(range)
            }
        }
        #expect(found == (0..<count).map { $0..<$0 + 1 })
        #expect(Self.delivery(makeBatch([5])).halves(bySpans: true) == nil, "a single span")
    }

    @Test(
        "What the parts of a request may repeat is used up by halves that are hardly smaller than their whole",
        arguments: [
            // A half that has three quarters of its whole's bytes repeats half of these, and that is free.
            (50, 0, 0), (75, 0, 0), (76, 26, 0), (76, 25, nil), (100, 50, 0), (100, 49, nil), (100, 1050, 500),
        ] as [(Int, Int, Int?)])
    func division(bytes: Int, repeatable: Int, left: Int?) throws {
        var part = Delivery(
            .spans(0..<8, of: makeBatch([5], spansPerFrame: 16).frames[0]), isFresh: false, acceptedBefore: 0)
        part.division = Division(wholeBytes: 100, repeatableBytes: repeatable)
        part.bytes = bytes
        let halves = part.halves(bySpans: true)
        #expect(halves?.map { $0.division?.repeatableBytes } == left.map { [$0, $0] })
        #expect(halves.map { $0.allSatisfy { $0.division?.wholeBytes == bytes } } ?? true)
    }

    @Test("The body of a part has its spans below the frame's resource; that of frames is what the spool gave")
    func body() throws {
        let batch = makeBatch([7], spansPerFrame: 5, resourceBytes: 10)
        let whole = Self.delivery(batch)
        #expect(whole.body(batch) == batch.bytes)
        let halves = try #require(whole.halves(bySpans: true))
        #expect(halves.map { $0.body(batch) } == [2, 3].map { makeRequest(name: "7", spans: $0, resourceBytes: 10) })
        var broken = batch
        broken.bytes[0] = 7
        #expect(halves[0].body(broken) == nil)
    }

    @Test("What the spool no longer has to send is left out")
    func keeping() throws {
        let batch = makeBatch(1...4, nameBytes: 100)
        var delivery = Self.delivery(batch)
        delivery.failures = 3
        let kept = try #require(delivery.keeping(Array(batch.frames[1..<3])))
        #expect(kept.address == .frames(Array(batch.frames[1..<3])) && kept.failures == 3)
        #expect(kept.bytes == batch.frames[1].payloadBytes * 2)
        #expect(delivery.keeping([]) == nil)
    }
}
