import Model
import Testing

@testable import OTLP

@Suite("What a failed attempt failed with")
struct ErrorTypeTests {
    private static let failed = Field.message(15, Field.int(3, 2))

    private static func event(_ attributes: [UInt8]..., name: String = "exception") -> [UInt8] {
        Field.message(11, Field.fixed64(1, 7), Field.text(2, name), attributes.flatMap { $0 })
    }

    private static func member(_ key: String, _ value: [UInt8]) -> [UInt8] {
        Field.message(3, Field.text(1, key), Field.bytes(2, value))
    }

    private static func exception(_ type: String, name: String = "exception") -> [UInt8] {
        event(
            member("exception.message", Value.text("no route")), member("exception.type", Value.text(type)),
            member("exception.stacktrace", Value.text("…")), name: name)
    }

    /// nil where there is no such span.
    private func type(_ fields: [UInt8]..., kind number: UInt64 = 5) throws -> String? {
        let scanned = try Scanned(request(ids, kind(number), fields.flatMap { $0 }))
        return scanned.tasks.first.map { scanned.text($0.errorType) }
    }

    @Test("The attribute error.type counts, else the last exception event")
    func order() throws {
        let events = Self.exception("first") + Self.exception("last") + Self.exception("other", name: "retry")
        #expect(try type(events, Self.failed) == "last")
        #expect(try type(Self.failed, events) == "last")
        for fields in [[attribute("error.type", "own"), events], [events, attribute("error.type", "own")]] {
            #expect(try type(fields[0], Self.failed, fields[1]) == "own")
        }
        #expect(try type(attribute("error.type", ""), Self.failed, events) == "last")
        #expect(try type(Self.failed) == "")
        #expect(
            try type(Self.failed, Self.event(), Self.event(Self.member("exception.message", Value.text("x")))) == "")
        #expect(try type(Self.failed, Self.exception("first"), Self.event()) == "first")
    }

    @Test("Attributes may come before the name, and values that are no text say nothing")
    func forms() throws {
        let late = Field.message(11, Self.member("exception.type", Value.text("late")), Field.text(2, "exception"))
        #expect(try type(Self.failed, late) == "late")
        #expect(try type(Self.failed, Self.event(Self.member("exception.type", Field.int(3, 5)))) == "")
        let two = Field.message(
            3, Field.bytes(2, Value.text("value")), Field.text(1, "exception.message"), Field.text(1, "exception.type"))
        #expect(try type(Self.failed, Self.event(two)) == "value")
    }

    @Test("An attribute error.type that is no text gives way to the exception")
    func noText() throws {
        for value in [Value.int(500), Value.double(1), Value.bool(true), Value.array(Value.text("own")), []] {
            #expect(try type(attribute("error.type", value), Self.failed, Self.exception("type")) == "type")
            #expect(try type(attribute("error.type", value), Self.failed) == "")
        }
        #expect(try type(attribute("error.type", Value.int(500)), attribute("error.type", "own"), Self.failed) == "own")
    }

    @Test("Events of spans that did not fail, or are no attempt, are not read")
    func others() throws {
        #expect(try type(Self.exception("x")) == "")
        #expect(try type(Self.exception("x"), Field.message(15, Field.int(3, 1))) == "")
        #expect(try type(Self.exception("x"), Self.failed, kind: 4) == "")
    }
}
