import NIOHPACK
import NIOHTTP1
import Testing

@testable import HTTPService

@Suite("The head of a request")
struct RequestHeadTests {
    private func fault(_ fields: HTTPHeaders, version: HTTPVersion = .http1_1) -> HTTPResponseStatus? {
        HTTPRequestHead(version: version, method: .POST, uri: "/", headers: fields).fault?.status
    }

    @Test("A request of HTTP/1.1 has exactly one Host")
    func host() {
        #expect(fault(["Host": "a"]) == nil)
        #expect(fault(["Host": ""]) == nil)
        #expect(fault([:]) == .badRequest)
        #expect(fault(["Host": "a", "host": "a"]) == .badRequest)
        #expect(fault([:], version: .http1_0) == nil)
    }

    @Test(
        "The transfer coding is chunked or none",
        arguments: [
            ("chunked", nil), ("Chunked", nil), ("chunked ", nil), ("gzip", .notImplemented),
            ("", .notImplemented), ("chunked, gzip", .notImplemented), ("chunkedx", .notImplemented),
        ] as [(String, HTTPResponseStatus?)])
    func transferCoding(coding: String, expected: HTTPResponseStatus?) {
        #expect(fault(["Host": "a", "Transfer-Encoding": coding]) == expected)
    }

    @Test("Several transfer codings are none that we know, and HTTP/1.0 has none")
    func transferCodings() {
        let twice: HTTPHeaders = ["Host": "a", "Transfer-Encoding": "chunked", "transfer-encoding": "chunked"]
        #expect(fault(twice) == .notImplemented)
        #expect(fault(["Transfer-Encoding": "chunked"], version: .http1_0) == .badRequest)
    }

    @Test(
        "The announced length is a number that may be followed by spaces; too large a one is as large as can be",
        arguments: [
            (nil, 0), ("0", 0), ("12", 12), ("12  ", 12), ("9223372036854775807", Int.max),
            ("18446744073709551615", Int.max),
        ] as [(String?, Int)])
    func announced(text: String?, bytes: Int) {
        let headers: HTTPHeaders = text.map { ["Content-Length": $0] } ?? [:]
        #expect(HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: headers).announcedBytes == bytes)
    }

    @Test(
        "The path is the target without its query, and without the host that a proxy is told",
        arguments: [
            ("/", "/"), ("/a/b", "/a/b"), ("/a?b=/c", "/a"), ("/?", "/"), ("http://host/v1/traces?a", "/v1/traces"),
            ("HTTP://host:80/x", "/x"), ("/a://b/c", "/a://b/c"), ("/a:b", "/a:b"), ("http://host", "/"),
            ("http://host?/x", "/"), ("*", "*"), ("a:80", "a:80"),
            ("", ""),
        ])
    func path(target: String, path: String) {
        #expect(HTTPRequestHead(version: .http1_1, method: .GET, uri: target).path == path)
    }

    @Test("Pseudo header fields of HTTP/2 become the request line")
    func pseudoFields() {
        let head = HTTPRequestHead([
            ":method": "PUT", ":scheme": "http", ":path": "/a?b", ":authority": "c", "te": "trailers", "x": "y",
        ])
        #expect(head.version == .http2 && head.method == .PUT && head.uri == "/a?b" && head.path == "/a")
        #expect(head.headers == ["te": "trailers", "x": "y"])
    }

    private func fields(_ response: HTTPResponse) -> [String] {
        HPACKHeaders(response).map { name, value, indexing in
            "\(name): \(value)\(indexing == .indexable ? " (indexed)" : "")"
        }
    }

    @Test("An answer over HTTP/2 has small letters, its length, and only what comes often in the table")
    func answerFields() {
        var response = HTTPResponse.text(.ok, "x")
        response.headers.add(name: "Retry-After", value: "1")
        #expect(
            fields(response) == [
                ":status: 200 (indexed)", "content-type: text/plain; charset=utf-8 (indexed)", "retry-after: 1",
                "content-length: 2",
            ])
    }

    @Test("An answer with trailers, one of gRPC and a 204 have no length")
    func lengthless() {
        var withTrailers = HTTPResponse(.ok)
        withTrailers.trailers = [:]
        var refusal = HTTPResponse(.ok)
        refusal.headers.add(name: "Grpc-Status", value: "3")
        #expect(fields(withTrailers) == [":status: 200 (indexed)"])
        #expect(fields(refusal) == [":status: 200 (indexed)", "grpc-status: 3 (indexed)"])
        #expect(fields(HTTPResponse(.noContent)) == [":status: 204 (indexed)"])
    }

    @Test("A method that is not allowed is told which are")
    func notAllowed() {
        let response = HTTPResponse.methodNotAllowed("GET, HEAD")
        #expect(response.status == .methodNotAllowed && response.headers["allow"] == ["GET, HEAD"])
    }
}
