import TestSupport
import Testing

@testable import WebClient

@Suite(.timeLimit(.minutes(1))) struct WebClientTests {
    /// Asks once, and returns the answer with the lines of the request.
    private func ask(
        _ answer: FakeBackend.Answer = .init(status: 200), user: String = "",
        _ credentials: WebClient.Credentials? = nil,
        unless etag: String? = nil
    ) throws -> (answer: WebClient.Answer, head: [Substring]) {
        let server = try FakeBackend(answers: [answer])
        let client = try SharedWebClient(
            try WebAddress("http://\(user)127.0.0.1:\(server.port)/prefix/"), credentials, timeout: .seconds(30))
        let answer = try client.get("/path?a=b", unless: etag)
        return (answer, try #require(server.heads.first))
    }

    @Test func anAnswerHasItsStatusItsBodyAndItsTag() throws {
        let (answer, head) = try ask(.init(status: 200, headers: ["ETag: \"1\""], body: "one\ntwo"))
        #expect(answer.status == 200 && answer.body == Array("one\ntwo".utf8) && answer.etag == "\"1\"")
        #expect(answer.firstLine == "one")
        #expect(head.first == "GET /prefix/path?a=b HTTP/1.1")
        #expect(!head.contains { $0.hasPrefix("Authorization") || $0.hasPrefix("If-None-Match") })
        let refused = try ask(.init(status: 503, body: String(repeating: "x", count: 300))).answer
        #expect(refused.status == 503 && refused.etag == nil && refused.firstLine.count == 200)
    }

    @Test func aKnownTagIsAskedWith() throws {
        let (answer, head) = try ask(.init(status: 304), unless: "\"1\"")
        #expect(answer.status == 304 && answer.body.isEmpty && head.contains("If-None-Match: \"1\""))
    }

    /// Those of the address go before those of the configuration.
    @Test func credentialsAreATokenOrAUser() throws {
        func authorization(_ credentials: WebClient.Credentials?, user: String = "") throws -> [Substring] {
            try ask(user: user, credentials).head.filter { $0.hasPrefix("Authorization: ") }
        }
        #expect(try authorization(.token("t0k")) == ["Authorization: Bearer t0k"])
        #expect(try authorization(.user("ann", password: "pa:ss")) == ["Authorization: Basic YW5uOnBhOnNz"])
        #expect(try authorization(.token("t0k"), user: "bob:b@") == ["Authorization: Basic Ym9iOmI="])
        #expect(try authorization(.user("ann", password: "pa:ss"), user: "bob:b@") == ["Authorization: Basic Ym9iOmI="])
        #expect(try authorization(nil) == [])
    }

    @Test func aServerThatIsNotThereSaysWhy() throws {
        let client = try WebClient(try WebAddress("http://127.0.0.1:1"), timeout: .seconds(30))
        let failure = #expect(throws: WebClient.Failure.self) { try client.get("/") }
        #expect(failure?.reason.isEmpty == false)
        let other = try WebClient(try WebAddress("unix:///no/such/socket"), timeout: .seconds(30))
        #expect(throws: WebClient.Failure.self) { try other.get("/") }
    }

    /// Each answer closes its connection, and the client goes on with another one.
    @Test func oneClientAsksManyTimes() throws {
        let server = try FakeBackend(answers: [.init(status: 200, body: "a"), .init(status: 200, body: "b")])
        let client = try WebClient(try WebAddress("http://127.0.0.1:\(server.port)"), timeout: .seconds(30))
        #expect(try client.get("/1").body == Array("a".utf8))
        #expect(try client.get("/2").body == Array("b".utf8))
        #expect(server.heads.map(\.first) == ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"])
    }

    @Test func anAbstractSocketHasNoAt() throws {
        let address = try WebAddress("unix:@name")
        #expect(address.socket == "@name" && address.base == "http://localhost")
    }
}
