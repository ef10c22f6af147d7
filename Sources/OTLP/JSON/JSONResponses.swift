import Text

/// The answers of `OTLPResponse` for senders of JSON.
package enum OTLPJSONResponse {
    /// Returns an ExportTraceServiceResponse: `partialSuccess` only when spans were refused; 64-bit integers are
    /// strings.
    package static func success(refused: Int, reason: String) -> [UInt8] {
        success(refused: refused, remark: refused == 0 ? nil : reason)
    }

    /// - Parameter remark: The reason of the refusals, or a warning where no span was refused.
    package static func success(refused: Int, remark: String?) -> [UInt8] {
        guard let remark else { return Array("{}".utf8) }
        let number = refused > 0 ? #""rejectedSpans":"\#(refused)","# : ""
        return Array(#"{"partialSuccess":{\#(number)"errorMessage":\#(JSONString.quoted(remark))}}"#.utf8)
    }

    /// Returns a google.rpc.Status.
    package static func status(_ code: RPCCode, _ message: String) -> [UInt8] {
        Array(#"{"code":\#(code.rawValue),"message":\#(JSONString.quoted(message))}"#.utf8)
    }
}
