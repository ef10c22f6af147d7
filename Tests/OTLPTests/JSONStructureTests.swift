import JSON
import OTLP
import Testing

@Suite("OTLP's JSON: structure, limits and errors")
struct JSONStructureTests {
    @Test(
        "no spans are a good request",
        arguments: [
            "{}", " {} ", "\t{\r\n}\n", "{\"resourceSpans\":[]}", "{\"resourceSpans\":null}", "\u{FEFF}{}", "{\"x\":1}",
        ])
    func emptyRequests(json: String) throws {
        #expect(try converted(json) == [])
    }

    @Test("an empty body is not", arguments: ["", " ", "\n\t\r ", "\u{FEFF}"])
    func emptyBodies(json: String) {
        #expect(refused(json)?.reason == .empty)
    }

    @Test("white space is allowed between all tokens")
    func whitespace() throws {
        let json = spanJSON(#""name":"a b","attributes":[{"key":"k","value":{"boolValue":true}},{}],"flags":1"#)
        var spaced = ""
        var isInString = false
        for character in json {
            if character == "\"" { isInString.toggle() }
            let isToken = !isInString && "{}[]:,".contains(character)
            spaced += isToken ? " \n\(character)\t\r" : "\(character)"
        }
        #expect(try converted(spaced) == converted(json))
    }

    @Test(
        "text that is no JSON object is refused",
        arguments: [
            ("[]", .expectedObject), ("null", .expectedObject), ("1", .expectedObject), ("\"{}\"", .expectedObject),
            ("\u{A0}{}", .expectedObject), ("\0{}", .expectedObject), ("{", .truncated), ("{}}", .trailingBytes),
            ("{}{}", .trailingBytes), ("{} x", .trailingBytes), ("{}\0", .trailingBytes), ("{,}", .expectedMember),
            ("{a:1}", .expectedMember), ("{'a':1}", .expectedMember), ("{1:1}", .expectedMember),
            ("{\"a\"}", .expectedColon),
            ("{\"a\" 1}", .expectedColon), ("{\"a\":}", .badLiteral), ("{\"a\":1,}", .expectedMember),
            ("{\"a\":1 \"b\":2}", .expectedCommaOrEnd), ("{\"a\":1]", .expectedCommaOrEnd),
            ("{\"a\":[1}", .expectedCommaOrEnd),
            ("{\"a\":[1,]}", .badLiteral), ("{\"a\":[,1]}", .badLiteral), ("{\"a\":tru}", .badLiteral),
            ("{\"a\":nul", .badLiteral),
            ("{\"a\":True}", .badLiteral), ("{\"a\":trueX}", .expectedCommaOrEnd), ("{\"a\":undefined}", .badLiteral),
            ("{\"a\":1}/**/", .trailingBytes), ("{/**/}", .expectedMember), ("{\"a\":1", .truncated),
            ("{\"a\":\"b", .truncated),
            ("{\"a", .truncated), ("{\"a\\", .truncated), ("{\"a\":[", .truncated),
            ("{\"a\":\"\u{1}\"}", .controlCharacter),
            ("{\"a\":\"\n\"}", .controlCharacter), ("{\"a\":NaN}", .badLiteral), ("{\"a\":-}", .badNumber),
            ("{\"a\":01}", .badNumber),
        ] as [(String, MalformedJSON.Reason)])
    func noJSON(json: String, reason: MalformedJSON.Reason) {
        #expect(refused(json)?.reason == reason)
    }

    @Test("UTF-16 is refused, with its byte order mark or without")
    func utf16() {
        #expect(refused([0xFF, 0xFE, 0x7B, 0, 0x7D, 0]) != nil)
        #expect(refused([0, 0x7B, 0, 0x7D]) != nil)
    }

    @Test(
        "a value of another type than its field is refused, where it stands",
        arguments: [
            (#""name":1"#, .expectedString, "name"), (#""name":[]"#, .expectedString, "name"),
            (#""kind":true"#, .expectedNumber, "kind"),
            (#""kind":{}"#, .expectedNumber, "kind"), (#""flags":[1]"#, .expectedNumber, "flags"),
            (#""startTimeUnixNano":"x""#, .expectedNumber, "startTimeUnixNano"),
            (#""attributes":{}"#, .expectedArray, "attributes"), (#""attributes":"x""#, .expectedArray, "attributes"),
            (#""attributes":[{},1]"#, .expectedObject, "attributes[1]"),
            (#""attributes":[null]"#, .expectedObject, "attributes[0]"),
            (#""attributes":[{"key":"k","value":1}]"#, .expectedObject, "attributes[0].value"),
            (#""attributes":[{"value":{"boolValue":"true"}}]"#, .expectedBool, "attributes[0].value.boolValue"),
            (#""attributes":[{"value":{"boolValue":1}}]"#, .expectedBool, "attributes[0].value.boolValue"),
            (#""attributes":[{"value":{"arrayValue":[]}}]"#, .expectedObject, "attributes[0].value.arrayValue"),
            (
                #""attributes":[{"value":{"arrayValue":{"values":[{},{"intValue":"a"}]}}}]"#, .expectedNumber,
                "attributes[0].value.arrayValue.values[1].intValue"
            ),
            (#""attributes":[{"value":{"bytesValue":"*"}}]"#, .badBase64, "attributes[0].value.bytesValue"),
            (#""status":[]"#, .expectedObject, "status"),
            (#""status":{"message":2}"#, .expectedString, "status.message"),
            (#""events":[{"name":"a"},{"name":"b","timeUnixNano":-1}]"#, .badInteger, "events[1].timeUnixNano"),
            (#""x":{"y":[[],[1,{"z":tru}]]}"#, .badLiteral, "x.y[1][1].z"),
        ] as [(String, MalformedJSON.Reason, String)])
    func wrongTypes(members: String, reason: MalformedJSON.Reason, path: String) throws {
        let json =
            #"{"a":"]}\"","resourceSpans":[{},{"scopeSpans":[{"spans":[{},{},{"name":"{[,","# + members + "}]}]}]}"
        let error = try #require(refused(json))
        #expect(error.reason == reason)
        #expect(error.path == "resourceSpans[1].scopeSpans[0].spans[2].\(path)")
        #expect(error.description == "\(error.path): \(reason.rawValue) (at byte \(error.offset))")
        #expect(json.utf8.count > error.offset && error.offset > 0)
    }

    @Test("the path of an error does not grow with what the sender writes")
    func boundedPaths() throws {
        let key = String(repeating: "k", count: 10_000)
        let long = try #require(refused("{\"\(key)\":{\"\(key)\":x}}"))
        #expect(long.path == "\(key.prefix(32))….\(key.prefix(32))…")
        let deep = String(repeating: "{\"abcdefgh\":", count: 250) + "x"
        #expect(try #require(refused(deep)).path.utf8.count < 250)
    }

    @Test("every cut of a request is refused, without reading behind its end")
    func truncations() {
        let json = Array(
            spanJSON(
                #""traceId":"0102030405060708090a0b0c0d0e0f10","name":"aé\n\ud83d\ude00","kind":5,"startTimeUnixNano":"17","#
                    + #""attributes":[{"key":"k","value":{"doubleValue":-1.5e-3}},{"value":{"bytesValue":"AQID"}}],"#
                    + #""x":[null,true]"#
            ).utf8)
        #expect(refused(json) == nil)
        for count in 0..<json.count {
            let error = refused(Array(json[..<count]))
            #expect(error != nil, "the first \(count) bytes were taken")
            #expect((0...count).contains(error?.offset ?? -1))
        }
    }

    @Test("values nest as deep as the scanner takes them, and nothing deeper than 300 is read at all")
    func depth() throws {
        func nested(_ depth: Int, _ open: String, _ close: String) -> String {
            valueJSON(String(repeating: open, count: depth) + "{}" + String(repeating: close, count: depth))
        }
        let wraps = [
            (#"{"arrayValue":{"values":["#, "]}}"), (#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}"),
        ]
        for (open, close) in wraps {
            #expect(refused(nested(SpanScanner.maxValueDepth, open, close)) == nil)
            #expect(malformed(try converted(nested(SpanScanner.maxValueDepth, open, close))) == nil)
            #expect(refused(nested(SpanScanner.maxValueDepth + 1, open, close))?.reason == .tooDeep)
            #expect(refused(nested(100_000, open, close))?.reason == .tooDeep)
        }
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            func unknown(_ depth: Int) -> String {
                "{\"a\":" + String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth) + "}"
            }
            #expect(refused(unknown(299)) == nil)
            #expect(refused(unknown(300))?.reason == .tooDeep)
            #expect(refused(unknown(1_000_000))?.reason == .tooDeep)
        }
    }

    @Test(
        "messages of every length get the shortest length field",
        arguments: [
            0, 1, 126, 127, 128, 129, 130, 16_380, 16_383, 16_384, 16_390, 2_097_151, 2_097_160,
        ])
    func lengths(count: Int) throws {
        let text = String(repeating: "x", count: count)
        let long = #"{"stringValue":"\#(text)"}"#
        let json = valueJSON(#"{"arrayValue":{"values":[\#(long),{"stringValue":"a"},\#(long)]}}"#)
        #expect(try converted(json) == valueRequest(Value.array(Value.text(text), Value.text("a"), Value.text(text))))
    }

    @Test("the output is held to a limit, to the byte")
    func limit() throws {
        let json = Array(spanJSON(#""name":"\#(String(repeating: "x", count: 500))""#).utf8)
        let expected = try converted(json)
        #expect(try converted(json, limit: expected.count) == expected)
        do {
            _ = try converted(json, limit: expected.count - 1)
            Issue.record("one byte more than the limit was taken")
        } catch {
            #expect((error as? MalformedJSON)?.reason == .tooLarge)
        }
    }

    @Test("a converter goes on after errors and after monsters")
    func reuse() throws {
        var converter = JSONRequestConverter()
        func convert(_ json: String) throws -> [UInt8] {
            try Array(json.utf8).withUnsafeBytes { try converter.convert($0) { Array($0) } }
        }
        let monster = String(repeating: "é\\n", count: 1_000_000)
        for _ in 0..<3 {
            #expect(throws: MalformedJSON.self) {
                try convert(#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":5,"name":1"#)
            }
            #expect(try convert(spanJSON(#""kind":5"#)) == request(kind(5)))
            #expect(try convert(spanJSON(#""name":"\#(monster)""#)).count > 3_000_000)
        }
    }
}
