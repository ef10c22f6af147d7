import Model
import OTLP
import Testing

@Suite("OTLP's JSON, field by field")
struct JSONFieldTests {
    @Test(
        "every field of a span has its number and type",
        arguments: [
            (#""traceId":"0102030405060708090a0b0c0d0e0f10""#, Field.bytes(1, traceBytes)),
            (#""spanId":"a1A2a3A4a5A6a7A8""#, Field.bytes(2, spanBytes)),
            (#""traceState":"a=b""#, Field.text(3, "a=b")),
            (#""parentSpanId":"A1a2A3a4A5a6A7a8""#, Field.bytes(4, spanBytes)),
            (#""name":"GET""#, Field.text(5, "GET")),
            (#""kind":5"#, Field.int(6, 5)),
            (#""startTimeUnixNano":"1544712660000000001""#, Field.fixed64(7, 1_544_712_660_000_000_001)),
            (#""endTimeUnixNano":1544712660000000001"#, Field.fixed64(8, 1_544_712_660_000_000_001)),
            (
                #""attributes":[{"key":"k"},{"value":{}}]"#,
                Field.bytes(9, Field.text(1, "k")) + Field.message(9, Field.message(2))
            ),
            (#""droppedAttributesCount":300"#, Field.int(10, 300)),
            (
                #""events":[{"timeUnixNano":"9","name":"e","attributes":[{"key":"k"}],"droppedAttributesCount":1}]"#,
                Field.message(
                    11, Field.fixed64(1, 9), Field.text(2, "e"), Field.message(3, Field.text(1, "k")), Field.int(4, 1))
            ),
            (#""droppedEventsCount":"4294967295""#, Field.int(12, 4_294_967_295)),
            (
                #""links":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"a1a2a3a4a5a6a7a8","traceState":"s","#
                    + #""attributes":[{"key":"k"}],"droppedAttributesCount":7,"flags":257}]"#,
                Field.message(
                    13, Field.bytes(1, traceBytes), Field.bytes(2, spanBytes), Field.text(3, "s"),
                    Field.message(4, Field.text(1, "k")), Field.int(5, 7), Field.fixed32(6, 257))
            ),
            (#""droppedLinksCount":1"#, Field.int(14, 1)),
            (#""status":{"message":"bad","code":2}"#, Field.message(15, Field.text(2, "bad"), Field.int(3, 2))),
            (#""flags":4294967295"#, Field.fixed32(16, 4_294_967_295)),
        ])
    func spanFields(json: String, expected: [UInt8]) throws {
        #expect(try converted(spanJSON(json)) == request(expected))
    }

    @Test(
        "the same in the names of the proto files",
        arguments: [
            (#""trace_id":"0102030405060708090a0b0c0d0e0f10""#, Field.bytes(1, traceBytes)),
            (#""parent_span_id":"a1a2a3a4a5a6a7a8""#, Field.bytes(4, spanBytes)),
            (#""start_time_unix_nano":1"#, Field.fixed64(7, 1)),
            (#""dropped_attributes_count":1"#, Field.int(10, 1)),
            (#""events":[{"time_unix_nano":1}]"#, Field.message(11, Field.fixed64(1, 1))),
            (#""attributes":[{"value":{"string_value":"s"}}]"#, Field.message(9, Field.bytes(2, Value.text("s")))),
        ])
    func protoNames(json: String, expected: [UInt8]) throws {
        #expect(try converted(spanJSON(json)) == request(expected))
    }

    @Test("what lies around the spans")
    func envelope() throws {
        let json = #"""
            {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}],
              "droppedAttributesCount": 2, "entityRefs": [
                {"schemaUrl": "u", "type": "service", "idKeys": ["a", "b"], "descriptionKeys": ["c"]}]},
             "scopeSpans": [{"scope": {"name": "n", "version": "v", "attributes": [{"key": "k"}], "droppedAttributesCount": 3},
              "spans": [{}], "schemaUrl": "inner"}], "schemaUrl": "outer"}]}
            """#
        let entity = Field.message(
            3, Field.text(1, "u"), Field.text(2, "service"), Field.text(3, "a"), Field.text(3, "b"), Field.text(4, "c"))
        let resource = Field.message(
            1, Field.bytes(1, keyValue("service.name", Value.text("s"))), Field.int(2, 2), entity)
        let scope = Field.message(
            1, Field.text(1, "n"), Field.text(2, "v"), Field.message(3, Field.text(1, "k")), Field.int(4, 3))
        let scopeSpans = Field.message(2, scope, Field.message(2), Field.text(3, "inner"))
        #expect(try converted(json) == Field.message(1, resource, scopeSpans, Field.text(3, "outer")))
    }

    @Test(
        "every kind of value, zero ones too",
        arguments: [
            (#"{"stringValue":"text"}"#, Value.text("text")),
            (#"{"stringValue":""}"#, Value.text("")),
            (#"{"boolValue":true}"#, Value.bool(true)),
            (#"{"boolValue":false}"#, Value.bool(false)),
            (#"{"intValue":"-9223372036854775808"}"#, Value.int(.min)),
            (#"{"intValue":9223372036854775807}"#, Value.int(.max)),
            (#"{"intValue":0}"#, Value.int(0)),
            (#"{"doubleValue":0}"#, Value.double(0)),
            (#"{"doubleValue":-1.5}"#, Value.double(-1.5)),
            (#"{"bytesValue":"AQID"}"#, Value.bytes([1, 2, 3])),
            (#"{"bytesValue":""}"#, Value.bytes([])),
            (
                #"{"arrayValue":{"values":[{"intValue":1},{},{"stringValue":"a"}]}}"#,
                Value.array(Value.int(1), [], Value.text("a"))
            ),
            (#"{"arrayValue":{"values":[]}}"#, Value.array()),
            (#"{"arrayValue":{}}"#, Value.array()),
            (
                #"{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}},{"key":"b"}]}}"#,
                Value.map(keyValue("a", Value.bool(true)), Field.text(1, "b"))
            ),
            (#"{}"#, []),
            (#"{"futureValue":{"a":[1]}}"#, []),
            (#"{"stringValueStrindex":-1}"#, Field.int(8, .max)),
        ])
    func values(json: String, expected: [UInt8]) throws {
        #expect(try converted(valueJSON(json)) == valueRequest(expected))
    }

    @Test(
        "of two kinds in one value the last one counts, whatever the first one held",
        arguments: [
            (#"{"stringValue":"a","intValue":1}"#, Value.int(1)),
            (#"{"intValue":1,"stringValue":"a"}"#, Value.text("a")),
            (#"{"intValue":1,"stringValue":null}"#, Value.int(1)),
            (
                #"{"arrayValue":{"values":[{"intValue":1}]},"arrayValue":{"values":[{"intValue":2}]}}"#,
                Value.array(Value.int(2))
            ),
            (#"{"stringValue":"\#(String(repeating: "x", count: 500))","boolValue":true}"#, Value.bool(true)),
            (
                #"{"arrayValue":{"values":[{"stringValue":"\#(String(repeating: "x", count: 500))"}]},"boolValue":true}"#,
                Value.bool(true)
            ),
        ])
    func valueConflicts(json: String, expected: [UInt8]) throws {
        #expect(try converted(valueJSON(json)) == valueRequest(expected))
        let long = String(repeating: "y", count: 300)
        let behind = try converted(spanJSON(#""attributes":[{"value":\#(json)}],"name":"\#(long)""#))
        #expect(behind == request(Field.message(9, Field.bytes(2, expected)), Field.text(5, long)))
    }

    @Test(
        "null is as if the key were not there",
        arguments: [
            "traceId", "name", "kind", "startTimeUnixNano", "attributes", "droppedLinksCount", "status", "flags",
            "unknown",
        ])
    func nulls(key: String) throws {
        #expect(try converted(spanJSON(#""\#(key)":null,"kind":1"#)) == request(Field.int(6, 1)))
        #expect(try converted(spanJSON(#""kind":1,"\#(key)":null"#)) == request(Field.int(6, 1)))
    }

    @Test(
        "unknown keys are skipped, whatever they hold",
        arguments: [
            "1", "-0.5e-7", #""text\n""#, "true", "false", "null", "[]", "{}", #"[1,[2,{"a":{"b":[null]}}],"x"]"#,
            #"{"spans":[{"kind":"rubbish"}],"name":1}"#,
        ])
    func unknownKeys(value: String) throws {
        let keys = [
            "x", "Name", "namE", "", "name ", "startTimeUnixNan", "startTimeUnixNano2",
            "a.very.long.key.that.no.field.has",
        ]
        for key in keys {
            let json =
                #"{"\#(key)":\#(value),"resourceSpans":[{"\#(key)":\#(value),"scopeSpans":[{"spans":"#
                + #"[{"name":"n","\#(key)":\#(value)}],"\#(key)":\#(value)}]}],"\#(key)":\#(value)}"#
            #expect(try converted(json) == request(Field.text(5, "n")), "\(key)")
        }
    }

    @Test("keys of other messages are unknown here")
    func foreignKeys() throws {
        let json = spanJSON(#""resourceSpans":1,"stringValue":2,"code":3,"timeUnixNano":"x","key":[]"#)
        #expect(try converted(json) == request([[]]))
    }

    @Test("a key that comes twice is a field that comes twice")
    func repeatedKeys() throws {
        let json = spanJSON(
            #""kind":5,"kind":0,"attributes":[{"key":"a"}],"status":{"code":2},"attributes":[{"key":"b"}],"status":{}"#)
        #expect(
            try converted(json)
                == request(
                    kind(5), Field.int(6, 0), Field.message(9, Field.text(1, "a")), Field.message(15, Field.int(3, 2)),
                    Field.message(9, Field.text(1, "b")), Field.message(15)))
        let scanned = try Scanned(
            converted(
                spanJSON(
                    #""kind":3,"traceId":"00","traceId":"0102030405060708090a0b0c0d0e0f10","#
                        + #""spanId":"a1a2a3a4a5a6a7a8","kind":5,"status":{"code":2},"status":{"message":"m"}"#)))
        #expect(scanned.tasks.first?.isError == true)
    }

    @Test("kinds and status codes are numbers; names are tolerated, unknown ones are absent")
    func enums() throws {
        for (number, name) in ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"].enumerated() {
            #expect(try converted(spanJSON(#""kind":"SPAN_KIND_\#(name)""#)) == request(kind(UInt64(number))))
            #expect(try converted(spanJSON(#""kind":\#(number)"#)) == request(kind(UInt64(number))))
            #expect(try converted(spanJSON(#""kind":"\#(number)""#)) == request(kind(UInt64(number))))
        }
        for (number, name) in ["UNSET", "OK", "ERROR"].enumerated() {
            let expected = request(Field.message(15, Field.int(3, UInt64(number))))
            #expect(try converted(spanJSON(#""status":{"code":"STATUS_CODE_\#(name)"}"#)) == expected)
        }
        for name in ["", "CONSUMER", "SPAN_KIND_FUTURE", "span_kind_server", "STATUS_CODE_OK"] {
            #expect(try converted(spanJSON(#""kind":"\#(name)""#)) == request([[]]))
        }
        #expect(try converted(spanJSON(#""kind":99"#)) == request(kind(99)))
        #expect(try converted(spanJSON(#""kind":-1"#)) == request(kind(.max)))
    }

    @Test(
        "an id that is no id of hex digits makes the scanner refuse its span and no other",
        arguments: [
            #""traceId":"""#, #""traceId":"0""#, #""traceId":"0102030405060708090a0b0c0d0e0f1""#,
            #""traceId":"0102030405060708090a0b0c0d0e0f101""#, #""traceId":"0102030405060708090a0b0c0d0e0f1g""#,
            #""traceId":"g102030405060708090a0b0c0d0e0f10""#, #""traceId":"01020304050607\u002f\u003a90a0b0c0d0e0f10""#,
            #""traceId":"AQIDBAUGBwgJCgsMDQ4PEA==""#, #""traceId":"0102030405060708090a0b0c0d0e0fé""#,
            #""traceId":"00000000000000000000000000000000""#, #""traceId":null"#, #""traceId":7"#, #""traceId":["x"]"#,
            #""spanId":"""#, #""spanId":"a1a2a3a4a5a6a7""#, #""spanId":"a1a2a3a4a5a6a7a8a9""#,
            #""spanId":"a1a2a3a4 5a6a7a8""#,
            #""spanId":"0000000000000000""#, #""spanId":{}"#,
            #""parentSpanId":"a1""#, #""parentSpanId":"xxxxxxxxxxxxxxxx""#, #""parentSpanId":1e3"#,
            #""links":[{"traceId":"01","spanId":"a1a2a3a4a5a6a7a8"}]"#, #""links":[{"spanId":"@1a2a3a4a5a6a7a8"}]"#,
            #""links":[{},{"spanId":true}]"#,
        ])
    func badIdentifiers(bad: String) throws {
        let good = #""traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"a1a2a3a4a5a6a7a8","kind":5"#
        let rest = good.split(separator: ",").filter { !bad.hasPrefix($0.prefix(8)) }.joined(separator: ",")
        let spans = "{\(good)},{\(rest),\(bad)},{\(good)}"
        let scanned = try Scanned(converted(#"{"resourceSpans":[{"scopeSpans":[{"spans":[\#(spans)]}]}]}"#))
        #expect(scanned.spanCount == 3)
        #expect(scanned.refused.count == 1)
        #expect(scanned.tasks.count == 2)
    }

    @Test(
        "an empty parent is none, and a link without ids is one without ids",
        arguments: [
            #""parentSpanId":"""#, #""parentSpanId":null"#, #""parentSpanId":"0000000000000000""#,
            #""links":[{"traceId":"","spanId":""},{}]"#,
        ])
    func absentIdentifiers(json: String) throws {
        let scanned = try Scanned(
            converted(
                spanJSON(
                    #""traceId":"0102030405060708090A0B0C0D0E0F10","spanId":"\u00611a2a3a4a5a6a7a8","kind":5,"# + json))
        )
        #expect(scanned.refused.isEmpty)
        #expect(scanned.tasks.first?.reference.trace.hex == "0102030405060708090a0b0c0d0e0f10")
        #expect(scanned.tasks.first?.reference.span.hex == "a1a2a3a4a5a6a7a8")
        #expect(scanned.tasks.first?.parent.isValid == false)
    }

    @Test("every byte that is a hex digit is one, and no other")
    func hexDigits() throws {
        for byte in UInt8(0x20)...0x7E where byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
            for position in 0..<16 {
                var digits = Array("0000000000000001".utf8)
                digits[position] = byte
                let text = String(decoding: digits, as: UTF8.self)
                let value = UInt64(text.hasPrefix("+") || text.hasPrefix("-") ? "x" : text, radix: 16)
                let expected =
                    value.map { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) } } ?? [0]
                #expect(
                    try converted(spanJSON(#""spanId":"\#(text)""#)) == request(Field.bytes(2, expected)), "\(text)")
            }
        }
    }
}
