/// The same answers as `OTLPResponse`, for those who sent JSON.
package enum OTLPJSONResponse {
    /// ExportTraceServiceResponse: `partialSuccess` only when spans were refused; 64-bit integers are strings.
    package static func success(refused: Int, reason: String) -> [UInt8] {
        if refused == 0 { return Array("{}".utf8) }
        return Array(#"{"partialSuccess":{"rejectedSpans":"\#(refused)","errorMessage":\#(quoted(reason))}}"#.utf8)
    }

    /// google.rpc.Status.
    package static func status(_ code: RPCCode, _ message: String) -> [UInt8] {
        Array(#"{"code":\#(code.rawValue),"message":\#(quoted(message))}"#.utf8)
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\0"..<" ": result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
