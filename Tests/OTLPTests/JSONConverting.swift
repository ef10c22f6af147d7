import OTLP

/// What a JSON body becomes. The body lies in memory of its exact size.
func converted(_ json: [UInt8], limit: Int = .max) throws -> [UInt8] {
    var converter = JSONRequestConverter()
    return try json.withUnsafeBytes { try converter.convert($0, limit: limit) { Array($0) } }
}

func converted(_ json: String) throws -> [UInt8] {
    try converted(Array(json.utf8))
}

/// How a JSON body is refused, or a span of it; nil where none is.
func refused(_ json: [UInt8]) -> MalformedJSON? {
    var converter = JSONRequestConverter()
    do {
        return try json.withUnsafeBytes { try converter.convertWithRemarks($0) { $1.firstProblem } }
    } catch {
        return error as? MalformedJSON
    }
}

func refused(_ json: String) -> MalformedJSON? {
    refused(Array(json.utf8))
}

/// A request of one span with these members.
func spanJSON(_ members: String) -> String {
    #"{"resourceSpans":[{"scopeSpans":[{"spans":[{\#(members)}]}]}]}"#
}

/// A request of one span with one attribute of this value.
func valueJSON(_ value: String) -> String {
    spanJSON(#""attributes":[{"key":"k","value":\#(value)}]"#)
}

/// The protobuf of `valueJSON`.
func valueRequest(_ value: [UInt8]) -> [UInt8] {
    request(attribute("k", value))
}
