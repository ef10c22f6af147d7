import NIOHTTP1

extension HTTPRequestHead {
    /// The refusal of a request that the parser of HTTP/1.1 accepts and RFC 9112 forbids: two readers could disagree
    /// about where it ends or whom it is for. The connection ends with the answer.
    var fault: HTTPResponse? {
        if headers.contains(name: "transfer-encoding") {
            // 6.1: a sender of HTTP/1.0 doesn't know this field, so something between has added it.
            if version.major == 1 && version.minor == 0 {
                return .refused(.badRequest, reason: "protocol", "HTTP/1.0 has no transfer codings")
            }
            // 7: chunked is the only one here. The parser looks at the last of several, or at none.
            let codings = headers["transfer-encoding"]
            guard codings.count == 1, codings[0].prefix(while: { $0 != " " }).lowercased() == "chunked" else {
                return .refused(.notImplemented, reason: "protocol", "unknown transfer coding; allowed is chunked")
            }
        }
        // 3.2: "A server MUST respond with a 400 status code" to none and to several.
        if version == .http1_1 && headers["host"].count != 1 {
            return .refused(.badRequest, reason: "protocol", "a request has exactly one Host")
        }
        return nil
    }

    /// The length of the body that the head announces; 0 where it announces none. The parser has seen that it is a
    /// number of 64 bits, which may be followed by spaces.
    var announcedBytes: Int {
        guard let text = headers.first(name: "content-length") else { return 0 }
        // Hardly any has spaces, and to look for them takes longer than to read a number.
        return Int(text) ?? Int(text.prefix { $0 != " " }) ?? .max
    }
}
