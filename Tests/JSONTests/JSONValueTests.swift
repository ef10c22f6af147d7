import Testing

@testable import JSON

@Suite struct JSONValueTests {
    private func value(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test func everyKindOfValueIsRead() throws {
        let text = #" {"a":[1,-2.5,1e3],"b":{"c":"x\u00e9\n"},"d":true,"e":null,"f":{},"g":[]} "#
        let expected = JSONValue.object([
            "a": .array([.number(1), .number(-2.5), .number(1000)]), "b": .object(["c": .string("xé\n")]),
            "d": .bool(true), "e": .null, "f": .object([:]), "g": .array([]),
        ])
        #expect(try value(text) == expected)
    }

    @Test func whatIsMissingOrOfAnotherKindIsNil() throws {
        let json = try value(#"{"text":"1","number":1,"large":1e30}"#)
        #expect(json["none"] == .null)
        #expect(json["none"]["deeper"].string == nil)
        #expect(json["text"].number == nil)
        #expect(json["text"].elements.isEmpty)
        #expect(json["number"].string == nil)
        #expect(json["number"].integer == 1)
        #expect(json["large"].integer == nil)
        #expect(json["large"].number == 1e30)
    }

    @Test func theLastOfTwoMembersWithOneNameCounts() throws {
        #expect(try value(#"{"a":1,"a":2}"#)["a"].number == 2)
    }

    @Test(arguments: ["", "{", "[1,]", "{} x", "nul", "\"a", "{\"a\" 1}"])
    func whatIsNoJSONIsRefused(_ text: String) {
        #expect(throws: JSONError.self) { try value(text) }
    }

    @Test func nestingWithoutEndIsRefused() {
        let text = String(repeating: "[", count: 100_000)
        #expect(throws: JSONError.self) { try value(text) }
    }
}
