import HTTPService
import NIOHTTP1
import OTLP
import Testing

@testable import SpanReceiver

@Suite("OTLP over HTTP: what the head tells")
struct TraceHeadTests {
    private static let protobuf = "application/x-protobuf"
    private static let token = "secret"
    private static let cors = CORSPolicy(origins: ["https://shop"].compactMap(OriginPattern.init))

    private func status(_ stage: ReceiverStage, _ head: HTTPRequestHead) -> UInt? { stage.refusal(head)?.status.code }

    @Test("A request that is right is received, within the limit")
    func good() throws {
        let stage = ReceiverStage(maxBodyBytes: 1000)
        let exchange = try #require(stage.exchange(ReceiverStage.head()))
        #expect(exchange.maxBodyBytes == 1000)
        stage.options.bodyLimit.bytes = 500
        #expect(exchange.maxBodyBytes == 1000)
        #expect(stage.exchange(ReceiverStage.head("/v1/traces?a=b"))?.maxBodyBytes == 500)
        #expect(stage.badRequests == [:])
    }

    @Test(
        "Other paths are not found, and those of other signals are told so",
        arguments: [
            ("/", "no such path"), ("/v1/traces/", "no such path"), ("/V1/traces", "no such path"),
            ("/v1/metrics", "traces only"), ("/v1/logs", "traces only"), ("/v1/profiles", "no such path"),
        ])
    func paths(path: String, hint: String) throws {
        let stage = ReceiverStage()
        let answer = try #require(stage.refusal(ReceiverStage.head(path, type: "application/json")))
        #expect(answer.status == .notFound)
        #expect(answer.text.contains(hint) && answer.text.contains("/v1/traces"))
        #expect(stage.badRequests == [.path: 1])
    }

    @Test("Spans come by POST, and others are told so", arguments: [.GET, .PUT, .OPTIONS, .HEAD] as [HTTPMethod])
    func methods(method: HTTPMethod) throws {
        let stage = ReceiverStage()
        let answer = try #require(stage.refusal(ReceiverStage.head(method: method)))
        #expect(answer.status == .methodNotAllowed && answer.headers["allow"] == ["POST"])
        #expect(stage.badRequests == [.method: 1])
    }

    @Test("A token is required where there is one, and the answer names the scheme")
    func token() throws {
        let stage = ReceiverStage(token: Self.token)
        let answer = try #require(stage.refusal(ReceiverStage.head(with: ["Authorization": "Bearer secre"])))
        #expect(answer.status == .unauthorized && answer.headers["www-authenticate"] == ["Bearer"])
        #expect(stage.badRequests == [.unauthenticated: 1])
        #expect(stage.exchange(ReceiverStage.head(with: ["Authorization": "Bearer secret"])) != nil)
    }

    @Test(
        "Protobuf and JSON are received, whatever their parameters and the case of their letters",
        arguments: [
            ("application/x-protobuf", true), ("application/json", true), ("Application/JSON; charset=utf-8", true),
            (" application/json ;x", true), ("application/protobuf", false), ("text/plain", false),
            ("application/json+x", false), ("", false), (nil, false),
        ] as [(String?, Bool)])
    func mediaTypes(type: String?, isKnown: Bool) {
        let stage = ReceiverStage()
        #expect(status(stage, ReceiverStage.head(type: type)) == (isKnown ? nil : 415))
        #expect(stage.badRequests == (isKnown ? [:] : [.mediaType: 1]))
    }

    @Test("A type that is unknown is named in the answer, beside those that are known")
    func mediaTypeAnswer() throws {
        let answer = try #require(ReceiverStage().refusal(ReceiverStage.head(type: "text/plain")))
        #expect(
            answer.text.contains("content type text/plain; allowed are application/x-protobuf and application/json"))
        #expect(answer.headers["content-type"] == [Self.protobuf])
        let missing = try #require(ReceiverStage().refusal(ReceiverStage.head(type: nil)))
        #expect(missing.text.contains("content type missing"))
    }

    @Test(
        "Four encodings are received, one at a time",
        arguments: [
            (["identity"], true), (["gzip"], true), (["x-gzip"], true), (["GZIP"], true), (["deflate"], true),
            (["zstd"], true), ([""], true), (["br"], false), (["gzip, gzip"], false), (["identity", "gzip"], false),
            (["snappy"], false),
        ])
    func encodings(lines: [String], isKnown: Bool) {
        let stage = ReceiverStage()
        let headers = HTTPHeaders(lines.map { ("Content-Encoding", $0) })
        #expect(status(stage, ReceiverStage.head(with: headers)) == (isKnown ? nil : 415))
        #expect(stage.badRequests == (isKnown ? [:] : [.encoding: 1]))
    }

    @Test("Each refusal comes before the next: path, page, method, token, type, encoding")
    func order() {
        let stage = ReceiverStage(token: Self.token, cors: Self.cors)
        let foreign = ("Origin", "https://other")
        let known = ("Origin", "https://shop")
        let coding = ("Content-Encoding", "br")
        let token = ("Authorization", "Bearer secret")
        func head(_ path: String, _ method: HTTPMethod, _ type: String, _ fields: [(String, String)]) -> HTTPRequestHead
        {
            ReceiverStage.head(path, method: method, type: type, with: HTTPHeaders(fields))
        }
        #expect(status(stage, head("/x", .GET, "text/plain", [foreign, coding])) == 404)
        #expect(status(stage, head("/v1/traces", .GET, "text/plain", [foreign, coding])) == 403)
        #expect(status(stage, head("/v1/traces", .GET, "text/plain", [known, coding])) == 405)
        #expect(status(stage, head("/v1/traces", .POST, "text/plain", [known, coding])) == 401)
        #expect(status(stage, head("/v1/traces", .POST, "text/plain", [known, coding, token])) == 415)
        #expect(status(stage, head("/v1/traces", .POST, "application/json", [known, coding, token])) == 415)
        #expect(status(stage, head("/v1/traces", .POST, "application/json", [known, token])) == nil)
        #expect(
            stage.badRequests == [
                .path: 1, .origin: 1, .method: 1, .unauthenticated: 1, .mediaType: 1, .encoding: 1,
            ])
    }

    @Test("A page of a foreign origin is refused, and told which setting allows it")
    func foreignPage() throws {
        let answer = try #require(
            ReceiverStage(cors: Self.cors).refusal(ReceiverStage.head(with: ["Origin": "https://other"])))
        #expect(answer.status == .forbidden)
        #expect(answer.text.contains("https://other") && answer.text.contains("otlp.cors.allowed-origins"))
        #expect(!answer.headers.contains(name: "access-control-allow-origin") && !answer.headers.contains(name: "vary"))
    }

    @Test("A preflight needs no token, and an allowed page may read every answer")
    func allowedPage() throws {
        let stage = ReceiverStage(token: Self.token, cors: Self.cors)
        let page: HTTPHeaders = ["Origin": "https://shop"]
        var asks = page
        asks.add(name: "Access-Control-Request-Method", value: "POST")
        let preflight = try #require(stage.refusal(ReceiverStage.head(method: .OPTIONS, with: asks)))
        #expect(preflight.status == .noContent && preflight.headers["access-control-allow-methods"] == ["POST"])
        let refusal = try #require(stage.refusal(ReceiverStage.head(with: page)))
        #expect(refusal.status == .unauthorized)
        let notFound = try #require(stage.refusal(ReceiverStage.head("/x", with: page)))
        for answer in [preflight, refusal, notFound] {
            #expect(answer.headers["access-control-allow-origin"] == ["https://shop"])
            #expect(answer.headers["vary"] == ["Origin"])
        }
        #expect(stage.badRequests == [.unauthenticated: 1, .path: 1])
    }
}

@Suite("OTLP over HTTP: answers")
struct TraceAnswerTests {
    private static let page: HTTPHeaders = ["Origin": "https://shop"]

    @Test("Spans that are taken are counted by how they came, and answered with an empty message")
    func accepted() throws {
        let stage = ReceiverStage(cors: CORSPolicy(origins: ["*"].compactMap(OriginPattern.init)))
        let answer = try #require(
            stage.answer(ReceiverStage.head(with: Self.page), request(spanIDs: [goodSpan, goodSpan])))
        #expect(answer.status == .ok && answer.bytes == [])
        #expect(answer.headers["content-type"] == ["application/x-protobuf"])
        #expect(answer.headers["access-control-allow-origin"] == ["https://shop"])
        #expect(stage.sink.spanCount == 2)
        #expect(stage.books.received == [.httpProtobuf: 2])

        let json = try #require(stage.answer(ReceiverStage.head(type: "application/json"), Array("{}".utf8)))
        #expect(json.status == .ok && json.text == "{}" && json.headers["content-type"] == ["application/json"])
    }

    @Test("Spans with bad ids are a partial success, in the encoding that they came in")
    func partial() throws {
        let stage = ReceiverStage()
        let answer = try #require(stage.answer(ReceiverStage.head(), request(spanIDs: [goodSpan, [1], []])))
        #expect(answer.status == .ok)
        #expect(answer.bytes == OTLPResponse.success(refused: 2, reason: PartialSuccess.reasonForBadIDs(2)))
        #expect(stage.sink.spanCount == 1)
        #expect(stage.books.refused == [.badID: 2] && stage.books.accepted == 1)

        let json = #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"","spanId":""}]}]}]}"#
        let other = try #require(stage.answer(ReceiverStage.head(type: "application/json"), Array(json.utf8)))
        #expect(other.text.contains(#""rejectedSpans":"1""#))
    }

    @Test("What is no request is a bad one, in the encoding that it came in")
    func malformed() throws {
        let stage = ReceiverStage(cors: CORSPolicy(origins: ["https://shop"].compactMap(OriginPattern.init)))
        let answer = try #require(stage.answer(ReceiverStage.head(with: Self.page), [0xFF]))
        #expect(answer.status == .badRequest && answer.headers["vary"] == ["Origin"])
        #expect(!answer.headers.contains(name: "retry-after"))
        let json = try #require(stage.answer(ReceiverStage.head(type: "application/json"), Array("{".utf8)))
        #expect(json.status == .badRequest && json.text.hasPrefix(#"{"code":3,"message":"not an Export"#))
        #expect(stage.badRequests == [.malformed: 2])
    }

    @Test(
        "What the sink refuses has its status, and a time to retry after where that can help",
        arguments: [
            (.tooLarge, 413, []), (.spoolFull, 429, ["1"]), (.unavailable, 503, ["1"]),
        ] as [(RefusalReason, UInt, [String])])
    func refused(reason: RefusalReason, status: UInt, retryAfter: [String]) throws {
        let stage = ReceiverStage()
        stage.sink.refuse(SinkRefusal(reason, "why"))
        let answer = try #require(stage.answer(ReceiverStage.head(), request(spanIDs: [goodSpan])))
        #expect(answer.status.code == status && answer.headers["retry-after"] == retryAfter)
        #expect(stage.books.refused == [reason: 1] && stage.books.accepted == 0)
        #expect(stage.books.received == [.httpProtobuf: 1] && stage.badRequests == [:])
    }

    @Test("A body that is too large or finds no space is answered like any request, and counted")
    func notKept() throws {
        let stage = ReceiverStage(
            maxBodyBytes: 77, cors: CORSPolicy(origins: ["https://shop"].compactMap(OriginPattern.init)))
        let head = ReceiverStage.head(type: "application/json", with: Self.page)
        let exchange = try #require(stage.exchange(head))
        let tooLarge = exchange.refuse(.tooLarge)
        #expect(tooLarge.status == .payloadTooLarge && !tooLarge.headers.contains(name: "retry-after"))
        #expect(tooLarge.text == #"{"code":8,"message":"the body is larger than 77 bytes (otlp.max-body)"}"#)
        let overloaded = exchange.refuse(.overloaded)
        #expect(overloaded.status == .serviceUnavailable && overloaded.headers["retry-after"] == ["1"])
        for answer in [tooLarge, overloaded] {
            #expect(answer.headers["content-type"] == ["application/json"])
            #expect(answer.headers["access-control-allow-origin"] == ["https://shop"])
        }
        #expect(stage.badRequests == [.tooLarge: 1, .overloaded: 1])
    }

    @Test("A body of the limit is taken after it was unpacked, and not one byte more", arguments: [0, 1])
    func unpackedLimit(excess: Int) throws {
        let body = request(spanIDs: [goodSpan, goodSpan])
        // One stored block of deflate in zlib's wrapping.
        let packed = storedZlib(body)
        let stage = ReceiverStage(maxBodyBytes: body.count - excess)
        let answer = try #require(stage.answer(ReceiverStage.head(with: ["Content-Encoding": "deflate"]), packed))
        #expect(answer.status == (excess == 0 ? .ok : .payloadTooLarge))
        #expect(stage.badRequests == (excess == 0 ? [:] : [.tooLarge: 1]))
    }

    private func storedZlib(_ content: [UInt8]) -> [UInt8] {
        let count = UInt16(content.count)
        var (low, high) = (UInt32(1), UInt32(0))
        for byte in content {
            low = (low + UInt32(byte)) % 65521
            high = (high + low) % 65521
        }
        let checksum = high << 16 | low
        func bigEndian(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
        func littleEndian(_ value: UInt16) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        return [0x78, 0x01, 0x01] + littleEndian(count) + littleEndian(~count) + content + bigEndian(checksum)
    }

    @Test("Where the disk is waited for, the answer says whether it has the spans", arguments: [true, false])
    func durable(succeeds: Bool) throws {
        let stage = ReceiverStage(
            cors: CORSPolicy(origins: ["https://shop"].compactMap(OriginPattern.init)),
            sink: MoodySink(acknowledgesAfterSync: true))
        let body = request(spanIDs: [goodSpan])
        let answer = try #require(stage.answer(ReceiverStage.head(with: Self.page), body, diskSucceeds: succeeds))
        #expect(answer.status == (succeeds ? .ok : .serviceUnavailable))
        #expect(answer.headers["retry-after"] == (succeeds ? [] : ["1"]))
        #expect(answer.headers["vary"] == ["Origin"])
    }
}
