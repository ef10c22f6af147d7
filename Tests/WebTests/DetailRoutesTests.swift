import Attention
import HTTPService
import Metrics
import Model
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Web

@Suite("Questions about single things")
struct DetailRoutesTests {
    private struct FakeState: WebState {
        var groups: [ErrorGroup] = []
        /// nil: a task that has the name asked for.
        var task: TaskReply?

        func errorGroups() -> [ErrorGroup] { groups }
        func findTask(_ task: TaskName, whenDone: @escaping @Sendable (TaskReply) -> Void) {
            whenDone(self.task ?? .found(TaskDetails(task: task, state: ForeignText("pending"))))
        }
        func searchTask(id: [UInt8], whenDone: @escaping @Sendable (TaskReply) -> Void) {
            var search = TaskSearch(queues: 9)
            search.lookedAt = 7
            search.found = [QueueName("a/b"), QueueName(id)]
            whenDone(task ?? .searched(search))
        }
        func readRetries(ofQueue name: [UInt8], whenDone: @escaping @Sendable () -> Void) { whenDone() }
        func trace(_ id: TraceID) -> TraceReply {
            id == TraceID(high: 0, low: 0xAB) ? .document(Array("spans".utf8)) : .absent("none of \(id.hex)")
        }

        // What is not asked for here.
        func metricsPage(_ format: PageFormat) -> any MetricsPage { FakePage([]) }
        func unhealthyReason() -> String? { nil }
        func unreadyReason() -> String? { nil }
        var overviewContent: OverviewContent { .sample }
        func overview(since: Int64?) -> CachedDocument { CachedDocument([], changing: 0) }
        func queue(named name: [UInt8]) -> CachedDocument? { nil }
        func deadLetters() -> [UInt8] { [] }
        func queues() -> QueuesReply { .list([]) }
        func scale(ofQueue name: [UInt8]) -> ScaleReply { .unknownQueue }
    }

    private func response(_ path: String, _ state: FakeState = FakeState()) throws -> HTTPResponse {
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path)
        switch WebResponder(state).judge(head, arrival: .now()) {
        case .answer(let response): return response
        case .receive(let exchange):
            switch exchange.respond(to: ByteBuffer(), on: EmbeddedEventLoop()) {
            case .now(let response): return response
            case .later(let response): return try response.wait()
            }
        }
    }

    private func answer(_ path: String, _ state: FakeState = FakeState()) throws -> (Int, String) {
        let response = try response(path, state)
        #expect(response.headers["content-type"] == ["application/json"])
        return (Int(response.status.code), String(buffer: response.body))
    }

    @Test(
        "A trace is asked for by its id",
        arguments: [
            ("000000000000000000000000000000ab", 200, "spans"), ("000000000000000000000000000000AB", 200, "spans"),
            ("ab", 200, "spans"),
            ("ac", 404, "{\"error\":\"none of 000000000000000000000000000000ac\"}\n"),
            ("0", 400, "{\"error\":\"a trace id is 32 hex digits, not all of them 0\"}\n"),
            ("ag", 400, "{\"error\":\"a trace id is 32 hex digits, not all of them 0\"}\n"),
            (
                "100000000000000000000000000000000ab", 400,
                "{\"error\":\"a trace id is 32 hex digits, not all of them 0\"}\n"
            ),
        ])
    func traces(id: String, status: Int, body: String) throws {
        let found = try answer("/api/v1/traces/" + id)
        #expect(found.0 == status && found.1 == body)
    }

    @Test("Errors have every field; what is not known is null")
    func errors() throws {
        var group = ErrorGroup(
            queue: QueueName("q"), taskType: TaskType("t\""), error: ForeignText("order <n>"),
            example: ErrorGroup.Example(
                error: ForeignText("order 7"), taskID: ForeignText("i"), trace: TraceID(high: 0, low: 0xAB),
                span: SpanID(5), at: WallTime(seconds: 1_800_000_000)),
            seenAt: WallTime(seconds: 1_800_000_001))
        group.attempts = 3
        group.deadLetters = 1
        group.lastSeen = WallTime(seconds: 1_800_000_060)
        var bare = group
        bare.example.trace = nil
        bare.example.span = nil
        bare.example.taskID = ForeignText("")
        let (status, body) = try answer("/api/v1/errors", FakeState(groups: [group, bare]))
        func object(_ task: String, _ trace: String, _ span: String) -> String {
            """
            {"queue":"q","task_type":"t\\"","error":"order <n>","attempts":3,"dead_letters":1,\
            "first_seen_at":"2027-01-15T08:00:01.000Z","last_seen_at":"2027-01-15T08:01:00.000Z",\
            "example":{"error":"order 7","task_id":\(task),"trace_id":\(trace),"span_id":\(span),\
            "at":"2027-01-15T08:00:00.000Z"}}
            """
        }
        let first = object("\"i\"", "\"000000000000000000000000000000ab\"", "\"0000000000000005\"")
        #expect(status == 200 && body == "[\(first),\n \(object("null", "null", "null"))]\n")
        #expect(try answer("/api/v1/errors").1 == "[]\n")
    }

    @Test(
        "A task is asked for by its queue and its id, each decoded; the last slash separates them",
        arguments: [
            ("q/i", "q", "i"), ("a/b/i", "a/b", "i"), ("a%2Fb/i%2F1", "a/b", "i/1"), ("%41/%42", "A", "B"),
            ("%c3%a4/1%", "ä", "1%"), ("q/i?x=1", "q", "i"), ("q%22/i", "q\\\"", "i"),
        ])
    func taskNames(path: String, queue: String, id: String) throws {
        let (status, body) = try answer("/api/v1/tasks/" + path)
        #expect(
            status == 200 && body.hasPrefix("{\"queue\":\"\(queue)\",\"id\":\"\(id)\",\"state\":\"pending\","))
    }

    @Test(
        "A task is looked for by its id alone; the answer has the queues, and how many were looked at",
        arguments: [
            ("id=i", 200, "{\"queues\":[\"a/b\",\"i\"],\"looked_at\":7,\"known_queues\":9}\n"),
            ("x=1&id=a%2Fb%22", 200, "{\"queues\":[\"a/b\",\"a/b\\\"\"],\"looked_at\":7,\"known_queues\":9}\n"),
            ("id=", 400, "{\"error\":\"which task: /api/v1/tasks?id={id}\"}\n"),
            ("", 400, "{\"error\":\"which task: /api/v1/tasks?id={id}\"}\n"),
        ])
    func search(query: String, status: Int, body: String) throws {
        let found = try answer("/api/v1/tasks?" + query)
        #expect(found.0 == status && found.1 == body)
        #expect(try answer("/api/v1/tasks?id=i", FakeState(task: .busy)).0 == 429)
        #expect(try answer("/api/v1/tasks?id=i", FakeState(task: .unavailable("x"))).0 == 503)
    }

    @Test(
        "A task that no path can name is asked for in the query",
        arguments: [
            ("queue=..&id=.", "..", "."), ("queue=&id=i", "", "i"), ("queue=a+b&id=c%2Bd", "a b", "c+d"),
            ("id=i%2F1&queue=a%20b", "a b", "i/1"), ("queue=%2e%2e&id=%2E", "..", "."),
        ])
    func taskInQuery(query: String, queue: String, id: String) throws {
        let (status, body) = try answer("/api/v1/tasks?" + query)
        #expect(
            status == 200 && body.hasPrefix("{\"queue\":\"\(queue)\",\"id\":\"\(id)\",\"state\":\"pending\","))
        #expect(try answer("/api/v1/tasks?queue=q").0 == 400)
        #expect(try answer("/api/v1/tasks?id=i").1.hasPrefix("{\"queues\""))
    }

    @Test("A task has every field; what is not known is null")
    func task() throws {
        let (time, text) = (WallTime(seconds: 1_800_000_000), "\"2027-01-15T08:00:00.000Z\"")
        var details = TaskDetails(
            task: TaskName(queue: QueueName("q"), id: Array("i".utf8)), state: ForeignText("active"))
        let bare = """
            {"queue":"q","id":"i","state":"active","type":null,"retried":null,"max_retry":null,"pending_since_at":null,\
            "next_run_at":null,"deadline_at":null,"lease_expires_at":null,"archived_at":null,"completed_at":null,\
            "last_error":null,"last_failed_at":null,"worker":null,"payload_bytes":null,"trace_id":null}

            """
        #expect(try answer("/api/v1/tasks/q/i", FakeState(task: .found(details))).1 == bare)
        details.message = TaskMessageDetails(
            type: TaskType("t"), retried: 1, maxRetry: 5, lastError: ForeignText("e"), lastFailedAt: time,
            deadlineAt: nil, completedAt: time, payloadBytes: 12, trace: TraceID(high: 0, low: 1))
        (details.pendingSince, details.nextRunAt, details.deadlineAt) = (time, time, time)
        (details.leaseExpiresAt, details.archivedAt) = (time, time)
        details.worker = TaskDetails.Worker(
            host: ForeignText("h"), pid: 7, serverID: ForeignText("s"), startedAt: time)
        let whole = """
            {"queue":"q","id":"i","state":"active","type":"t","retried":1,"max_retry":5,"pending_since_at":\(text),\
            "next_run_at":\(text),"deadline_at":\(text),"lease_expires_at":\(text),"archived_at":\(text),\
            "completed_at":\(text),"last_error":"e","last_failed_at":\(text),\
            "worker":{"host":"h","pid":7,"server_id":"s","started_at":\(text)},"payload_bytes":12,\
            "trace_id":"00000000000000000000000000000001"}

            """
        #expect(try answer("/api/v1/tasks/q/i", FakeState(task: .found(details))).1 == whole)
    }

    @Test("A task that is not there, or can't be looked for, has its status and its reason")
    func refusals() throws {
        func answer(_ reply: TaskReply) throws -> (Int, String) {
            try self.answer("/api/v1/tasks/q/i", FakeState(task: reply))
        }
        #expect(try answer(.absent) == (404, "{\"error\":\"no such task\"}\n"))
        #expect(try answer(.unavailable("down")) == (503, "{\"error\":\"down\"}\n"))
        #expect(try answer(.busy) == (429, "{\"error\":\"too many questions at a time\"}\n"))
        #expect(try response("/api/v1/tasks/q/i", FakeState(task: .busy)).headers["retry-after"] == ["1"])
    }

    @Test("A task without a queue or an id is none", arguments: ["q", "q/", "/i", "%20"])
    func noTask(path: String) throws {
        #expect(try response("/api/v1/tasks/" + path).status == .notFound)
    }

    @Test("A client that has the document gets 304", arguments: ["/api/v1/errors", "/api/v1/traces/ab"])
    func notModified(path: String) throws {
        let tag = try #require(try response(path).headers.first(name: "etag"))
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: ["If-None-Match": tag])
        guard case .receive(let exchange) = WebResponder(FakeState()).judge(head, arrival: .now()),
            case .now(let response) = exchange.respond(to: ByteBuffer(), on: EmbeddedEventLoop())
        else {
            Issue.record("expected an answer at once")
            return
        }
        #expect(response.status == .notModified)
    }
}
