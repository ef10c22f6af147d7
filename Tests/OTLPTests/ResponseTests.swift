import OTLP
import Testing

@Suite("OTLP's answers")
struct ResponseTests {
    @Test("nothing refused is an empty message")
    func fullSuccess() {
        #expect(OTLPResponse.success(refused: 0, reason: "none") == [])
    }

    @Test("partial success has the number and the reason")
    func partialSuccess() {
        let bytes = OTLPResponse.success(refused: 300, reason: "bad ids")
        #expect(bytes == Field.message(1, Field.int(1, 300), Field.text(2, "bad ids")))
        let outcome = bytes.withUnsafeBytes { ExportOutcome($0) }
        #expect(outcome?.rejectedSpans == 300)
        #expect(outcome?.message == "bad ids")
    }

    @Test("a status has its code and message")
    func status() {
        let bytes = OTLPResponse.status(.resourceExhausted, "full")
        #expect(bytes == Field.int(1, 8) + Field.text(2, "full"))
        #expect(bytes.withUnsafeBytes { readRPCStatusMessage($0) } == "full")
    }

    @Test("a status that may be retried has a RetryInfo among its details")
    func statusWithRetryInfo() {
        let bytes = OTLPResponse.status(.unavailable, "disk", retryAfterSeconds: 3)
        let info = Field.message(1, Field.int(1, 3))
        let detail = Field.text(1, "type.googleapis.com/google.rpc.RetryInfo") + Field.message(2, info)
        #expect(bytes == Field.int(1, 14) + Field.text(2, "disk") + Field.message(3, detail))
    }

    @Test("a backend's answer is read with unknown fields and in any order, an empty one is success")
    func backendAnswer() {
        func outcome(_ bytes: [UInt8]) -> ExportOutcome? { bytes.withUnsafeBytes { ExportOutcome($0) } }
        #expect(outcome([])?.rejectedSpans == 0)
        let bytes = Field.text(9, "x") + Field.message(1, Field.text(2, "m"), Field.fixed32(7, 1), Field.int(1, 5))
        #expect(outcome(bytes)?.rejectedSpans == 5)
        #expect(outcome(bytes)?.message == "m")
        #expect(outcome(Field.message(1, Field.int(1, .max)))?.rejectedSpans == -1)
    }

    @Test("what is no such message is nil, not a guess")
    func otherBytes() {
        for text in ["<html>502 Bad Gateway</html>", "{\"partialSuccess\":{}}"] {
            Array(text.utf8).withUnsafeBytes {
                #expect(ExportOutcome($0) == nil)
                #expect(readRPCStatusMessage($0) == nil)
            }
        }
        #expect(Field.int(1, 3).withUnsafeBytes { readRPCStatusMessage($0) } == nil)
    }

    @Test("a cut answer is nil")
    func truncated() {
        let bytes = OTLPResponse.success(refused: 300, reason: "bad ids")
        for count in 1..<bytes.count {
            #expect(Array(bytes[..<count]).withUnsafeBytes { ExportOutcome($0) } == nil)
        }
    }

    @Test("the same in JSON: success is an empty object, the count is a string")
    func jsonSuccess() {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        #expect(text(OTLPJSONResponse.success(refused: 0, reason: "none")) == "{}")
        #expect(
            text(OTLPJSONResponse.success(refused: 300, reason: "bad ids"))
                == #"{"partialSuccess":{"rejectedSpans":"300","errorMessage":"bad ids"}}"#)
        #expect(text(OTLPJSONResponse.status(.resourceExhausted, "full")) == #"{"code":8,"message":"full"}"#)
    }

    @Test("what a sender wrote cannot break out of a message in JSON")
    func jsonEscapes() {
        let bytes = OTLPJSONResponse.status(.invalidArgument, "a\"b\\c\n\0\u{1F}é😀\u{7F}")
        #expect(
            String(decoding: bytes, as: UTF8.self) == #"{"code":3,"message":"a\"b\\c\n\u0000\u001fé😀\u007f"}"#
        )
    }
}
