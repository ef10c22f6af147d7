package import NIOHTTP1

/// A secret that requests have to carry, as configured or as its file has it now.
package struct RequestSecret: Sendable {
    private let configured: String
    private let reread: (@Sendable () -> String?)?

    package init(_ configured: String, reread: (@Sendable () -> String?)? = nil) {
        self.configured = configured
        self.reread = reread
    }

    /// Compares every byte whatever it finds, so that the time says nothing of the secret.
    package func isEqual(to given: [UInt8]) -> Bool {
        let expected = Array((reread?() ?? configured).utf8)
        var difference = given.count ^ expected.count
        for (index, byte) in expected.enumerated() {
            difference |= Int(byte ^ (index < given.count ? given[index] : 0))
        }
        return difference == 0
    }
}

/// The token that a request has to carry, over HTTP and gRPC alike: `authorization: Bearer <token>` (RFC 6750, 2.1).
package struct BearerToken: Sendable {
    private let secret: RequestSecret

    package init(_ secret: RequestSecret) {
        self.secret = secret
    }

    package func isIn(_ headers: HTTPHeaders) -> Bool {
        guard let value = headers.first(name: "authorization"), value.prefix(7).lowercased() == "bearer " else {
            return false
        }
        return secret.isEqual(to: Array(value.dropFirst(7).utf8))
    }
}
