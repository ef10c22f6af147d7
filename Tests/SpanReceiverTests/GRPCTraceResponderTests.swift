import HTTPService
import NIOCore
import NIOHTTP1
import OTLP
import Testing
import Text

@testable import SpanReceiver

@Suite("OTLP over gRPC")
struct GRPCTraceResponderTests {
    private func code(_ answer: HTTPResponse?) -> String? { answer?.headers.first(name: "grpc-status") }

    @Test("A call that is right is received, within the limit and its prefix")
    func good() {
        let stage = ReceiverStage(maxBodyBytes: 1000)
        #expect(stage.exchange(ReceiverStage.call())?.maxBodyBytes == 1005)
        #expect(stage.badRequests == [:])
    }

    @Test(
        "gRPC is told by its type or by its path, over HTTP/2 only",
        arguments: [
            (ReceiverStage.call(type: "application/grpc+proto"), true),
            (ReceiverStage.call(type: "Application/gRPC; charset=utf-8"), true),
            (ReceiverStage.head(ReceiverStage.export, type: "application/grpc"), false),
            (ReceiverStage.head(version: .http2), false),
        ])
    func told(head: HTTPRequestHead, isGRPC: Bool) {
        let stage = ReceiverStage(maxBodyBytes: 10)
        let answer = stage.exchange(head)?.refuse(.tooLarge) ?? stage.refusal(head)
        #expect((code(answer) != nil) == isGRPC)
    }

    @Test(
        "Other types have a status of HTTP",
        arguments: ["application/grpc+json", "application/grpc-web", "application/grpcx", "text/plain", nil])
    func types(type: String?) throws {
        let stage = ReceiverStage()
        let answer = try #require(stage.refusal(ReceiverStage.call(type: type)))
        #expect(answer.status == .unsupportedMediaType && code(answer) == nil)
        #expect(answer.text == "gRPC comes as application/grpc or application/grpc+proto\n")
        #expect(stage.badRequests == [.mediaType: 1])
    }

    @Test("A call is a POST")
    func method() throws {
        let stage = ReceiverStage()
        let answer = try #require(stage.refusal(ReceiverStage.call(method: .GET)))
        #expect(answer.status == .methodNotAllowed && answer.headers["allow"] == ["POST"] && code(answer) == nil)
        #expect(stage.badRequests == [.method: 1])
    }

    @Test(
        "Other methods are unimplemented, and those of other signals are told so",
        arguments: [
            ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "traces only"),
            ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "traces only"),
            ("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", "traces only"),
            (ReceiverStage.export + "s", "no such method"), ("/v1/traces", "no such method"),
        ])
    func paths(path: String, hint: String) throws {
        let stage = ReceiverStage()
        let answer = try #require(stage.refusal(ReceiverStage.call(path)))
        #expect(answer.status == .ok && code(answer) == "12" && answer.trailers == nil)
        #expect(answer.headers.first(name: "grpc-message")?.contains(hint) == true)
        #expect(stage.badRequests == [.path: 1])
    }

    @Test("A token is required where there is one")
    func token() {
        let stage = ReceiverStage(token: "secret")
        #expect(code(stage.refusal(ReceiverStage.call())) == "16")
        #expect(stage.badRequests == [.unauthenticated: 1])
        #expect(stage.exchange(ReceiverStage.call(with: ["authorization": "Bearer secret"])) != nil)
    }

    @Test(
        "gzip and none are the encodings, and the answer to others names them",
        arguments: [
            ("gzip", true), ("GZIP", true), ("identity", true), ("", true), ("deflate", false), ("zstd", false),
        ])
    func encodings(encoding: String, isKnown: Bool) {
        let stage = ReceiverStage()
        let answer = stage.refusal(ReceiverStage.call(with: ["grpc-encoding": encoding]))
        #expect(code(answer) == (isKnown ? nil : "12"))
        #expect(answer?.headers["grpc-accept-encoding"] == (isKnown ? nil : ["identity,gzip"]))
        #expect(stage.badRequests == (isKnown ? [:] : [.encoding: 1]))
    }

    @Test("A timeout that is none is an error of the call")
    func badTimeout() {
        let stage = ReceiverStage()
        #expect(code(stage.refusal(ReceiverStage.call(with: ["grpc-timeout": "1x"]))) == "13")
        #expect(stage.badRequests == [.malformed: 1])
    }

    @Test("Spans are taken and counted by how they came, and the status is in the trailers")
    func accepted() throws {
        let stage = ReceiverStage()
        let body = GRPCMessage.framed(request(spanIDs: [goodSpan, []]))
        let answer = try #require(stage.answer(ReceiverStage.call(), body))
        let message = OTLPResponse.success(refused: 1, reason: PartialSuccess.reasonForBadIDs(1))
        #expect(answer.status == .ok && answer.bytes == GRPCMessage.framed(message))
        #expect(answer.headers == ["Content-Type": "application/grpc"] && answer.trailers == ["grpc-status": "0"])
        #expect(stage.sink.spanCount == 1 && stage.books.received == [.grpcProtobuf: 2])
    }

    @Test("A refusal has its code, its message and its details in the head")
    func refused() throws {
        let stage = ReceiverStage()
        stage.sink.refuse(SinkRefusal(.spoolFull, "50 % and more"))
        let answer = try #require(stage.answer(ReceiverStage.call(), GRPCMessage.framed(request(spanIDs: [goodSpan]))))
        let details = OTLPResponse.status(.resourceExhausted, "50 % and more", retryAfterSeconds: 1)
        #expect(answer.status == .ok && answer.bytes == [] && answer.trailers == nil)
        #expect(
            answer.headers == [
                "Content-Type": "application/grpc", "grpc-status": "8", "grpc-message": "50 %25 and more",
                "grpc-status-details-bin": Base64.encode(details),
            ])
    }

    @Test("A body that is too large comes without a time to retry after, one that finds no space with it")
    func notKept() throws {
        let stage = ReceiverStage(maxBodyBytes: 77)
        let exchange = try #require(stage.exchange(ReceiverStage.call()))
        let tooLarge = exchange.refuse(.tooLarge)
        let overloaded = exchange.refuse(.overloaded)
        let message = "the body is larger than 77 bytes (otlp.max-body)"
        #expect(code(tooLarge) == "8" && tooLarge.headers["grpc-message"] == [message])
        #expect(
            tooLarge.headers["grpc-status-details-bin"] == [
                Base64.encode(OTLPResponse.status(.resourceExhausted, message))
            ])
        #expect(code(overloaded) == "14")
        #expect(stage.badRequests == [.tooLarge: 1, .overloaded: 1])
    }

    @Test(
        "Anything but one message is an error of the call",
        arguments: [
            ([], "no message"), ([0], "middle"), ([0, 0, 0, 0, 1], "middle"), ([2, 0, 0, 0, 0], "flag"),
            ([0, 0, 0, 0, 0, 0], "more than one"), ([1, 0, 0, 0, 1, 7], "grpc-encoding names none"),
        ] as [([UInt8], String)])
    func broken(body: [UInt8], text: String) {
        let stage = ReceiverStage()
        let answer = stage.answer(ReceiverStage.call(), body)
        #expect(code(answer) == "13" && answer?.headers.first(name: "grpc-message")?.contains(text) == true)
        #expect(stage.badRequests == [.malformed: 1])
    }

    @Test("A message that is not compressed may come with an encoding")
    func uncompressed() {
        let stage = ReceiverStage()
        let body = GRPCMessage.framed(request(spanIDs: [goodSpan]))
        #expect(
            stage.answer(ReceiverStage.call(with: ["grpc-encoding": "gzip"]), body)?.trailers == ["grpc-status": "0"])
        var compressed = body
        compressed[0] = 1
        #expect(code(stage.answer(ReceiverStage.call(with: ["grpc-encoding": "gzip"]), compressed)) == "3")
    }

    @Test(
        "A call that is complete at its deadline is not taken, one just before is",
        arguments: [
            ("50m", 50_000_000, false), ("50m", 49_999_999, true), ("0n", 0, false), ("99999999H", 1 << 60, true),
        ])
    func deadline(timeout: String, elapsed: Int64, isTaken: Bool) throws {
        let stage = ReceiverStage()
        let intake = TraceIntake(
            bodyLimit: stage.options.bodyLimit, attributes: TaskAttributeTable(), sink: stage.sink,
            counters: stage.counters, relinker: nil)
        let arrival = NIODeadline.uptimeNanoseconds(1000)
        let responder = GRPCTraceResponder(intake, nil, now: { arrival + .nanoseconds(elapsed) })
        guard
            case .receive(let exchange) = responder.judge(
                ReceiverStage.call(with: ["grpc-timeout": timeout]), arrival: arrival)
        else {
            Issue.record("the head was refused")
            return
        }
        let answer = stage.answer(exchange, GRPCMessage.framed(request(spanIDs: [goodSpan])))
        #expect(code(answer) == (isTaken ? nil : "4"))
        #expect(stage.sink.spanCount == (isTaken ? 1 : 0))
        #expect(stage.badRequests == (isTaken ? [:] : [.deadline: 1]))
    }

    @Test("Where the disk is waited for, the answer says whether it has the spans", arguments: [true, false])
    func durable(succeeds: Bool) {
        let stage = ReceiverStage(sink: MoodySink(acknowledgesAfterSync: true))
        let body = GRPCMessage.framed(request(spanIDs: [goodSpan]))
        let answer = stage.answer(ReceiverStage.call(), body, diskSucceeds: succeeds)
        #expect(code(answer) == (succeeds ? nil : "14"))
        #expect(answer?.trailers == (succeeds ? ["grpc-status": "0"] : nil))
    }
}
