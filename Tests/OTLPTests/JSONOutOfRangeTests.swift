import Testing

@testable import OTLP

@Suite("Values out of range in OTLP's JSON")
struct JSONOutOfRangeTests {
    private static let good =
        #"{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"good"}"#

    private static func body(_ span: String, resource: String = "{}", scope: String = "{}") -> String {
        #"{"resourceSpans":[{"scopeSpans":[{"scope":\#(scope),"spans":[\#(good),\#(span),\#(good)]}],"resource":\#(resource)},"#
            + #"{"scopeSpans":[{"spans":[\#(good)]}]}]}"#
    }

    /// What becomes of a body: good spans, and those that are refused with what is told of the first.
    private static func outcome(_ json: String) throws -> (good: Int, bad: Int, problem: String) {
        var converter = JSONRequestConverter()
        return try Array(json.utf8).withUnsafeBytes { body in
            JSONRequestConverter.checkInvariants(body)
            return try converter.convertWithRemarks(body) { request, remarks in
                var scanner = SpanScanner()
                do {
                    try scanner.scan(request)
                } catch {
                    Issue.record(error)
                }
                #expect(scanner.refused.count == remarks.badSpans)
                return (
                    scanner.spanCount - remarks.badSpans, remarks.badSpans, remarks.firstProblem?.description ?? ""
                )
            }
        }
    }

    @Test("What is remarked of one body is not said of the next one, whether the first is converted or not")
    func nextBody() throws {
        var converter = JSONRequestConverter()
        func remarks(_ json: String) throws -> JSONRemarks? {
            let body = Array(json.utf8)
            do {
                return try body.withUnsafeBytes { try converter.convertWithRemarks($0) { $1 } }
            } catch is MalformedJSON {
                return nil
            }
        }
        let bad = try #require(try remarks(Self.body(#"{"kind":1.5}"#)))
        #expect(bad.badSpans == 1 && bad.firstProblem != nil && bad.unknownKey == nil)
        let unknown = try #require(try remarks(#"{"resource_spams":[]}"#))
        #expect(unknown.badSpans == 0 && unknown.firstProblem == nil && unknown.unknownKey == "resource_spams")
        #expect(try remarks(Self.body(#"{"kind":1.5}"#) + "x") == nil)
        #expect(try remarks(Self.body("{}", resource: "7")) == nil)
        let good = try #require(try remarks(Self.body(Self.good)))
        #expect(good.badSpans == 0 && good.firstProblem == nil && good.unknownKey == nil)
    }

    private static let members: [(String, String)] =
        [
            (#""droppedAttributesCount":-1"#, "droppedAttributesCount"),
            (#""droppedLinksCount":"-1""#, "droppedLinksCount"),
            (#""endTimeUnixNano":"1728758544898626666.5""#, "endTimeUnixNano"), (#""kind":1.5"#, "kind"),
            (#""startTimeUnixNano":1e400"#, "startTimeUnixNano"), (#""flags":4294967296"#, "flags"),
            (#""status":{"code":2147483648}"#, "status.code"), (#""attributes":[null]"#, "attributes[0]"),
            (#""events":[{"timeUnixNano":1},{"droppedAttributesCount":-1}]"#, "events[1].droppedAttributesCount"),
            (#""links":[null]"#, "links[0]"), (#""links":[{"flags":-2}]"#, "links[0].flags"),
        ]
        + [
            (#"{"intValue":4.5}"#, "intValue"), (#"{"intValue":"4.5"}"#, "intValue"),
            (#"{"intValue":9223372036854775808}"#, "intValue"), (#"{"doubleValue":1e999}"#, "doubleValue"),
            (#"{"doubleValue":"-1e999"}"#, "doubleValue"),
            (#"{"arrayValue":{"values":[{},null]}}"#, "arrayValue.values[1]"),
            (#"{"kvlistValue":{"values":[null]}}"#, "kvlistValue.values[0]"),
        ].map { (#""attributes":[{"key":"k","value":\#($0)}]"#, "attributes[0].value.\($1)") }

    @Test("One costs its span, whose place is told, and no other", arguments: members)
    func span(member: String, path: String) throws {
        for span in ["{\(member)}", #"{"name":"n",\#(member),"kind":1,"x":[{}]}"#] {
            let found = try Self.outcome(Self.body(span))
            #expect(found.good == 3 && found.bad == 1)
            #expect(found.problem.hasPrefix("resourceSpans[0].scopeSpans[0].spans[1].\(path): "), "\(found.problem)")
        }
    }

    @Test("A span that is null is refused by count")
    func nullSpan() throws {
        let found = try Self.outcome(Self.body("null"))
        #expect(found.good == 3 && found.bad == 1)
    }

    @Test("In a resource or a scope one costs the spans of that")
    func owners() throws {
        let count = #"{"droppedAttributesCount":-1}"#
        for (resource, scope) in [(count, "{}"), ("{}", count), (#"{"attributes":[null]}"#, count)] {
            let found = try Self.outcome(Self.body(Self.good, resource: resource, scope: scope))
            #expect(found.good == 1 && found.bad == 3, "\(resource) \(scope)")
        }
    }

    @Test("A null among resources or scopes holds no span and costs none")
    func nullOwners() throws {
        let found = try Self.outcome(
            #"{"resourceSpans":[null,{"scopeSpans":[null,{"spans":[\#(Self.good)]}]}]}"#)
        #expect(found.good == 1 && found.bad == 0)
    }

    @Test(
        "What is no JSON, or of another form, is refused as a whole behind such a value too",
        arguments: [
            #"{"kind":1.5,"#, #"{"kind":1.5,"name":"\x"}"#, #"{"kind":1.5}}"#, #"{"name":1}"#, "5",
        ])
    func malformed(span: String) {
        #expect(throws: MalformedJSON.self) { try Self.outcome(Self.body(span)) }
    }

    @Test(
        "The first key that is no field of a request, resource or scope is named",
        arguments: [
            (#"{"resourceLogs":[],"x":1}"#, "resourceLogs"),
            (#"{"resourceSpans":[{"instrumentationLibrarySpans":[]}]}"#, "instrumentationLibrarySpans"),
            (#"{"ResourceSpans":[]}"#, "ResourceSpans"), (#"{"spans":[]}"#, "spans"),
            (#"{"resourceSpans":[{"scopeSpans":[{"Spans":[]}]}]}"#, "Spans"),
            (#"{}"#, nil), (#"{"resourceSpans":[]}"#, nil),
        ] as [(String, String?)])
    func unknownKeys(json: String, key: String?) throws {
        var converter = JSONRequestConverter()
        let found = try Array(json.utf8).withUnsafeBytes { try converter.convertWithRemarks($0) { $1.unknownKey } }
        #expect(found == key)
    }
}
