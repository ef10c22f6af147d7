import Text

/// The same answers as `OTLPResponse`, for those who sent JSON.
package enum OTLPJSONResponse {
    /// ExportTraceServiceResponse: `partialSuccess` only when spans were refused; 64-bit integers are strings.
    package static func success(refused: Int, reason: String) -> [UInt8] {
        if refused == 0 { return Array("{}".utf8) }
        return Array(
            #"{"partialSuccess":{"rejectedSpans":"\#(refused)","errorMessage":\#(JSONString.quoted(reason))}}"#.utf8)
    }

    /// google.rpc.Status.
    package static func status(_ code: RPCCode, _ message: String) -> [UInt8] {
        Array(#"{"code":\#(code.rawValue),"message":\#(JSONString.quoted(message))}"#.utf8)
    }
}
