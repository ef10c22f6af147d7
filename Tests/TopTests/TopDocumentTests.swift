import Model
import Testing

@testable import Top

@Suite struct TopDocumentTests {
    @Test func aTroubleWithoutASentenceIsNone() throws {
        let document = try Samples.document(
            #"{"attention":[{"sentence":""},{"sentence":null},{},{"sentence":"a","severity":"?"},{"sentence":"b"}]}"#)
        let troubles = try #require(document.troubles)
        #expect(troubles.map(\.sentence) == ["a", "b"])
        #expect(troubles.allSatisfy { $0.severity == .warning && $0.isFiring && $0.queue == nil })
        #expect(try Samples.document("{}").troubles == nil)
    }

    @Test func anEmptyDocumentKnowsNothing() throws {
        let document = try Samples.document("{}")
        #expect(document.troubles == nil)
        #expect(document.queues.isEmpty)
        #expect(document.spool == nil)
        #expect(document.traceID == nil)
        #expect(document.totals.sizes.isEmpty)
        #expect(!(try Samples.lines(Samples.state("{}"), 80, 24)).isEmpty)
    }

    @Test(arguments: [
        ("spans", 88.0, "88 s"), ("redis", 88, "~88 s"), ("redis", 100, "~2 min"), ("redis", 3600, "~60 min"),
        ("redis", 0.85, "~850 ms"), ("spans", 100, "1.7 min"),
    ])
    func waitsThatWereSampledHaveAMark(_ origin: String, _ seconds: Double, _ text: String) throws {
        let document = try Samples.document(
            #"{"queues":[{"queue":"a","wait_p95_seconds":\#(seconds),"wait_origin":"\#(origin)"}]}"#)
        let queue = document.queues[0]
        #expect(queue.waitText(queue.waitP95) == text && queue.waitText(nil) == "–" && text.count <= 7)
    }

    /// Members of other kinds than agreed are unknown, and cost nothing else.
    @Test func membersOfAnotherKindAreUnknown() throws {
        let text = #"""
            {"now":5,"collector":[],"redis":"x","attention":{},"totals":null,"history":7,
             "queues":[{"queue":"a","pending":"many","paused":"no","history":[1]},7,null,{"queue":"b","pending":2}],
             "forwarder":[],"spool":[],"dead_letters":"none","links":3}
            """#
        let document = try Samples.document(text)
        #expect(document.queues.map(\.name) == ["a", "", "", "b"])
        #expect(document.queues[0].sizes[.pending] == nil)
        #expect(document.queues[3].sizes[.pending] == 2)
        #expect(document.troubles == nil)
        #expect(!(try Samples.lines(Samples.state(text), 80, 24)).isEmpty)
    }

    /// Numbers that no collector sends draw something, and end nothing.
    @Test(arguments: ["-1e308", "1e308", "-1", "9223372036854775807", "9223372036854775808", "0.5"])
    func numbersOutOfRangeAreNoHarm(_ number: String) throws {
        let names = [
            "pending", "active", "retry", "archived", "oldest_wait_seconds", "wait_p95_seconds", "enqueued_per_second",
            "failed_per_second", "drain_seconds", "concurrency", "busy_workers", "longest_running_seconds",
        ]
        let members = names.map { "\"\($0)\":\(number)" }.joined(separator: ",")
        let queue =
            "{\"queue\":\"a\",\(members),\"history\":{\"pending\":[1,\(number),\(number)],\"failed\":[\(number)]}}"
        let text = """
            {"totals":{\(members)},"attention":[],"attention_total":\(number),"queues":[\(queue)],
             "history":{"start":0,"end":\(number)},
             "spool":{"bytes":\(number),"capacity_bytes":\(number),"full_in_seconds":\(number)},"forwarder":{"up":true}}
            """
        var state = try Samples.state(text)
        #expect(try Samples.lines(state, 200, 50).count == 50)
        _ = state.handle(.enter, page: 1)
        state.show(TopQueueDocument(try Samples.json(queue)), of: "a")
        #expect(try Samples.lines(state, 200, 50).count == 50)
    }

    @Test func whatTheOverviewSays() throws {
        let document = try Samples.document()
        #expect(document.troubles?.map(\.severity) == [.critical, .warning, .info])
        #expect(document.troubles?.map(\.isFiring) == [true, true, false])
        #expect(document.troubleCount == 3)
        #expect(
            document.queues[1].sizes == [
                .pending: 120, .active: 5, .scheduled: 0, .retry: 31, .archived: 37, .completed: 0, .aggregating: 0,
            ])
        #expect(document.queues[1].drains == .yes)
        #expect(document.queues[2].drains == .no)
        #expect(document.queues[3].drains == .unknown)
        #expect(document.queues[0].history["pending"] == [0, 1, 2, 3, 4, 8, 4, 3])
        #expect(document.historySeconds == 3600)
        #expect(document.traceID == "0af7651916cd43dd8448eb211c80319c")
        #expect(document.traceLink == "trace/{trace_id}")
        #expect(document.isForwarderUp == false)
        #expect(document.now == (try Samples.time("2026-11-28T14:02:11Z")))
    }

    @Test func whatAQueueSays() throws {
        let document = TopQueueDocument(try Samples.json(Samples.queue))
        #expect(document.queue.name == "emails")
        #expect(document.taskTypes == [.init(name: "email:send", attempts: 2310, failed: 68, waitP95: 4, runP95: 0.9)])
        #expect(document.errors.first?.deadLetters == 25)
        #expect(document.deadLetters.first?.traceID == "0af7651916cd43dd8448eb211c80319c")
        #expect(document.retriesDue.first?.at == (try Samples.time("2026-11-28T14:02:13Z")))
        #expect(document.slowestWaits.first?.seconds == 9.4)
        #expect(document.servers.first?.pid == 4711)
    }
}
