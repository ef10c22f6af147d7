import Model
import OTLP
import Testing

@Suite("What a failed attempt says of its error")
struct AttemptFailureTests {
    private static func status(_ message: String) -> [UInt8] {
        Field.message(15, message.isEmpty ? [] : Field.text(2, message), Field.int(3, 2))
    }

    private static func exception(_ message: String, type: String = "T", name: String = "exception") -> [UInt8] {
        Field.message(
            11, Field.text(2, name),
            Field.message(3, keyValue("exception.type", Value.text(type))),
            Field.message(3, keyValue("exception.message", Value.text(message))))
    }

    private func text(_ fields: [UInt8]...) throws -> String? {
        // Another span before it: the ranges are those of the request.
        let scanned = try Scanned(request([ids + kind(1), ids + kind(5) + fields.flatMap { $0 }]))
        return scanned.tasks.first.map { task in
            scanned.text(scanned.body.withUnsafeBytes { AttemptFailure.text(of: task, in: $0) })
        }
    }

    @Test("The message of the last exception counts, else that of the status, else the type")
    func order() throws {
        let status = Self.status("status")
        #expect(try text(Self.exception("first"), Self.exception("last"), status) == "last")
        #expect(try text(status, Self.exception("last")) == "last")
        #expect(try text(Self.exception("first"), Self.exception(""), status) == "first")
        #expect(try text(Self.exception("other", name: "retry"), status) == "status")
        #expect(try text(Self.exception(""), status) == "status")
        #expect(try text(Self.exception(""), Self.status("")) == "T")
        #expect(try text(attribute("error.type", "own"), Self.status("")) == "own")
        #expect(try text(Self.status("")) == "")
        #expect(try text(Self.status("one"), Self.status("two")) == "two")
    }

    @Test("Of bytes that can't be read, what stands before them counts")
    func malformed() {
        let bytes = Self.status("status") + [0x5A, 0x7F]
        var span = TaskSpan()
        span.content = ByteRange(offset: 0, count: bytes.count)
        let found = bytes.withUnsafeBytes { AttemptFailure.text(of: span, in: $0) }
        #expect(bytes.withUnsafeBytes { String(decoding: found.bytes(in: $0), as: UTF8.self) } == "status")
    }
}
