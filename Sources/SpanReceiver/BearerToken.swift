import NIOHTTP1

/// The token that every request has to carry, over HTTP and gRPC alike: `authorization: Bearer <token>` (RFC 6750, 2.1).
struct BearerToken: Sendable {
    private let token: String
    /// The token as its file has it now.
    private let reread: (@Sendable () -> String?)?

    init(_ token: String, reread: (@Sendable () -> String?)? = nil) {
        self.token = token
        self.reread = reread
    }

    /// Compares every byte whatever it finds, so that the time says nothing of the token.
    func isIn(_ headers: HTTPHeaders) -> Bool {
        guard let value = headers.first(name: "authorization"), value.prefix(7).lowercased() == "bearer " else {
            return false
        }
        let given = Array(value.dropFirst(7).utf8)
        let expected = Array((reread?() ?? token).utf8)
        var difference = given.count ^ expected.count
        for (index, byte) in expected.enumerated() {
            difference |= Int(byte ^ (index < given.count ? given[index] : 0))
        }
        return difference == 0
    }
}
