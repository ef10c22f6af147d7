import Model
import Testing

@testable import WaitTime

@Suite("The waits that spans are made of")
struct CollectedWaitsTests {
    private static let producer = SpanReference(trace: trace(2), span: SpanID(7))

    private let maker = SpanMaker()

    /// An attempt at task "id" that is linked to the producer.
    private func process(_ change: (inout TaskSpan) -> Void = { _ in }) -> TaskSpan {
        maker.process {
            $0.taskID = maker.range(Array("id".utf8))
            $0.link = Self.producer
            change(&$0)
        }
    }

    private func made() -> TaskSpan { maker.producer(7, endedBefore: 2 * second, in: trace(2)) }

    private func collected(_ requests: [TaskSpan]..., collects: Bool = true) -> [KnownWait] {
        var aggregator = makeAggregator { $0.collectsWaits = collects }
        return requests.flatMap { request -> [KnownWait] in
            maker.observe(request, with: &aggregator)
            return aggregator.takeCollectedWaits()
        }
    }

    @Test("The producer is known as a span, and the attempt: whichever of the two comes first")
    func eitherOrder() {
        let (span, made) = (process(), made())
        let attempt = KnownWait.Attempt(
            task: TaskName(queue: QueueName("q"), id: Array("id".utf8)), type: TaskType("t"), retryCount: 0,
            process: span.reference, startNanoseconds: t0)
        let expected = [KnownWait(attempt: attempt, producer: Self.producer, seconds: 2)]
        #expect(expected.first?.readyNanoseconds == t0 - 2 * second)
        for found in [
            collected([made], [span]), collected([span], [made]), collected([span, made]), collected([made, span]),
            collected([made], [span], [span]),
        ] {
            #expect(found == expected)
        }
        #expect(collected([made, span], collects: false) == [])
    }

    @Test("A wait that the attempt itself or its task's message tells begins at the span that it names")
    func likelyProducer() {
        let parent = SpanReference(trace: trace(1), span: SpanID(8))
        let tellers: [(inout TaskSpan) -> Void] = [
            { $0.wait = .integer(3) },
            {
                let enqueuedAt = WallTime(nanoseconds: Int64(t0 - 3 * second))
                $0.knowledge.message = CarriedMessage(enqueuedAt: enqueuedAt)
            },
        ]
        let names: [(SpanReference?, (inout TaskSpan) -> Void)] = [
            (Self.producer, { _ in }), (Self.producer, { $0.parent = parent.span }),
            // A link to a trace that was not sampled leads nowhere, and it says that the producer is no parent.
            (nil, { $0.isLinkSampled = false }),
            (
                nil,
                {
                    $0.isLinkSampled = false
                    $0.parent = parent.span
                }
            ),
            (
                parent,
                {
                    $0.link = .none
                    $0.parent = parent.span
                }
            ),
            (nil, { $0.link = .none }),
        ]
        for tell in tellers {
            for (producer, name) in names {
                let span = process {
                    tell(&$0)
                    name(&$0)
                }
                let found = collected([span])
                #expect(found.map(\.producer) == [producer].compactMap(\.self))
                #expect(found.allSatisfy { $0.seconds == 3 && $0.attempt.process == span.reference })
            }
        }
    }

    @Test("A producer that has come was exported, and so sampled, whatever the link says")
    func seenProducer() {
        for isLinkSampled in [true, false] {
            let span = process {
                $0.wait = .integer(3)
                $0.isLinkSampled = isLinkSampled
            }
            #expect(collected([made(), span]).map(\.producer) == [Self.producer])
            #expect(collected([span]).count == (isLinkSampled ? 1 : 0))
        }
    }

    @Test(
        "The attempt is that of the trace backend: moved into another trace, with its retries, without a made-up type")
    func attempt() {
        let span = maker.process(type: "") {
            $0.link = Self.producer
            $0.movedTo = trace(2)
            $0.retryCount = .integer(4)
            $0.wait = .integer(3)
        }
        let attempt = collected([span]).first?.attempt
        #expect(attempt?.process == SpanReference(trace: trace(2), span: span.reference.span))
        #expect(attempt?.retryCount == 4 && attempt?.type == TaskType([]) && attempt?.task.id == [])
    }
}
